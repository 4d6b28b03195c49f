"""Cases in the test part, and the smallest difference in AUC that they could show."""

import math

import numpy as np
import pandas as pd
import pytest

from ecglib.cohorts import power
from ecglib.labels.label_set import COLUMNS


def test_a_difference_by_hand():
    """AUC 0.9, 15 and 985 ECGs: q1 = 0.9 / 1.1 = 0.81818, q2 = 1.62 / 1.9 = 0.85263.

    0.09 + 14 * 0.0081818 + 984 * 0.0426316 = 42.15404; / (15 * 985) = 0.0028531; root 0.053414.
    Times (1.95996 + 0.84162) * sqrt(2 * 0.5) = 0.14964.
    """
    assert power.detectable(15, 985) == pytest.approx(0.14964, abs=2e-4)
    assert power.detectable(150, 985) < 0.06
    assert power.detectable(15, 985, correlation=0.0) == pytest.approx(0.14964 * 2**0.5, abs=3e-4)
    assert math.isnan(power.detectable(0, 10))
    with pytest.raises(ValueError, match="must lie in"):
        power.detectable(5, 5, auc=1.0)


def test_the_table_counts_the_test_part():
    states = np.full((6, 77), -1)
    states[:, 6] = [1, 1, 0, 0, 1, 0]
    states[:, 15] = [1, 0, 0, 0, 0, 0]
    records = pd.DataFrame(states, columns=list(COLUMNS))
    records["split"] = ["train", "test", "test", "test", "train", "train"]
    found = power.of_test(records)
    assert found[["index", "positives", "negatives"]].to_numpy().tolist() == [[15, 0, 3], [6, 1, 2]]
    assert math.isnan(found["detectable"][0]) and found["detectable"][1] > 0.2
