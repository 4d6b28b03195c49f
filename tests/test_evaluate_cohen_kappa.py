"""Cohen's kappa by hand, against scikit-learn, and by category."""

import numpy as np
import pytest
from _cohen_kappa import by_category, kappa
from sklearn.metrics import cohen_kappa_score


def test_kappa_is_agreement_beyond_chance():
    """20 yes, 15 no of both, 5 and 10 apart (Cohen's textbook case): (0.70 - 0.50) / 0.50."""
    totals = np.array([[20, 10, 5, 15], [0, 0, 0, 9], [5, 0, 0, 5]])
    values = kappa(totals)
    assert values[[0, 2]] == pytest.approx([0.4, 1.0]) and np.isnan(values[1])


def test_labels_without_a_positive_are_named_and_left_out():
    rng = np.random.default_rng(0)
    one = rng.random((80, 5)) < 0.4
    other = np.where(rng.random((80, 5)) < 0.2, ~one, one)
    known = rng.random((80, 5)) < 0.9
    one[:, 2] = False  # no positive
    known[:, 3] = False  # never compared
    categories = {"a": [0, 1, 2], "b": [2, 3], "c": [4]}
    table = by_category(one, other, known, np.arange(80) // 2, categories, 0, 200)
    table = table.set_index("category")
    assert table["left_out"].to_dict() == {"a": [2], "b": [2], "c": []}
    assert table["labels"].tolist() == [2, 0, 1] and table["n"].tolist() == [40, 0, 40]
    assert table.loc["b", ["value", "low", "high", "label_mean"]].isna().all()
    of_label = [
        cohen_kappa_score(one[known[:, i], i], other[known[:, i], i]) for i in range(5) if i != 3
    ]
    assert table.loc["a", "label_mean"] == pytest.approx(np.mean(of_label[:2]))
    assert table.loc["c", "value"] == pytest.approx(of_label[3])
    pooled = [matrix[:, :2][known[:, :2]] for matrix in (one, other)]
    assert table.loc["a", "value"] == pytest.approx(cohen_kappa_score(*pooled))
    assert (table["low"] < table["value"]).sum() == 2 == (table["value"] < table["high"]).sum()
    assert table.loc["a", "positives"] == pooled[0].sum()
