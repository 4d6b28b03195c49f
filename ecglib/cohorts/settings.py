"""What a cohort can be asked for: the settings of `build`, each with the value it has if absent.

Imports nothing: the runner checks data plans against them and need not load readers for that.
"""

MIN_SECONDS = 5.0  # less holds too few beats for a rhythm
SETTINGS = {
    "source": "synthetic",  # or one of build.READERS
    "patients": 0,  # 0 = all of the folder; the simulator needs a number
    "sites": ["A", "B"],  # synthetic: the simulated hospitals
    "prevalence": "enriched",  # synthetic: or "paper"; how often people have each condition
    "conditions": [],  # synthetic: conditions that may be drawn; empty = all
    "reported_labels": [],  # synthetic: slugs of the labels that hospitals report; empty = all
    "translation": "",  # ptbxl: a CSV in the folder with ecg_id, report_en
    "label_table": "",  # a CSV in the folder with ecg_id, label_00 to label_76; not synthetic
    "reports": True,  # mimic: read machine_measurements.csv
    "rate": 0,  # ptbxl: 500 or 100 Hz; 0 = the higher that the folder holds
    "parts": [],  # code15: numbers of the parts to use; empty = all
    "table": "",  # mhi: the Parquet table, where the folder holds several
    "columns": {},  # mhi: role -> column, where it departs from sources.mhi.COLUMNS
    "verified": True,  # mhi: only ECGs whose report a physician confirmed
    "split": "patients",  # drawn by patient; or "folds", those of the release
    "min_seconds": MIN_SECONDS,
    "long_recordings": "cut",  # to the first ten seconds; or "windows", each an ECG
}
