"""An interval of one AUC on few positives.

A bootstrap over patients has no width where all positives score above all negatives, however few
they are. Newcombe's interval (2006, Statistics in Medicine 25:559, method 5) is wide there. It
inverts a score test with the variance of Hanley and McNeil (1982, Radiology 143:29) for an AUC of
theta, with n1 positives, n0 negatives and n = (n1 + n0) / 2 - 1:

    theta (1 - theta) (1 + n (1 - theta) / (2 - theta) + n theta / (1 + theta)) / (n1 n0)
"""

import numpy as np
from scipy.optimize import brentq
from scipy.stats import norm

from ecglib.evaluate.bootstrap import LEVEL

ASIDE = 1e-9


def newcombe(value: float, positives: int, negatives: int) -> tuple[float, float]:
    """Lower and upper end of the 95 % interval of an AUC; each ECG counts as a patient.
    Raises ValueError: no positive or no negative."""
    if min(positives, negatives) < 1:
        given = f"got {positives} and {negatives}"
        raise ValueError(f"expected a positive and a negative, {given}; leave the label out")
    z, n = norm.ppf((1 + LEVEL) / 2), (positives + negatives) / 2 - 1

    def distance(theta: float) -> float:
        """Squared distance to the value, over what the interval allows."""
        spread = 1 + n * (1 - theta) / (2 - theta) + n * theta / (1 + theta)
        variance = theta * (1 - theta) * spread / (positives * negatives)
        return (value - theta) ** 2 - z**2 * variance

    # a step aside of the value, because the distance is zero in 0 and in 1
    low = 0.0 if value <= 0 else float(brentq(distance, 0.0, value - ASIDE))
    high = 1.0 if value >= 1 else float(brentq(distance, value + ASIDE, 1.0))
    return low, high


def of_label(target: np.ndarray, score: np.ndarray) -> tuple[float, float, float]:
    """AUC of one label with its `newcombe` interval: target of 0 and 1, score (n,)."""
    target, score = np.asarray(target) == 1, np.asarray(score, dtype=float)
    positive, negative = score[target], score[~target]
    wins = (positive[:, None] > negative).sum() + 0.5 * (positive[:, None] == negative).sum()
    value = float(wins / max(1, len(positive) * len(negative)))
    return value, *newcombe(value, len(positive), len(negative))
