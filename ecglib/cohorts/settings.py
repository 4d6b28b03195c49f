"""The defaults of the settings of `build.build`, whose docstring explains each.

Imports nothing: the runner checks data plans against them and need not load readers for that.
"""

MIN_SECONDS = 5.0  # less holds too few beats for a rhythm
SETTINGS = {
    "source": "synthetic",
    "patients": 0,
    "sites": ["A", "B"],
    "prevalence": "enriched",
    "conditions": [],
    "reported_labels": [],
    "noise": 1.0,
    "translation": "",
    "label_table": "",
    "reports": True,
    "rate": 0,
    "parts": [],
    "table": "",
    "columns": {},
    "verified": True,
    "split": "patients",
    "min_seconds": MIN_SECONDS,
    "long_recordings": "cut",
}
