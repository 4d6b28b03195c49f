"""One nested split by patient: 70 % train, 10 % validation, 20 % test, stratified on the labels.

The split is nested: the test patients are drawn first, and the validation patients from the rest.
Another share of validation therefore moves no patient into or out of the test set. `folds` takes
the official folds of a data set instead.

All tables have one row per ECG. A person is a pair of ``source`` and ``patient_id``.
"""

import hashlib
from collections.abc import Sequence

import numpy as np
import pandas as pd

from ecglib.labels.label_set import COLUMNS, LABELS, NOT_ASSESSABLE, PRESENT, column

FRACTIONS = {"train": 0.7, "validation": 0.1, "test": 0.2}
NO_PATIENT = ("", "nan", "None")  # texts of a missing patient number
FOLDS = {"train": (1, 2, 3, 4, 5, 6, 7, 8), "validation": (9,), "test": (10,)}


def assign(records: pd.DataFrame, seed: int) -> np.ndarray:
    """Name the split of every record; all records of one patient share it.

    Args:
        records: columns ``patient_id`` and ``label_00`` to ``label_76``.
        seed: the same seed and the same patients give the same split in any order of rows.

    Returns (N,) "train", "validation" or "test". Raises ValueError: a record without a patient.
    """
    names, row_name = np.unique(_patients(records), return_inverse=True)
    patient = np.argsort(by_hash(names, seed))[row_name]  # by rank
    counts, sizes = np.zeros((len(names), len(LABELS)), int), np.bincount(patient)
    np.add.at(counts, patient, (records[list(COLUMNS)].to_numpy() == PRESENT).astype(int))
    inner = ~draw(counts, sizes, FRACTIONS["test"])
    share = FRACTIONS["validation"] / (FRACTIONS["validation"] + FRACTIONS["train"])
    chosen = draw(counts[inner], sizes[inner], share)
    split = np.full(len(names), "test", dtype=object)
    split[inner] = np.where(chosen, "validation", "train")
    return split[patient]


def draw(counts: np.ndarray, sizes: np.ndarray, share: float) -> np.ndarray:
    """Choose patients for the smaller side of a two-way split by greedy stratification.

    As in iterative stratification (Sechidis, Tsoumakas and Vlahavas 2011, ECML PKDD) the patients
    with the rarest labels are dealt first. Each goes to the side that then misses its wanted
    numbers least, over all labels at once: the smaller growth of the chi-square distance

        sum over labels of (wanted - dealt)^2 / wanted

    Args:
        counts: (P, L) how many ECGs of each patient carry each label.
        sizes: (P,) how many ECGs each patient has; ECGs and patients count like two more labels.
        share: wanted share of every label's ECGs on the chosen side.

    Returns (P,) bool, True for the chosen patients; a tie goes to the other side.
    """
    columns = np.column_stack([counts, sizes, np.ones(len(sizes))]).astype(float)
    wanted = np.array([[1 - share], [share]]) * np.maximum(columns.sum(axis=0), 1)  # (2, L + 2)
    lack = wanted.copy()
    patients_with = (columns > 0).sum(axis=0)
    rarest = np.where(columns > 0, patients_with, np.inf).min(axis=1)
    chosen = np.zeros(len(columns), bool)
    for patient in np.argsort(rarest, kind="stable"):
        count = columns[patient]
        relief = ((2 * lack - count) * count / wanted).sum(axis=1)  # lack^2 - (lack - count)^2
        chosen[patient] = relief[1] > relief[0]
        lack[int(chosen[patient])] -= count
    return chosen


def folds(records: pd.DataFrame) -> np.ndarray:
    """Take the split from the column ``fold``: 1 to 8 train, 9 validation, 10 test.

    Source: PTB-XL (Wagner et al. 2020, Scientific Data), column ``strat_fold``: stratified by the
    publishers, each patient in one fold.

    Returns (N,) array of "train", "validation" or "test". Raises ValueError: a fold that is not one
    of 1 to 10, a patient in two parts, or a part without any ECG.
    """
    split = np.full(len(records), "", dtype=object)
    for name, numbers in FOLDS.items():
        split[records["fold"].isin(numbers).to_numpy()] = name
    bad = split == ""
    if bad.any():
        raise ValueError(
            f"{bad.sum()} of {len(bad)} ECGs have no fold of 1 to 10 (the first reads "
            f"{records['fold'][bad].iloc[0]}); correct it or split by patient"
        )
    for name in FOLDS:
        if name not in split:
            text = f"the {name} part has no ECG by its folds"
            raise ValueError(f"{text}; use the whole release or split by patient")
    if shared := shared_patients(records.assign(split=split)):
        text = f"{shared} patients are in two parts by their folds"
        raise ValueError(f"{text}; correct the folds or split by patient")
    return split


def balance(records: pd.DataFrame) -> pd.DataFrame:
    """Tabulate the shares of the parts in patients, ECGs and the ECGs of each label.

    Returns one row for patients, one for ECGs, one per label with a present ECG; columns ``what``,
    ``total``, one share per split, ``in_test`` (number in test) and ``gap_points``, the largest
    difference between two parts of the label's prevalence (present of assessable ECGs) in
    percentage points; NaN for patients, for ECGs, and where fewer than two parts can be assessed.
    """
    split = records["split"].to_numpy()
    _, first = np.unique(persons(records), return_index=True)
    rows = [_shares("patients", split[first]), _shares("ECGs", split)]
    for index, name in enumerate(LABELS):
        states = records[column(index)].to_numpy()
        if (states == PRESENT).any():
            gap = _gap(states, split)
            rows.append(_shares(name, split[states == PRESENT]) | {"gap_points": gap})
    return pd.DataFrame(rows)


def by_hash(patients: Sequence[str], seed: int) -> np.ndarray:
    """Order patients by the SHA-256 of seed and name: random, whatever the order of the rows."""
    return np.argsort([hashlib.sha256(f"{seed}:{name}".encode()).hexdigest() for name in patients])


def shared_patients(records: pd.DataFrame) -> int:
    """Count the patients in more than one split (0 in a sound cohort)."""
    return int((records["split"].groupby(persons(records)).nunique() > 1).sum())


def persons(records: pd.DataFrame) -> np.ndarray:
    """Number the people behind the ECGs: (N,) integers from 0, by pairs of source and patient.
    Raises ValueError: a record without a patient."""
    person = [records["source"].to_numpy(dtype=str), _patients(records)]
    return records.groupby(person, sort=False).ngroup().to_numpy()


def _shares(what: str, split: np.ndarray) -> dict[str, object]:
    row: dict[str, object] = {"what": what, "total": len(split)}
    row |= {name: float(np.mean(split == name)) for name in FRACTIONS}
    return row | {"in_test": int((split == "test").sum()), "gap_points": float("nan")}


def _gap(states: np.ndarray, split: np.ndarray) -> float:
    parts = [states[(split == name) & (states != NOT_ASSESSABLE)] for name in FRACTIONS]
    percent = [100 * float(np.mean(part == PRESENT)) for part in parts if len(part)]
    return max(percent) - min(percent) if len(percent) > 1 else float("nan")


def _patients(records: pd.DataFrame) -> np.ndarray:
    """The patients as text; a record without one is an error."""
    patients = records["patient_id"].astype(str)
    if patients.isin(NO_PATIENT).any() or patients.isna().any():
        raise ValueError("a record without patient_id cannot be split by patient; give it one")
    return patients.to_numpy()
