"""A cohort in the layout of the Montreal Heart Institute: reports, 77 labels, a verified flag."""

from pathlib import Path

import numpy as np
import pandas as pd

from ecglib.labels.label_set import LABELS, NOT_ASSESSABLE
from ecglib.sources import mhi_files

read = mhi_files.read
OPTIONS = {"table": "", "columns": {}, "verified": True}
SITE = "MHI"
SEXES = {"m": "M", "male": "M", "f": "F", "female": "F"}


def records(
    root: Path,
    table: str = "",
    columns: dict[str, str] | None = None,
    verified: bool = True,
) -> tuple[list[dict], list[str]]:
    """Describe every ECG of the table, without its signal.

    Args:
        root: the folder with the Parquet table and the .npy files.
        table: the table's name; may be left out where the folder holds only one.
        columns: role -> column where the table departs from ``signals.mhi.COLUMNS``.
        verified: list only the ECGs whose report a physician has confirmed, as ECG-Tok
            section 2.1 does; a note counts the others.

    Returns:
        dicts with the columns of the store's table, ``file`` (path under the root) and ``states``,
        the labels int8 (77,), the path serving as ecg_id; and notes on how many ECGs the
        verified flag leaves out and how many labels are empty.

    Raises:
        FileNotFoundError: where the table is missing.
        ValueError: where it lacks a column, holds a label or flag other than 0, 1 or nothing, an
            age that is no number, or an ECG without a patient.
    """
    rows, states = _rows(root, table, columns, verified)
    kept = np.flatnonzero(rows["verified"]) if verified else np.arange(len(rows))
    unverified = int((~rows["verified"]).sum())
    empty = int((states[kept] == NOT_ASSESSABLE).sum())
    notes = [
        f"the table lists {len(rows)} ECGs, {unverified} without a physician's confirmation; "
        + ("these are left out" if verified else "these are kept"),
        f"{empty} label cells are empty and stay not assessable",
    ]
    described = rows.iloc[kept].to_dict("records")
    return [_record(row, states[i]) for i, row in zip(kept, described, strict=True)], notes


def labels(record: dict, root: Path) -> np.ndarray:
    """Label states int8 (77,) of one record as the table gives them: 0, 1, or -1 where empty."""
    return record["states"]


def _rows(
    root: Path, table: str, columns: dict[str, str] | None, verified: bool
) -> tuple[pd.DataFrame, np.ndarray]:
    """The table by roles, checked, and its label states int8 (N, 77)."""
    path = mhi_files.find_table(root, table)
    columns = dict(columns or {})
    flag = columns.get("verified", mhi_files.COLUMNS["verified"])
    if not verified and not mhi_files.has_column(path, flag):
        columns["verified"] = ""
    rows = mhi_files.list_records(path, columns, LABELS)
    states = _zero_or_one(rows[list(LABELS)], path)
    rows = rows.drop(columns=list(LABELS))
    if "verified" in rows:
        rows["verified"] = _zero_or_one(rows[["verified"]], path)[:, 0] == 1
    elif verified:
        raise ValueError(
            f"{path}: only verified ECGs are wanted, and `columns` names no flag; name it there, "
            "or set `verified: false` in the data plan"
        )
    else:
        rows["verified"] = False
    if rows["patient"].isna().any():
        raise ValueError(f"{path}: row {int(rows['patient'].isna().argmax())} names no patient")
    if "age" in rows:
        rows["age"] = _ages(rows["age"], path)
    return rows, states


def _zero_or_one(columns: pd.DataFrame, path: Path) -> np.ndarray:
    """int8 (N, k): 0 and 1 as they are, -1 for an empty cell."""
    states = np.full(columns.shape, NOT_ASSESSABLE, np.int8)
    for place, (name, values) in enumerate(columns.items()):
        known = values.notna().to_numpy()
        strange = known & ~values.isin([0, 1]).to_numpy()
        if strange.any():
            raise ValueError(
                f"{path} holds {str(values[strange].iloc[0])!r} as {name!r}, not 0 or 1"
            )
        states[known, place] = values[known].astype(np.int8)
    return states


def _ages(values: pd.Series, path: Path) -> pd.Series:
    ages = pd.to_numeric(values, errors="coerce")
    strange = ages.isna() & values.notna()
    if strange.any():
        raise ValueError(f"{path} holds {values[strange].iloc[0]!r} as an age in years")
    return ages


def _record(row: dict, states: np.ndarray) -> dict:
    report = row["report"].strip() if isinstance(row.get("report"), str) else ""
    patient = row["patient"]
    if isinstance(patient, float) and patient.is_integer():
        patient = int(patient)  # a gap in another row made the column decimal
    return {
        "ecg_id": str(row["file"]),
        "patient_id": str(patient),
        "site": SITE,
        "age": float(row.get("age", float("nan"))),
        "sex": SEXES.get(str(row.get("sex", "")).strip().lower(), ""),
        "report": report,
        "report_source": ("physician" if row["verified"] else "machine") if report else "",
        "verified": bool(row["verified"]),
        "file": row["file"] if isinstance(row["file"], str) else "",
        "states": states,
    }
