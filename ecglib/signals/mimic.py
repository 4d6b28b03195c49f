"""Reader of MIMIC-IV-ECG 1.0 (Gow et al. 2023) in the layout of PhysioNet.

    record_list.csv             subject_id, study_id, file_name, ecg_time, path
    machine_measurements.csv    report_0 to report_17 and the cart's intervals, by study_id
    files/p1003/p10030753/s40735970/40735970.{hea,dat}

The headers store aVF before aVL, so reading by position would exchange two leads.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from ecglib.signals.wfdb_record import read_record

COLUMNS = ("subject_id", "study_id", "path")
STATEMENTS = [f"report_{number}" for number in range(18)]


def list_records(root: Path) -> pd.DataFrame:
    """Read ``record_list.csv``; ``record`` is each ECG's path under ``root`` without extension.

    Raises:
        FileNotFoundError: where the folder or the list is missing.
        ValueError: where the list lacks a column or names a study twice.
    """
    table = Path(root) / "record_list.csv"
    if not table.is_file():
        raise FileNotFoundError(
            f"{root} is not a MIMIC-IV-ECG folder (record_list.csv is missing); give the folder "
            "that holds it, as released on PhysioNet"
        )
    rows = pd.read_csv(table, dtype=str)
    absent = [name for name in COLUMNS if name not in rows.columns]
    if absent:
        raise ValueError(f"{table} is not MIMIC-IV-ECG's list: it lacks {', '.join(absent)}")
    if rows["study_id"].duplicated().any():
        twice = rows["study_id"][rows["study_id"].duplicated()].iloc[0]
        raise ValueError(f"{table} lists study {twice} twice; restore the released file")
    rows["record"] = rows["path"]
    return rows


def list_reports(root: Path) -> pd.DataFrame:
    """Read the machine's statements: index study_id; ``cart_id`` and ``statements`` (a tuple).

    Raises:
        FileNotFoundError: where ``machine_measurements.csv`` is missing.
        ValueError: where it lacks the statement columns.
    """
    path = Path(root) / "machine_measurements.csv"
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} is missing; MIMIC-IV-ECG's release holds it, and reports and labels come "
            "from it (a data plan with `reports: false` reads the signals alone)"
        )
    rows = pd.read_csv(path, dtype=str, keep_default_na=False)
    absent = [name for name in ("study_id", "cart_id", *STATEMENTS) if name not in rows.columns]
    if absent:
        raise ValueError(f"{path} lacks the columns {', '.join(absent)}")
    texts = rows[STATEMENTS].to_numpy()
    rows["statements"] = [tuple(t.strip() for t in row if t.strip()) for row in texts]
    return rows.drop_duplicates("study_id").set_index("study_id")[["cart_id", "statements"]]


def read(root: Path, record: str) -> tuple[np.ndarray, float]:
    """Read one ECG: float32 (12, n) in mV, leads arranged by name, and its rate in Hz.

    Errors are those of ``ecglib.signals.wfdb_record.read_record``.
    """
    return read_record(root, record)
