"""Classifier two-sample test: how well one score per ECG separates two sets of ECGs.

The sets are not labels of an ECG, so the rows are not those of a prediction file.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ecglib.evaluate.auc import WeightedAUC
from ecglib.evaluate.bootstrap import RESAMPLES, Estimate, estimate


def auc(
    targets: np.ndarray,
    scores: np.ndarray,
    units: np.ndarray,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Estimate:
    """AUC of the scores and its 95 % interval over patients.

    Args:
        targets: (m,) 1 = of the second set, 0 = of the first.
        scores: (m,) larger for the second.
        units: (m,) the patient of each ECG.
    """
    patients, index = np.unique(units, return_inverse=True)
    statistic = WeightedAUC(np.asarray(targets), np.asarray(scores), index)
    return estimate(statistic, len(patients), seed, resamples, len(index) // len(patients) + 1)


def table(
    frame: pd.DataFrame, by: Sequence[str], seed: int = 0, resamples: int = RESAMPLES
) -> pd.DataFrame:
    """`auc` of each group of rows, groups in order of appearance.

    Args:
        frame: columns ``target``, ``score``, ``unit``, and those named in `by`.

    Returns:
        the columns `by`, then ``value``, ``low``, ``high`` and ``n`` (patients).
    """
    rows = []
    for key, part in frame.groupby(list(by), sort=False):
        value = auc(part["target"], part["score"], part["unit"], seed, resamples)
        rows.append(dict(zip(by, key, strict=True)) | vars(value))
    return pd.DataFrame(rows)
