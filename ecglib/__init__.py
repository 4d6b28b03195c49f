"""ecglib: tokens from 12-lead electrocardiograms, and language models that read them.

The core, to be read in this order: `training`, `tokenizers`, `language`, `classify`, `evaluate`.
The workshop, to be looked up: `signals`, `labels`, `simulator`, `sources`, `cohorts`, `questions`,
`fidelity`, `figures`, `own_ecg`, `run`. Each room's `__init__` has one sentence per file;
docs/architecture.md says more.
"""

__version__ = "0.1.0"
