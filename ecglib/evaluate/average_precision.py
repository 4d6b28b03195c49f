"""Average precision (AUPRC) of classification rows: micro and macro, with intervals.

Not interpolated, as in scikit-learn (`weighted_curves.WeightedAveragePrecision`). The rows, the
averages, the seeds and the intervals are those of `auc`. A score that ranks at random has the share
of positives as its average precision, so a value means nothing without that share.
"""

from functools import partial

import pandas as pd

from ecglib.evaluate import auc
from ecglib.evaluate.weighted_curves import WeightedAveragePrecision

average_precision = partial(auc.auc, curve=WeightedAveragePrecision)


def random_level(frame: pd.DataFrame, average: str = "micro") -> float:
    """Average precision of a random ranking: the share of positives among all cells ("micro"), or
    the mean of the labels' shares ("macro", over labels with a positive and a negative)."""
    positive = (auc.select(frame)["target"] == "1").astype(float)
    if average == "micro":
        return float(positive.mean())
    shares = positive.groupby(auc.select(frame)["label"]).mean()
    return float(shares[shares.between(0, 1, inclusive="neither")].mean())
