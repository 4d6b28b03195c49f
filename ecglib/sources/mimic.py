"""MIMIC-IV-ECG 1.0 (Gow et al. 2023) in the layout of PhysioNet.

    record_list.csv             subject_id, study_id, file_name, ecg_time, path
    machine_measurements.csv    report_0 to report_17, by study_id
    files/p1003/p10030753/s40735970/40735970.{hea,dat}

The headers store aVF before aVL, so reading by position would exchange two leads. Reports are the
machine's statements, and the labels are read from them.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from ecglib.labels import labeller
from ecglib.labels.label_set import ABSENT, LABELS, NOT_ASSESSABLE
from ecglib.labels.rules import MACHINE_LEAVES_OUT
from ecglib.sources import wfdb_records
from ecglib.sources.file_checks import check_columns, read_csv

OPTIONS = ("reports",)
SITE = "BIDMC"  # all of MIMIC comes from one hospital
COLUMNS = ("subject_id", "study_id", "path")
STATEMENTS = [f"report_{number}" for number in range(18)]

read = wfdb_records.read


def records(root: Path, reports: bool = True) -> tuple[list[dict], list[str]]:
    """Describe every ECG of a MIMIC-IV-ECG folder.

    Age and sex are part of MIMIC-IV's hospital module, not of this data set; they stay empty.

    `root`: the folder with ``record_list.csv``. `reports`: False reads no
    ``machine_measurements.csv``; reports are then empty and all labels -1: enough for a tokenizer.

    Raises FileNotFoundError, ValueError: as for `read_table` and `read_machine_reports`, or no
    listed study has a report.
    """
    table = read_table(root)
    machine = read_machine_reports(root).to_dict("index") if reports else {}
    listed = set(table["study_id"])
    if reports and not listed & set(machine):
        text = f"{Path(root) / 'machine_measurements.csv'} has no study of record_list.csv"
        raise ValueError(f"{text}; restore both from one release, or set `reports: false`")
    notes = [f"record_list.csv lists {len(listed)} ECGs (the whole release: about 800,000)"]
    if reports:
        reported = set(machine)
        without = f"{len(listed - reported)} of them have no row in machine_measurements.csv"
        other = f"{len(reported - listed)} rows there belong to no listed ECG"
        notes.append(f"{without} and so neither report nor labels; {other}")
    rows = table.to_dict("records")
    return [_record(row, machine.get(row["study_id"], {})) for row in rows], notes


def labels(record: dict, root: Path) -> np.ndarray:
    """Label states int8 (77,) of one record, read from its report.

    A label that machines state and the report does not mention is absent, unless the report
    says that (part of) the ECG was not analysed or holds words that no rule knows. Labels that
    machines leave out (`machine_leaves_out` in label_rules.yaml), labels that the words leave open,
    and all labels of an ECG without a report are -1.
    """
    states = np.full(len(LABELS), NOT_ASSESSABLE, np.int8)
    if record["report"]:
        reading = labeller.read(record["report"])
        if reading.finished and reading.understood:
            states[:] = ABSENT
            states[list(MACHINE_LEAVES_OUT)] = NOT_ASSESSABLE
        for label, state in labeller.implied(reading.states).items():
            states[label] = state
    return states


def read_table(root: Path) -> pd.DataFrame:
    """Read ``record_list.csv``; ``record`` is each ECG's path under ``root`` without extension.

    Raises:
        FileNotFoundError: the folder or the list is missing.
        ValueError: the list is empty, lacks a column or names a study twice.
    """
    remedy = "give the folder of MIMIC-IV-ECG that holds it, as released on PhysioNet"
    table = read_csv(Path(root) / "record_list.csv", remedy, COLUMNS, "study_id", dtype=str)
    if table.empty:
        raise ValueError(f"{Path(root) / 'record_list.csv'} lists no ECG; {remedy}")
    table["record"] = table["path"].fillna("")
    return table


def read_machine_reports(root: Path) -> pd.DataFrame:
    """Read the reports of the ECG carts, one row per study.

    Returns index study_id; ``cart_id``; ``statements``, a tuple of the non-empty ones in order.

    Raises:
        FileNotFoundError: ``machine_measurements.csv`` is missing.
        ValueError: it is empty, cut or no text, lacks a column, or holds two different rows of one
            study.
    """
    remedy = "restore it from the release, or set `reports: false` to read the signals alone"
    path, columns = Path(root) / "machine_measurements.csv", ("study_id", "cart_id", *STATEMENTS)
    table = read_csv(path, remedy, columns, "", dtype=str, keep_default_na=False).drop_duplicates()
    check_columns(table, path, columns, "study_id")
    texts = table[STATEMENTS].to_numpy()
    statements = [tuple(text.strip() for text in row if text.strip()) for row in texts]
    columns = {"cart_id": table["cart_id"].to_numpy(), "statements": statements}
    return pd.DataFrame(columns, index=table["study_id"])


def _record(row: dict, machine: dict) -> dict:
    statements = machine.get("statements", ())
    return {
        "ecg_id": row["study_id"],
        "patient_id": row["subject_id"],
        "site": SITE,
        "device": machine.get("cart_id", ""),
        # One full stop between any two statements, and at the end.
        "report": " ".join(statement.rstrip(". ") + "." for statement in statements),
        "report_source": "machine" if statements else "",
        "file": row["record"],
    }
