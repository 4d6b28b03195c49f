"""A small tree in the layout of CODE-15 %: two HDF5 parts, zero padding, dummy last rows."""

from pathlib import Path

import fake_ptbxl
import h5py
import numpy as np
import pandas as pd

from ecglib.sources.code15 import SAMPLES, TO_MILLIVOLTS

# exam_id -> (part, samples, columns that are True); 0 samples = zero throughout
EXAMS = {
    1001: (0, 4096, ()),
    1002: (0, 4000, ("AF",)),
    1003: (0, 2934, ("SB", "1dAVb")),
    1004: (1, 2934, ("RBBB", "ST")),
    1005: (1, 0, ()),
}
COLUMNS = ("1dAVb", "RBBB", "LBBB", "SB", "AF", "ST")


def signal(exam: int) -> np.ndarray:
    """The exam's (12, n) in mV; no sample is zero in all leads."""
    return fake_ptbxl.signal(exam, EXAMS[exam][1])


def padded(x: np.ndarray) -> np.ndarray:
    """float32 (4096, 12) in the stored unit, zeros at both ends."""
    before = (SAMPLES - x.shape[1]) // 2
    after = SAMPLES - x.shape[1] - before
    return np.pad((x / TO_MILLIVOLTS).T, ((before, after), (0, 0))).astype(np.float32)


def write_part(path: Path, exams: list[int], tracings: list[np.ndarray]) -> None:
    """Write a part with the dummy row that ends each part of the release."""
    with h5py.File(path, "w") as file:
        file["exam_id"] = np.array([*exams, 0], dtype=np.int64)
        file["tracings"] = np.stack([*tracings, np.zeros((SAMPLES, 12), np.float32)])


def write_table(root: Path, exams: dict[int, tuple[int, int, tuple[str, ...]]]) -> None:
    """Write exams.csv; two exams per patient."""
    rows = []
    for number, (exam, (part, _, stated)) in enumerate(exams.items()):
        row = {"exam_id": exam, "age": 30 + number, "is_male": number % 2 == 0}
        row |= {"nn_predicted_age": 40.5} | {name: name in stated for name in COLUMNS}
        row |= {"patient_id": 500 + number // 2, "death": "", "timey": "", "normal_ecg": not stated}
        rows.append(row | {"trace_file": f"exams_part{part}.hdf5"})
    pd.DataFrame(rows).to_csv(root / "exams.csv", index=False)


def write_tree(root: Path) -> None:
    """Write five exams of three patients."""
    write_table(root, EXAMS)
    for part in (0, 1):
        exams = [exam for exam, (place, *_) in EXAMS.items() if place == part]
        # The rows of a part are not in the order of the table.
        tracings = [padded(signal(exam)) for exam in exams[::-1]]
        write_part(root / f"exams_part{part}.hdf5", exams[::-1], tracings)
