"""Which labels are scored, and which of their cells may be learned from or scored."""

import numpy as np

from ecglib.cohorts.store import Cohort
from ecglib.labels.label_set import ABSENT, PRESENT


def scored_labels(cohort: Cohort, min_positives: int) -> list[int]:
    """Labels with at least `min_positives` ECGs present, and as many absent, in the training split.

    The test split has no say: a label that turns out to be absent there stays in the list and is
    reported as not measurable.

    Raises:
        ValueError: no label is frequent enough.
    """
    states = cohort.labels[cohort.rows("train")]
    present, absent = (states == PRESENT).sum(0), (states == ABSENT).sum(0)
    labels = np.flatnonzero((present >= min_positives) & (absent >= min_positives))
    if not len(labels):
        raise ValueError(
            f"{cohort.folder}: no label has {min_positives} positive and as many negative ECGs in "
            "the training split; lower classify.min_positives or take more patients"
        )
    return [int(label) for label in labels]


def targets(states: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Label states -> targets float32 (1 = present) and a mask of the cells that are known.

    Uncertain, history and not assessable are masked: neither "yes" nor "no" is true of them.
    """
    known = (states == ABSENT) | (states == PRESENT)
    return (states == PRESENT).astype(np.float32), known
