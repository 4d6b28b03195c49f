"""CODE-15 % (Ribeiro et al. 2021, Zenodo 4916206): HDF5 parts and one table of exams.

    exams.csv                  exam_id, patient_id, age, is_male, six findings, trace_file, ...
    exams_part0.hdf5 .. 17     exam_id (N,) and tracings (N, 4096, 12) float32 at 400 Hz

The release holds 345,779 exams of 233,770 patients. Each tracing is padded with zeros at both ends
to 4096 samples; an independent audit counted 132,161 exams of ten seconds or more, 201,084 of
7.3 s and 670 that are zero throughout. The last row of each part is a dummy with exam_id 0. The
reader removes the padding, so that shorter exams keep their true length. ECG-Tok trains its
tokenizer on this data set.
"""

import re
from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np
import pandas as pd

from ecglib.labels.label_set import ABSENT, LABELS, NOT_ASSESSABLE, PRESENT, Label
from ecglib.signals.leads import arrange
from ecglib.sources.file_checks import first_line, read_csv, require_file

OPTIONS = ("parts",)
SITE = "TNMG"  # Telehealth Network of Minas Gerais
RATE = 400.0  # Hz
SAMPLES = 4096
ORDER = ("DI", "DII", "DIII", "AVR", "AVL", "AVF", "V1", "V2", "V3", "V4", "V5", "V6")
# The release's note on the unit contradicts itself. This factor, stored number to mV, is the one of
# DeepECG-SSL's code: it gives lead I the power that the MHI and MIMIC recordings have in mV.
TO_MILLIVOLTS = 0.4694
DUMMY = 0  # exam_id of the last row of each part
FINDINGS = ("1dAVb", "RBBB", "LBBB", "SB", "AF", "ST")
COLUMNS = ("exam_id", "age", "is_male", *FINDINGS, "patient_id", "trace_file")
# Columns that mean the same as one of the 77 labels. ST, sinus tachycardia, is no label of its own.
SAME = {"1dAVb": Label.AV_BLOCK_1, "RBBB": Label.RBBB, "LBBB": Label.LBBB, "AF": Label.AFIB}
PART = re.compile(r"exams_part(\d+)\.hdf5")
RECORD = re.compile(r"(exams_part\d+\.hdf5):(?:(\d+)|exam_id=(-?\d+))")


def records(root: Path, parts: Sequence[int] = ()) -> tuple[list[dict], list[str]]:
    """Describe every exam of a CODE-15 % folder.

    Args:
        root: the folder with ``exams.csv`` and the unpacked parts.
        parts: numbers of the parts to use; all where none is given.

    Returns:
        dicts with ``file`` (part and row, for example "exams_part3.hdf5:1234") and ``findings``,
        the columns that are True; and notes on what the listing leaves out.
    """
    exams, notes = list_exams(root, parts)
    described = [
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
            "findings": tuple(name for name in FINDINGS if row[name]),
        }
        for row in exams.to_dict("records")
    ]
    return described, notes


