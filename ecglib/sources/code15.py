"""CODE-15 % as a cohort: six findings, no report; ECG-Tok trains its tokenizer on it."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ecglib.labels.label_set import ABSENT, LABELS, NOT_ASSESSABLE, PRESENT, Label
from ecglib.sources import code15_files

read = code15_files.read
OPTIONS = {"parts": []}
SITE = "TNMG"  # Telehealth Network of Minas Gerais
# Columns that mean the same as one of the 77 labels. ST, sinus tachycardia, is no label of its own.
SAME = {"1dAVb": Label.AV_BLOCK_1, "RBBB": Label.RBBB, "LBBB": Label.LBBB, "AF": Label.AFIB}


def records(root: Path, parts: Sequence[int] = ()) -> tuple[list[dict], list[str]]:
    """Describe every exam of a CODE-15 % folder, without its signal.

    Exams of 7.3 s are listed like those of ten; their length comes with the signal. So do all
    exams that turn out unusable (zero throughout, not in their part): ``read`` refuses them.

    Args:
        root: the folder with ``exams.csv`` and the unpacked parts.
        parts: numbers of the parts to use; all where none is given.

    Returns:
        dicts with the columns of the store's table, ``file`` (part and row, for example
        "exams_part3.hdf5:1234") and ``findings``, the columns that are True; and notes on what
        the listing leaves out: other parts, dummy rows, rows without an exam.
    """
    listing = code15_files.list_exams(root, parts)
    found = [
        {
            "ecg_id": str(row["exam_id"]),
            "patient_id": str(row["patient_id"]),
            "site": SITE,
            "age": float(row["age"]),
            "sex": "M" if row["is_male"] else "F",
            "report": "",
            "report_source": "",
            "verified": False,  # the columns come from report text and automatic measurements
            "file": row["record"],
            "findings": tuple(name for name in code15_files.FINDINGS if row[name]),
        }
        for row in listing.exams.to_dict("records")
    ]
    return found, _notes(listing)


def labels(record: dict, root: Path) -> np.ndarray:
    """Label states int8 (77,) of one record from its six columns; all other labels are -1.

    1dAVb, RBBB, LBBB and AF are labels of their own (`SAME`), present or absent. SB, sinus
    bradycardia, states a bradycardia and a sinus rhythm; without it bradycardia is absent, but -1
    in atrial fibrillation, which may be slow without being sinus. ST, sinus tachycardia, states a
    sinus rhythm. AF makes the sinus rhythm absent; with SB or ST beside it that label stays -1.
    """
    stated = record["findings"]
    states = np.full(len(LABELS), NOT_ASSESSABLE, np.int8)
    for name, label in SAME.items():
        states[label] = PRESENT if name in stated else ABSENT
    sinus, fibrillation = "SB" in stated or "ST" in stated, "AF" in stated
    if sinus != fibrillation:
        states[Label.SINUS_RHYTHM] = PRESENT if sinus else ABSENT
    if "SB" in stated:
        states[Label.BRADYCARDIA] = PRESENT
    elif not fibrillation:
        states[Label.BRADYCARDIA] = ABSENT
    return states


def _notes(listing: code15_files.Listing) -> list[str]:
    exams = listing.exams
    lost = int(exams["record"].str.contains("exam_id=").sum())
    return [
        f"{len(exams)} exams of {exams['trace_file'].nunique()} parts are listed; "
        f"{listing.elsewhere} exams stand in parts that the plan leaves out",
        f"{listing.dummies} dummy rows (exam_id 0) and {listing.unlisted} rows without a line in "
        "exams.csv are not listed",
        f"{lost} listed exams do not stand exactly once in their part and go to the quarantine",
        "zeros at both ends are cut off, so an exam of 7.3 s keeps its length as n_valid",
        f"stored numbers x {code15_files.TO_MILLIVOLTS} are taken as mV; the release does not say",
    ]
