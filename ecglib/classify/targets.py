"""Which labels are scored, and which cells (ECG and label) may be trained on or scored."""

import numpy as np
import pandas as pd

from ecglib.cohorts.store import Cohort
from ecglib.labels.label_set import ABSENT, PRESENT


def scored_labels(cohort: Cohort, min_positives: int) -> list[int]:
    """Labels that are present in `min_positives` training ECGs and absent in as many.

    The test split is not consulted. A chosen label that no test ECG has remains in the list and is
    reported as not measurable. Raises ValueError: no label is frequent enough."""
    states = cohort.labels[cohort.rows("train")]
    present, absent = (states == PRESENT).sum(0), (states == ABSENT).sum(0)
    labels = np.flatnonzero((present >= min_positives) & (absent >= min_positives))
    if not len(labels):
        raise ValueError(
            f"{cohort.folder}: expected a label that is present in {min_positives} training ECGs "
            "and absent in as many, got none; lower min_positives or take more patients"
        )
    return labels.tolist()


def binary_targets(states: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Turn label states into targets float32 (1 = present) and a bool mask of the known cells.

    The states uncertain, history and not assessable are masked: they are neither "yes" nor "no".
    """
    known = (states == ABSENT) | (states == PRESENT)
    return (states == PRESENT).astype(np.float32), known


def score_table(rows: np.ndarray, labels: list[int], scores: np.ndarray) -> pd.DataFrame:
    """Scores (len(rows), len(labels)) as a long table row, label, score, ordered by row."""
    return pd.DataFrame(
        {
            "row": np.repeat(np.asarray(rows, dtype=np.int64), len(labels)),
            "label": np.tile(np.asarray(labels, dtype=np.int64), len(rows)),
            "score": np.asarray(scores, dtype=np.float64).ravel(),
        }
    )
