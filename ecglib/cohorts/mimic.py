"""MIMIC-IV-ECG as a cohort: reports are the machine's statements, labels are read from them."""

from pathlib import Path

import numpy as np

from ecglib.cohorts.findings import FINDINGS
from ecglib.cohorts.labeller import read_findings
from ecglib.cohorts.labels import ABSENT, LABELS, NOT_ASSESSABLE
from ecglib.signals import mimic

read = mimic.read
SITE = "BIDMC"  # all of MIMIC comes from one hospital


def records(root: Path, reports: bool = True) -> list[dict]:
    """Describe every ECG of a MIMIC-IV-ECG folder, without its signal.

    Age and sex stand in MIMIC-IV's hospital module, not in this data set; they stay empty.

    Args:
        root: the folder with ``record_list.csv``.
        reports: False reads no ``machine_measurements.csv``; reports are then empty and all
            labels -1, which is enough to train a tokenizer.

    Returns:
        dicts with the columns of the store's table and ``file`` (path under the root).
    """
    table = mimic.list_records(root)
    texts = mimic.list_reports(root) if reports else None
    described = []
    for row in table.to_dict("records"):
        known = texts is not None and row["study_id"] in texts.index
        statements = texts.at[row["study_id"], "statements"] if known else ()
        described.append(
            {
                "ecg_id": row["study_id"],
                "patient_id": row["subject_id"],
                "site": SITE,
                "device": str(texts.at[row["study_id"], "cart_id"]) if known else "",
                "report": _join(statements),
                "report_source": "machine" if statements else "",
                "file": row["record"],
            }
        )
    return described


def labels(record: dict, root: Path) -> np.ndarray:
    """Label states int8 (77,) of one record, read from its report.

    What the labeller knows and the report does not mention is absent; without a report, and for
    labels that the labeller does not read, the state is -1.
    """
    states = np.full(len(LABELS), NOT_ASSESSABLE, np.int8)
    if record["report"]:
        states[list(FINDINGS)] = ABSENT
        for label, state in read_findings(record["report"]).items():
            states[label] = state
    return states


def _join(statements: tuple[str, ...]) -> str:
    """Write the statements as sentences: one full stop between any two, and at the end."""
    return " ".join(statement.rstrip(". ") + "." for statement in statements)
