"""From probabilities to statements: a threshold per label, chosen on validation ECGs."""

import numpy as np
import pandas as pd

from ecglib.classify.targets import binary_targets
from ecglib.labels.label_set import ABSENT, NOT_ASSESSABLE, PRESENT


def best_f1(target: np.ndarray, known: np.ndarray, score: np.ndarray) -> np.ndarray:
    """The threshold per label (labels,) with the highest F1 on the known cells.

    A cell with score >= threshold is predicted to be present. Of equally good thresholds the
    highest is taken. A label without a positive gets infinity: it is never predicted.

    `target`: 0 or 1; `known`: bool; `score`: probabilities; all (n, labels).
    """
    chosen = np.full(score.shape[1], np.inf)
    for label in range(score.shape[1]):
        cells = known[:, label]
        order = np.argsort(-score[cells, label], kind="stable")
        ranked, truth = score[cells, label][order], target[cells, label][order]
        if not truth.any():
            continue
        f1 = 2 * np.cumsum(truth) / (np.arange(1, len(truth) + 1) + truth.sum())
        last_of_tie = np.append(ranked[1:] != ranked[:-1], True)
        chosen[label] = ranked[np.argmax(np.where(last_of_tie, f1, -1.0))]
    return chosen


def predicted_states(
    scores: pd.DataFrame, states: np.ndarray, validation: np.ndarray, rows: np.ndarray
) -> np.ndarray:
    """Predicted states int8 (len(rows), labels): PRESENT where the score reaches its threshold.

    Args:
        scores: columns row, label (a column of `states`), score, as a training step writes them; it
            has every label for every row of `validation` and `rows`.
        states: int8 (N, labels) of the whole cohort, of the 77 labels or of other targets. Only its
            validation rows are read: on them the thresholds are chosen.
        validation, rows: record numbers.

    Returns ABSENT for a label without a score; NOT_ASSESSABLE if no validation state is known.
    """
    wide = scores.pivot(index="row", columns="label", values="score")
    labels = wide.columns.to_numpy()
    cells = binary_targets(states[validation][:, labels])
    threshold = best_f1(*cells, wide.loc[validation].to_numpy())
    never = (states[validation] == NOT_ASSESSABLE).all(axis=0)
    predicted = np.tile(np.where(never, NOT_ASSESSABLE, ABSENT).astype(np.int8), (len(rows), 1))
    predicted[:, labels] = np.where(wide.loc[rows].to_numpy() >= threshold, PRESENT, ABSENT)
    return predicted
