"""Reader of PTB-XL (Wagner et al. 2020, Scientific Data 7:154) in the layout of PhysioNet.

ptbxl_database.csv       one row an ECG: patient, age, SCP codes, file names, ...
scp_statements.csv       what each SCP code means
records500/00000/*       WFDB records at 500 Hz; records100 holds the same at 100 Hz
"""

from pathlib import Path

import numpy as np
import pandas as pd

from ecglib.signals.wfdb_record import read_record

FOLDERS = {"records500": "filename_hr", "records100": "filename_lr"}
COLUMNS = ("ecg_id", "patient_id", "age", "sex", "scp_codes", "filename_lr", "filename_hr")


def list_records(root: Path) -> pd.DataFrame:
    """Read ``ptbxl_database.csv`` and choose each ECG's file.

    Returns:
        one row an ECG in the order of the file, its columns as published, and ``record``: the
        path under ``root`` without extension, at 500 Hz where the folder ``records500`` exists,
        else at 100 Hz. That the file itself exists is left to ``read``.

    Raises:
        FileNotFoundError: where the folder or its table is missing.
        ValueError: where the table or the folder is not that of PTB-XL.
    """
    root = Path(root)
    table = root / "ptbxl_database.csv"
    if not table.is_file():
        raise FileNotFoundError(
            f"{root} is not a PTB-XL folder (ptbxl_database.csv is missing); give the folder that "
            "holds it, as released on PhysioNet"
        )
    rows = pd.read_csv(table, dtype={"scp_codes": str, "report": str, "device": str})
    absent = [name for name in COLUMNS if name not in rows.columns]
    if absent:
        raise ValueError(
            f"{table} is not PTB-XL's table: it lacks the columns {', '.join(absent)}; "
            "restore the released file"
        )
    if rows["ecg_id"].duplicated().any():
        twice = rows["ecg_id"][rows["ecg_id"].duplicated()].iloc[0]
        raise ValueError(f"{table} lists ecg_id {twice} twice; restore the released file")
    rows["record"] = rows[FOLDERS[record_folder(root)]]
    return rows


def record_folder(root: Path) -> str:
    """Name the folder to read: "records500" where it exists, else "records100"."""
    for name in FOLDERS:
        if (Path(root) / name).is_dir():
            return name
    raise FileNotFoundError(
        f"{root} holds neither records500 nor records100; give the complete PTB-XL folder"
    )


def list_statements(root: Path) -> pd.DataFrame:
    """Read ``scp_statements.csv``: index is the SCP code; description, diagnostic, form, rhythm.

    Raises:
        FileNotFoundError: where the file is missing.
        ValueError: where it lacks one of those columns.
    """
    path = Path(root) / "scp_statements.csv"
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} is missing; PTB-XL's release holds it, and the report text comes from it"
        )
    statements = pd.read_csv(path, index_col=0)
    absent = {"description", "diagnostic", "form", "rhythm"} - set(statements.columns)
    if absent:
        raise ValueError(f"{path} lacks the columns {', '.join(sorted(absent))}")
    return statements


def read(root: Path, record: str) -> tuple[np.ndarray, float]:
    """Read one ECG: float32 (12, n) in mV, leads arranged by name, and its rate in Hz.

    Errors are those of ``ecglib.signals.wfdb_record.read_record``.
    """
    return read_record(root, record)
