"""Reader of PTB-XL (Wagner et al. 2020, Scientific Data 7:154) in the layout of PhysioNet.

    ptbxl_database.csv       one row an ECG: patient, age, SCP codes, file names, ...
    scp_statements.csv       what each SCP code means
    records500/00000/*       WFDB records at 500 Hz; records100 holds the same at 100 Hz

Releases 1.0.1 (21,837 ECGs of 18,885 patients) and 1.0.3 (21,799 of 18,869) share this layout;
the later one left out repeated ECGs, so its ecg_id has gaps. Identifiers are read as whole numbers
whether written 15709 or 15709.0, and leads by name whether AVR or aVR.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from ecglib.sources.checks import check_table
from ecglib.sources.wfdb_record import read_record

FOLDERS = {500: ("records500", "filename_hr"), 100: ("records100", "filename_lr")}
COLUMNS = (
    *("ecg_id", "patient_id", "age", "sex", "scp_codes", "strat_fold"),
    *("filename_lr", "filename_hr"),
)


def list_records(root: Path, rate: int = 0) -> pd.DataFrame:
    """Read ``ptbxl_database.csv`` and choose each ECG's file.

    Args:
        root: the folder with the table.
        rate: 500 or 100 Hz; 0 takes 500 Hz where the folder ``records500`` exists, else 100 Hz.

    Returns:
        one row an ECG in the order of the file, its columns as published, and ``record``: the
        path under ``root`` without extension. That the file itself exists is left to ``read``.

    Raises:
        FileNotFoundError: where the folder or its table is missing.
        ValueError: where the table is not that of PTB-XL, or for another rate.
    """
    root = Path(root)
    table = root / "ptbxl_database.csv"
    if not table.is_file():
        raise FileNotFoundError(
            f"{root} is not a PTB-XL folder (ptbxl_database.csv is missing); give the folder that "
            "holds it, as released on PhysioNet"
        )
    rows = pd.read_csv(table, dtype={"scp_codes": str, "report": str, "device": str})
    check_table(rows, table, COLUMNS, "ecg_id")
    rows["record"] = rows[FOLDERS[stored_rate(root, rate)][1]].fillna("")
    return rows


def stored_rate(root: Path, rate: int = 0) -> int:
    """Say at which rate to read: the given one, or the highest that the folder holds.

    Raises:
        FileNotFoundError: where the folder of that rate is missing.
        ValueError: where PTB-XL has no such rate.
    """
    if rate not in (0, *FOLDERS):
        raise ValueError(f"PTB-XL holds {' and '.join(map(str, FOLDERS))} Hz, not {rate} Hz")
    for held, (folder, _) in FOLDERS.items():
        if rate in (0, held) and (Path(root) / folder).is_dir():
            return held
    wanted = f"no {FOLDERS[rate][0]}" if rate else "neither records500 nor records100"
    raise FileNotFoundError(f"{root} holds {wanted}; give the complete PTB-XL folder")


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

    Errors are those of ``ecglib.sources.wfdb_record.read_record``.
    """
    return read_record(root, record)
