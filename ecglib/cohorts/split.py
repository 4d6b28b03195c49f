"""One nested split by patient: 70 % train, 10 % validation, 20 % test, stratified on the labels.

Nested: the test patients are drawn first, from everybody; the validation patients then from the
rest. A different validation share therefore never moves a patient into or out of the test set.
"""

import hashlib
from collections.abc import Sequence

import numpy as np
import pandas as pd

from ecglib.cohorts.labels import LABELS, PRESENT, column

FRACTIONS = {"train": 0.7, "validation": 0.1, "test": 0.2}


def assign(records: pd.DataFrame, seed: int, fractions: dict[str, float] = FRACTIONS) -> np.ndarray:
    """Name the split of every record; all records of one patient share it.

    Args:
        records: columns ``patient_id`` and ``label_00`` to ``label_76``, one row an ECG.
        seed: the same seed and the same patients give the same split in any order of rows.
        fractions: shares of train, validation and test, which add up to 1.

    Returns:
        (N,) array of "train", "validation" or "test".

    Raises:
        ValueError: for shares that do not add up to 1 or a record without a patient.
    """
    if sorted(fractions) != sorted(FRACTIONS) or abs(sum(fractions.values()) - 1) > 1e-9:
        raise ValueError(
            f"split fractions {fractions} must name train, validation and test and add up to 1"
        )
    patient_of = records["patient_id"].astype(str).to_numpy()
    if np.isin(patient_of, ["", "nan", "None"]).any():
        raise ValueError("a record without patient_id cannot be split by patient; give it one")
    names, row_patient = np.unique(patient_of, return_inverse=True)
    order = by_hash(names, seed)
    rank = np.empty(len(names), int)
    rank[order] = np.arange(len(names))

    counts, sizes = _per_patient(records, rank[row_patient], len(names))
    test = draw(counts, sizes, fractions["test"])
    inner = ~test
    share = fractions["validation"] / (fractions["validation"] + fractions["train"])
    chosen = draw(counts[inner], sizes[inner], share)
    split = np.full(len(names), "test", dtype=object)
    split[inner] = np.where(chosen, "validation", "train")
    return split[rank[row_patient]]


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

    Returns:
        (P,) bool, True for the chosen patients; a tie goes to the other side.
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


def balance(records: pd.DataFrame) -> pd.DataFrame:
    """Tabulate the share of each split among patients, ECGs and the ECGs of each label.

    Returns:
        one row for patients, one for ECGs, one for each label with a present ECG; columns
        ``what``, ``total`` and one share for each split.
    """
    split = records["split"].to_numpy()
    patients = records.drop_duplicates("patient_id")
    rows = [_shares("patients", patients["split"].to_numpy()), _shares("ECGs", split)]
    for index, name in enumerate(LABELS):
        present = records[column(index)].to_numpy() == PRESENT
        if present.any():
            rows.append(_shares(name, split[present]))
    return pd.DataFrame(rows)


def by_hash(patients: Sequence[str], seed: int) -> np.ndarray:
    """Order patients by the SHA-256 of seed and name: random, yet free of the rows' order."""
    return np.argsort([hashlib.sha256(f"{seed}:{name}".encode()).hexdigest() for name in patients])


def shared_patients(records: pd.DataFrame) -> int:
    """Count the patients that stand in more than one split (0 in a sound cohort)."""
    return int((records.groupby("patient_id")["split"].nunique() > 1).sum())


def _shares(what: str, split: np.ndarray) -> dict[str, object]:
    row: dict[str, object] = {"what": what, "total": len(split)}
    return row | {name: float(np.mean(split == name)) for name in FRACTIONS}


def _per_patient(
    records: pd.DataFrame, row_patient: np.ndarray, n_patients: int
) -> tuple[np.ndarray, np.ndarray]:
    labels = records[[column(index) for index in range(len(LABELS))]].to_numpy()
    counts = np.zeros((n_patients, len(LABELS)), int)
    np.add.at(counts, row_patient, (labels == PRESENT).astype(int))
    return counts, np.bincount(row_patient, minlength=n_patients)
