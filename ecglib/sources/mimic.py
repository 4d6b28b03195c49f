"""MIMIC-IV-ECG as a cohort: reports are the machine's statements, labels are read from them."""

from pathlib import Path

import numpy as np

from ecglib.labels import labeller
from ecglib.labels.label_set import ABSENT, LABELS, NOT_ASSESSABLE
from ecglib.labels.rules import MACHINE_LEAVES_OUT
from ecglib.sources import mimic_files

read = mimic_files.read
OPTIONS = {"reports": True}
SITE = "BIDMC"  # all of MIMIC comes from one hospital


def records(root: Path, reports: bool = True) -> tuple[list[dict], list[str]]:
    """Describe every ECG of a MIMIC-IV-ECG folder, without its signal.

    Age and sex stand in MIMIC-IV's hospital module, not in this data set; they stay empty.

    Args:
        root: the folder with ``record_list.csv``.
        reports: False reads no ``machine_measurements.csv``; reports are then empty and all
            labels -1, which is enough to train a tokenizer.

    Returns:
        dicts with the columns of the store's table, ``file`` (path under the root) and
        ``machine``: the cart's measurements by name (``signals.mimic.MEASUREMENTS``; ms and
        degrees, NaN where it made none), or an empty dict for an ECG without any; and notes on
        what the listing found beside ECGs with a report.
    """
    table = mimic_files.list_records(root)
    machine = mimic_files.list_machine(root).to_dict("index") if reports else {}
    listed = set(table["study_id"])
    notes = [f"record_list.csv lists {len(listed)} ECGs (the whole release: about 800,000)"]
    if reports:
        held = set(machine)
        notes.append(
            f"{len(listed - held)} of them have no row in machine_measurements.csv and so neither "
            f"report nor labels; {len(held - listed)} rows there belong to no listed ECG"
        )
    found = [_record(row, machine.get(row["study_id"], {})) for row in table.to_dict("records")]
    return found, notes


def labels(record: dict, root: Path) -> np.ndarray:
    """Label states int8 (77,) of one record, read from its report.

    What a machine would have stated and the report does not mention is absent, unless the report
    says that (part of) the ECG was not analysed or holds words that no rule knows. What machines
    leave out (`machine_leaves_out` in label_rules.yaml), what the words leave open, and everything
    where there is no report is -1.
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


def _record(row: dict, machine: dict) -> dict:
    statements = machine.get("statements", ())
    return {
        "ecg_id": row["study_id"],
        "patient_id": row["subject_id"],
        "site": SITE,
        "device": machine.get("cart_id", ""),
        "report": _join(statements),
        "report_source": "machine" if statements else "",
        "file": row["record"],
        "machine": {name: machine[name] for name in mimic_files.MEASUREMENTS} if machine else {},
    }


def _join(statements: tuple[str, ...]) -> str:
    """Write the statements as sentences: one full stop between any two, and at the end."""
    return " ".join(statement.rstrip(". ") + "." for statement in statements)
