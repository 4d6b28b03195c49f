"""How many cases a test part has of each label, and how small a difference they could show."""

import numpy as np
import pandas as pd
from scipy.stats import norm

from ecglib.labels.label_set import ABSENT, LABELS, PRESENT, column


def detectable(
    positives: int,
    negatives: int,
    auc: float = 0.9,
    correlation: float = 0.5,
    alpha: float = 0.05,
    power: float = 0.8,
) -> float:
    """Smallest difference in ROC-AUC of two methods, tested on the same ECGs, that would be seen.

    The standard error of an AUC is that of Hanley and McNeil (1982, Radiology 143:29); scores of
    two methods on the same cases are correlated (1983, Radiology 148:839).

    Args:
        positives, negatives: ECGs with and without the finding.
        auc: that of the better known method.
        correlation: of the two AUCs.
        alpha: of a two-sided test.
        power: chance that the difference is found.

    Returns:
        a difference in AUC; NaN where there are no positives or no negatives.

    Raises:
        ValueError: auc or correlation is not within [0, 1).
    """
    if not (0 <= auc < 1 and 0 <= correlation < 1):
        raise ValueError(f"auc {auc} and correlation {correlation} must lie in [0, 1)")
    if not positives or not negatives:
        return float("nan")
    q1, q2 = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    spread = auc * (1 - auc) + (positives - 1) * (q1 - auc**2) + (negatives - 1) * (q2 - auc**2)
    error = np.sqrt(spread / (positives * negatives))
    return float(
        (norm.isf(alpha / 2) + norm.isf(1 - power)) * np.sqrt(2 * (1 - correlation)) * error
    )


def of_test(records: pd.DataFrame, auc: float = 0.9) -> pd.DataFrame:
    """Each label of a cohort that its test part can judge.

    Args:
        records: the cohort's table with ``split`` and the label columns.
        auc: see `detectable`.

    Returns:
        columns ``index``, ``label``, ``positives``, ``negatives`` (ECGs of the test part) and
        ``detectable`` (difference in AUC), fewest positives first; labels without a positive in
        the whole cohort are left out.
    """
    test = records[records["split"] == "test"]
    rows = []
    for index, name in enumerate(LABELS):
        if not (records[column(index)] == PRESENT).any():
            continue
        states = test[column(index)].to_numpy()
        counts = int((states == PRESENT).sum()), int((states == ABSENT).sum())
        rows.append((index, name, *counts, detectable(*counts, auc=auc)))
    names = ["index", "label", "positives", "negatives", "detectable"]
    table = pd.DataFrame(rows, columns=names)
    return table.sort_values(["positives", "index"], ignore_index=True)
