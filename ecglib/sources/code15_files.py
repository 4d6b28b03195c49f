"""Reader of CODE-15 % (Ribeiro et al. 2021, Zenodo 4916206): HDF5 parts and one table of exams.

    exams.csv                  exam_id, patient_id, age, is_male, six findings, trace_file, ...
    exams_part0.hdf5 .. 17     exam_id (N,) and tracings (N, 4096, 12) float32 at 400 Hz

The release holds 345,779 exams of 233,770 patients. Each tracing is padded with zeros at both ends
to 4096 samples; an independent audit counted 132,161 exams of ten seconds or more, 201,084 of
7.3 s and 670 that are zero throughout. The last row of each part is a dummy with exam_id 0. The
padding is cut off here, so that shorter exams keep their true length.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
import pandas as pd

from ecglib.signals.leads import arrange
from ecglib.sources.checks import check_table, first_line

RATE = 400.0  # Hz
SAMPLES = 4096
ORDER = ("DI", "DII", "DIII", "AVR", "AVL", "AVF", "V1", "V2", "V3", "V4", "V5", "V6")
# The release's note on the unit contradicts itself. This factor, stored number to mV, is the one of
# DeepECG-SSL's code: it gives lead I the power that the MHI and MIMIC recordings have in mV.
TO_MILLIVOLTS = 0.4694
DUMMY = 0  # exam_id of the row that closes each part
FINDINGS = ("1dAVb", "RBBB", "LBBB", "SB", "AF", "ST")
COLUMNS = ("exam_id", "age", "is_male", *FINDINGS, "patient_id", "trace_file")
PART = re.compile(r"exams_part(\d+)\.hdf5")
PLACE = re.compile(r"(exams_part\d+\.hdf5):(?:(\d+)|exam_id=(-?\d+))")


class Listing(NamedTuple):
    """Exams of CODE-15 %, and how many others its folder holds."""

    exams: pd.DataFrame
    elsewhere: int  # exams of the table in parts that were not asked for
    dummies: int  # rows of the parts with exam_id 0
    unlisted: int  # other rows of the parts that the table does not name


def list_exams(root: Path, parts: Sequence[int] = ()) -> Listing:
    """Read ``exams.csv`` and find each exam's row in its part.

    Args:
        root: the folder with ``exams.csv`` and the parts.
        parts: numbers of the parts to use; all that the table names where none is given.

    Returns:
        ``exams``, one row an exam, has the columns as published, and ``record``: part and row, for
        example "exams_part3.hdf5:1234". An exam that its part does not hold exactly once reads
        "exams_part3.hdf5:exam_id=77", which ``read`` refuses with the reason.

    Raises:
        FileNotFoundError: where the table or one of the parts is missing.
        ValueError: where the table or a part is not that of CODE-15 %.
    """
    rows = whole = _table(root)
    if parts:
        names = [f"exams_part{number}.hdf5" for number in parts]
        unknown = sorted(set(names) - set(rows["trace_file"]))
        if unknown:
            raise ValueError(f"{Path(root) / 'exams.csv'} has no exam in {', '.join(unknown)}")
        rows = rows[rows["trace_file"].isin(names)].reset_index(drop=True)
    record = np.empty(len(rows), dtype=object)
    dummies = unlisted = 0
    for name, group in rows.groupby("trace_file"):
        held = pd.Index(exam_ids(root, name))
        dummy = held == DUMMY
        dummies += int(dummy.sum())
        unlisted += int((~dummy & ~held.isin(whole["exam_id"])).sum())
        once = pd.Series(np.arange(len(held)), index=held)[~held.duplicated(keep=False)]
        found = once.reindex(group["exam_id"], fill_value=-1).to_numpy()
        record[group.index] = [
            f"{name}:{row}" if row >= 0 else f"{name}:exam_id={exam}"
            for exam, row in zip(group["exam_id"], found, strict=True)
        ]
    exams = rows.assign(record=record)
    return Listing(exams, len(whole) - len(exams), dummies, unlisted)


def exam_ids(root: Path, part: str) -> np.ndarray:
    """Read the exam numbers of a part: int64 (N,), the dummy row included.

    Raises:
        FileNotFoundError: where the part is missing.
        ValueError: where it is damaged or has other contents.
    """
    with _open(Path(root), part) as file:
        return _read(file["exam_id"], slice(None), part).astype(np.int64)


def read(root: Path, record: str) -> tuple[np.ndarray, float]:
    """Read one exam without its padding.

    Args:
        root: the folder with the parts.
        record: part and row, as ``list_exams`` gives them.

    Returns:
        float32 (12, n) in mV, n <= 4096, leads arranged by name; and 400 Hz.

    Raises:
        FileNotFoundError: where the part is missing.
        ValueError: where the part is damaged, does not hold the exam or holds only zeros for it.
    """
    place = PLACE.fullmatch(record)
    if not place:
        raise ValueError(f"{record!r} names no exam; exams_part3.hdf5:1234 is the form")
    part, row, exam = place.groups()
    if row is None:
        count = int((exam_ids(root, part) == int(exam)).sum())
        raise ValueError(f"{part} holds exam {exam} of exams.csv {count} times, not once")
    with _open(Path(root), part) as file:
        if int(row) >= len(file["tracings"]):
            raise ValueError(f"{part} has {len(file['tracings'])} rows, none numbered {row}")
        tracing = _read(file["tracings"], int(row), part)
    signal = _without_padding(np.asarray(tracing, np.float32))
    if not len(signal):
        raise ValueError(f"{record}: the tracing is zero throughout")
    return arrange(signal.T * np.float32(TO_MILLIVOLTS), [n.removeprefix("D") for n in ORDER]), RATE


def _table(root: Path) -> pd.DataFrame:
    """``exams.csv`` as published, checked."""
    table = Path(root) / "exams.csv"
    if not table.is_file():
        raise FileNotFoundError(
            f"{root} is not a CODE-15 % folder (exams.csv is missing); give the folder that holds "
            "it and the unpacked parts exams_part0.hdf5 to exams_part17.hdf5"
        )
    rows = pd.read_csv(table)
    check_table(rows, table, COLUMNS, "exam_id")
    for name in ("is_male", *FINDINGS):
        if not rows[name].isin([True, False]).all():
            raise ValueError(f"{table} holds more than True and False in the column {name}")
    strange = [name for name in rows["trace_file"].unique() if not PART.fullmatch(str(name))]
    if strange:
        raise ValueError(f"{table} names the part {strange[0]!r}; exams_part0.hdf5 is the form")
    return rows


def _without_padding(tracing: np.ndarray) -> np.ndarray:
    """Cut samples off both ends of (n, 12) where all leads are exactly zero."""
    samples = np.flatnonzero((tracing != 0).any(axis=1))
    return tracing[samples[0] : samples[-1] + 1] if len(samples) else tracing[:0]


def _open(root: Path, part: str) -> h5py.File:
    path = root / part
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} is missing although exams.csv names it; unpack it there, or name the parts "
            "that you have under `parts` in the data plan"
        )
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
            f"{path} holds exam_id {ids} and tracings {tracings}; expected are (N,) and "
            f"(N, {SAMPLES}, {len(ORDER)})"
        )
    return file


def _read(dataset: h5py.Dataset, rows: slice | int, part: str) -> np.ndarray:
    try:
        return dataset[rows]
    except (OSError, RuntimeError) as error:
        raise ValueError(f"{part} is damaged ({first_line(error)}); download it again") from error
