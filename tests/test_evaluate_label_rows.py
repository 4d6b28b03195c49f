"""Scores become predictions where the state of the label is known."""

import numpy as np
import pandas as pd
import pytest

from ecglib.evaluate import auc, label_rows


def test_known_cells_of_the_wanted_ecgs_become_rows():
    """Four ECGs, two labels; ECG 0 is not wanted, one cell uncertain, one not assessable."""
    records = pd.DataFrame({"unit": [7, 7, 3, 4], "ecg": [10, 11, 12, 13]})
    records = records.assign(site="A", sex="F", age=50.0)
    states = np.array([[1, 1], [1, 0], [2, 1], [0, -1]], np.int8)
    table = {"row": [3, 0, 1, 2] * 2, "label": [0] * 4 + [1] * 4}
    scores = pd.DataFrame(table | {"score": [0.1, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 1.23456789e-7]})
    rows = label_rows.label_rows(records, states, scores, np.array([1, 2, 3]), "vq", 2)
    assert rows[["ecg", "item", "target", "unit"]].to_numpy().tolist() == [
        [11, "label:00", "1", 7],
        [11, "label:01", "0", 7],
        [12, "label:01", "1", 3],
        [13, "label:00", "0", 4],
    ]
    # Log-odds in steps of 1/32; the small score is not 0, so it keeps its order.
    assert rows["score"].tolist() == pytest.approx([0.8, 0.4, 1.2346e-7, 0.1], rel=0.016)
    assert set(rows["method"]) == {"vq"} and set(rows["seed"]) == {2}
    assert auc.auc(rows, "macro", resamples=10).value == 0.5  # one label right, one wrong