def labels(record: dict, root: Path) -> np.ndarray:
    """Label states int8 (77,) of one record from its six columns; all other labels are -1.

    1dAVb, RBBB, LBBB and AF are labels of their own, present or absent. SB, sinus bradycardia,
    states bradycardia and sinus rhythm; without it bradycardia is absent, but -1 in atrial
    fibrillation, which may be slow without being sinus. ST states sinus rhythm. AF makes sinus
    rhythm absent; AF with SB or ST leaves it -1.
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


def list_exams(root: Path, parts: Sequence[int] = ()) -> tuple[pd.DataFrame, list[str]]:
    """Read ``exams.csv`` and find each exam's row in its part.

    `root`, `parts`: as for `records`.

    Returns:
        one row per exam with the columns as published and ``record``, part and row. An exam that
        its part does not hold exactly once has "exams_part3.hdf5:exam_id=77", which ``read``
        refuses with the reason. And notes that count exams in other parts, dummy rows, and rows
        without an exam.

    Raises:
        FileNotFoundError: the table or one of the parts is missing.
        ValueError: the table or a part is not that of CODE-15 %.
    """
    table = whole = _read_table(root)
    if parts:
        names = [f"exams_part{number}.hdf5" for number in parts]
        if unknown := sorted(set(names) - set(table["trace_file"])):
            text = f"{Path(root) / 'exams.csv'} has no exam in {', '.join(unknown)}"
            raise ValueError(f"{text}; correct `parts` in the data plan")
        table = table[table["trace_file"].isin(names)].reset_index(drop=True)
    record = np.empty(len(table), dtype=object)
    dummies = unlisted = lost = 0
    for name, group in table.groupby("trace_file"):
        held = pd.Index(_exam_ids(root, name))
        dummy = held == DUMMY
        dummies += int(dummy.sum())
        unlisted += int((~dummy & ~held.isin(whole["exam_id"])).sum())
        once = pd.Series(np.arange(len(held)), index=held)[~held.duplicated(keep=False)]
        rows = once.reindex(group["exam_id"], fill_value=-1).to_numpy()
        lost += int((rows < 0).sum())
        record[group.index] = [
            f"{name}:{row}" if row >= 0 else f"{name}:exam_id={exam}"
            for exam, row in zip(group["exam_id"], rows, strict=True)
        ]
    notes = [
        f"{len(table)} exams of {table['trace_file'].nunique()} parts are listed; "
        f"{len(whole) - len(table)} exams are in parts that the plan leaves out",
        f"{dummies} dummy rows (exam_id 0) and {unlisted} rows without a line in exams.csv are not "
        "listed",
        f"{lost} listed exams are not exactly once in their part and go to the quarantine",
        "zeros at both ends are cut off, so an exam of 7.3 s keeps its length as n_valid",
        f"stored numbers x {TO_MILLIVOLTS} are taken as mV; the release does not state the unit",
    ]
    return table.assign(record=record), notes


def read(root: Path, record: str) -> tuple[np.ndarray, float]:
    """Read one exam without its padding, n <= 4096 at 400 Hz; ``record`` is part and row.

    Raises:
        FileNotFoundError: the part is missing.
        ValueError: the part is damaged, does not hold the exam or holds only zeros for it.
    """
    if not (match := RECORD.fullmatch(record)):
        raise ValueError(f"expected an exam like exams_part3.hdf5:1234, got {record!r}")
    part, row, exam = match.groups()
    if row is None:
        count = int((_exam_ids(root, part) == int(exam)).sum())
        raise ValueError(f"{part} holds exam {exam} of exams.csv {count} times, not once")
    with _open(Path(root), part) as file:
        if int(row) >= len(file["tracings"]):
            raise ValueError(f"{part} has {len(file['tracings'])} rows, none numbered {row}")
        tracing = _read_rows(file["tracings"], int(row), part)
    signal = _without_padding(np.asarray(tracing, np.float32))
    if not len(signal):
        raise ValueError(f"{record}: the tracing is zero throughout")
    return arrange(signal.T * np.float32(TO_MILLIVOLTS), [n.removeprefix("D") for n in ORDER]), RATE


def _read_table(root: Path) -> pd.DataFrame:
    """Read ``exams.csv`` as published and check it."""
    file = Path(root) / "exams.csv"
    remedy = "give the folder of CODE-15 % that holds it and the unpacked parts"
    table = read_csv(file, remedy, COLUMNS, "exam_id")
    for name in ("is_male", *FINDINGS):
        if not table[name].isin([True, False]).all():
            raise ValueError(f"{file}: expected True or False in the column {name}; restore it")
    if odd := [name for name in table["trace_file"].unique() if not PART.fullmatch(str(name))]:
        raise ValueError(f"{file}: expected parts as exams_part0.hdf5, got {odd[0]!r}; restore it")
    return table


def _exam_ids(root: Path, part: str) -> np.ndarray:
    """The exam numbers of a part: int64 (N,), the dummy row included."""
    with _open(Path(root), part) as file:
        return _read_rows(file["exam_id"], slice(None), part).astype(np.int64)


def _without_padding(tracing: np.ndarray) -> np.ndarray:
    """Cut samples off both ends of (n, 12) where all leads are exactly zero."""
    samples = np.flatnonzero((tracing != 0).any(axis=1))
    return tracing[samples[0] : samples[-1] + 1] if len(samples) else tracing[:0]


def _open(root: Path, part: str) -> h5py.File:
    remedy = "unpack it there, or name the parts that you have under `parts` in the data plan"
    path = require_file(root / part, remedy)
    try:
        file = h5py.File(path, "r")
    except (OSError, RuntimeError) as error:
        raise ValueError(
            f"{path} is no readable HDF5 file ({first_line(error)}); download it again"
        ) from error
    shapes = {name: getattr(file.get(name), "shape", None) for name in ("exam_id", "tracings")}
    ids, tracings = shapes.values()
    if ids is None or len(ids) != 1 or tracings != (*ids, SAMPLES, len(ORDER)):
        file.close()
        raise ValueError(
            f"{path}: expected exam_id (N,) and tracings (N, {SAMPLES}, {len(ORDER)}), got {ids} "
            f"and {tracings}; download it again"
        )
    return file


def _read_rows(dataset: h5py.Dataset, rows: slice | int, part: str) -> np.ndarray:
    try:
        return dataset[rows]
    except (OSError, RuntimeError) as error:
        raise ValueError(f"{part} is damaged ({first_line(error)}); download it again") from error
