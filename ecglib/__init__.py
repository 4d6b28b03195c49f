"""ecglib: tokens from 12-lead electrocardiograms, and language models that read them.

The rooms, in the direction in which data flows: `signals`, `cohorts`, `tokenizers`, `classify` and
`language`, `evaluate`, `figures`; `training` stands under the models and `run` above everything.
"""

__version__ = "0.1.0"
