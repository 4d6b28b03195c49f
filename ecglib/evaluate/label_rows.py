"""Predictions of labels from a table of scores: one row per ECG and label whose state is known."""

import numpy as np
import pandas as pd

from ecglib.evaluate import predictions
from ecglib.labels.label_set import ABSENT, PRESENT


def label_rows(
    records: pd.DataFrame,
    states: np.ndarray,
    scores: pd.DataFrame,
    rows: np.ndarray,
    method: str,
    seed: int,
) -> pd.DataFrame:
    """Prediction rows of one method and training seed.

    Args:
        records: the whole table of a cohort, N rows.
        states: int8 (N, labels); only ABSENT and PRESENT make a row.
        scores: columns row, label (a column of `states`), score (probability), in any order; other
            ECGs than those of `rows` are left out.
        rows: record numbers of the ECGs that count.
    """
    scores = scores[scores["row"].isin(rows)].sort_values(["row", "label"])
    state = states[scores["row"].to_numpy(), scores["label"].to_numpy()]
    known = np.isin(state, (ABSENT, PRESENT))
    scores, state = scores[known], state[known]
    item = scores["label"].map("label:{:02d}".format)
    target = np.where(state == PRESENT, "1", "0")
    own = records.iloc[scores["row"].to_numpy()]
    score = predictions.rounded(scores["score"])
    return predictions.build(own, method, seed, item, target=target, score=score)
