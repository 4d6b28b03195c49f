"""ecglib: tokens from 12-lead electrocardiograms, and language models that read them.

The core, to be read in this order: `training`, `tokenizers`, `language`, `classify`, `evaluate`.
The workshop, to be looked up: `signals`, `labels`, `simulator`, `sources`, `cohorts`, `questions`,
`fidelity`, `figures`, `own_ecg`, `run`. Each room's `__init__` has one sentence per file;
docs/architecture.md says more. `ecglib.load("qinco")` opens a published model.
"""

from importlib import import_module

__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    """`ecglib.load(name)`, a published model. Imported when it is asked for, and by name: what this
    file imports would be part of the key of every step."""
    if name == "load":
        return import_module("ecglib.own_ecg.load_models").load
    raise AttributeError(f"module 'ecglib' has no attribute {name!r}")
