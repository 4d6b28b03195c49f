"""A plain folder of WFDB records: every 12-lead header (*.hea), at any depth, is an ECG.

The ecg_id of a record is its path under the folder without extension, for example "g1/A0001".
Labels come from a label table (`ecglib.cohorts.label_table`) in the folder; without one, every
label cannot be assessed. The table may have the columns patient_id, age (years), sex, site and
report, too.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from ecglib.labels.label_set import LABELS, NOT_ASSESSABLE
from ecglib.signals.leads import LEADS
from ecglib.sources.file_checks import parse_ages, parse_sex, path_inside, read_csv
from ecglib.sources.wfdb_record import read_record, signal_names

OPTIONS = ("label_table",)
PATIENT = ("patient_id", "age", "sex", "site", "report")  # columns beside the labels

read = read_record


def records(root: Path, label_table: str = "") -> tuple[list[dict], list[str]]:
    """Describe every 12-lead record of a folder.

    Args:
        root: the folder.
        label_table: a CSV in the folder with the column ``ecg_id``; its labels are read by
            ``ecglib.cohorts.label_table``, the other columns here.

    Returns:
        the dicts; and notes that count the records without twelve leads and the rows without a
        record, and that state where the patients come from.

    Raises:
        FileNotFoundError: the folder holds no 12-lead record, or not the table.
        ValueError: the table names no ecg_id or the same twice, holds an age that is no number, or
            an ECG without a patient.
    """
    headers = sorted(Path(root).rglob("*.hea"))
    names = [h.relative_to(root).with_suffix("").as_posix() for h in headers if _is_12_lead(h)]
    if not names:
        raise FileNotFoundError(
            f"expected 12-lead WFDB records in {root}, got {len(headers)} headers (*.hea) of "
            "others; give the folder that holds the records"
        )
    notes = [
        f"{len(names)} records of twelve leads are listed; {len(headers) - len(names)} headers of "
        "other records are left out"
    ]
    table = _read_table(path_inside(root, label_table)) if label_table else pd.DataFrame()
    if label_table:
        lacking = len(table.index.difference(names))
        notes.append(f"{lacking} rows of {label_table} belong to no listed record")
    else:
        notes.append("there is no label table: no label can be assessed and no report is known")
    if "patient_id" not in table:
        notes.append(
            "no table names the patients: each record is taken as a patient of its own, so "
            "records of one person may be in different splits"
        )
    rows = table.to_dict("index")
    return [_record(name, rows.get(name, {})) for name in names], notes


def labels(record: dict, root: Path) -> np.ndarray:
    """Label states int8 (77,) of a record without a label table: all -1."""
    return np.full(len(LABELS), NOT_ASSESSABLE, np.int8)


def _is_12_lead(header: Path) -> bool:
    """Whether a header names the twelve leads, or none at all: then reading it will say why."""
    names = signal_names(header)
    return names is None or {lead.lower() for lead in LEADS} <= {name.lower() for name in names}


def _read_table(file: Path) -> pd.DataFrame:
    """Read the label table's columns other than labels; the index is ecg_id."""
    remedy, wanted = "correct `label_table` in the data plan", {"ecg_id", *PATIENT}
    options = {"dtype": str, "keep_default_na": False, "usecols": lambda name: name in wanted}
    table = read_csv(file, remedy, ("ecg_id",), "ecg_id", **options)
    table = table.apply(lambda column: column.str.strip()).set_index("ecg_id")
    if "patient_id" in table and (table["patient_id"] == "").any():
        ecg_id = table.index[table["patient_id"] == ""][0]
        raise ValueError(
            f"{file}: expected a patient_id for the ECG {ecg_id!r}, got none; give each ECG one, "
            "or leave the column out"
        )
    if "age" in table:
        table["age"] = parse_ages(table["age"], file)
    return table


def _record(name: str, row: dict) -> dict:
    report = row.get("report", "")
    return {
        "ecg_id": name,
        "patient_id": row.get("patient_id", name),
        "site": row.get("site", ""),
        "age": row.get("age", float("nan")),
        "sex": parse_sex(row.get("sex")),
        "report": report,
        "report_source": "table" if report else "",
        "file": name,
    }
