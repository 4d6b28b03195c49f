"""A small tree in the layout of MIMIC-IV-ECG 1.0: aVF stored before aVL, 200 units per mV."""

from pathlib import Path

import fake_ptbxl
import numpy as np
import pandas as pd

from ecglib.signals.leads import LEADS
from ecglib.sources.mimic import STATEMENTS

GAIN = 200.0  # units per mV, as in the release
STORED = (0, 1, 2, 3, 5, 4, *range(6, 12))  # I, II, III, aVR, aVF, aVL, V1 ...
SUBJECTS = {40000001: 10000001, 40000002: 10000001, 40000003: 10000002}
REPORTS = {  # column -> statement; the third study has no row at all
    40000001: {"report_0": "Sinus rhythm", "report_2": "Left bundle branch block."},
    40000002: {},
}


def signal(study: int) -> np.ndarray:
    """The study's (12, 5000) in mV before quantisation."""
    return fake_ptbxl.signal(study, 5000)


def write_tree(root: Path) -> None:
    """Write three ECGs of two patients."""
    rows = []
    for study, subject in SUBJECTS.items():
        folder = f"files/p{str(subject)[:4]}/p{subject}/s{study}"
        layout = {"names": LEADS, "gain": GAIN, "order": STORED}
        fake_ptbxl.write_record(root / folder, str(study), signal(study), 500, **layout)
        rows.append([subject, study, study, "2126-09-05 21:05:00", f"{folder}/{study}"])
    columns = ["subject_id", "study_id", "file_name", "ecg_time", "path"]
    pd.DataFrame(rows, columns=columns).to_csv(root / "record_list.csv", index=False)
    rows = []
    for study, statements in REPORTS.items():
        row = {"subject_id": SUBJECTS[study], "study_id": study, "cart_id": 6848296}
        row |= {"ecg_time": "2126-09-05 21:05:00"}
        row |= {name: statements.get(name, "") for name in STATEMENTS}
        rows.append(row | {"bandwidth": "0.005-150 Hz", "rr_interval": 800, "t_axis": 29999})
    pd.DataFrame(rows).to_csv(root / "machine_measurements.csv", index=False)
