"""AUC against scikit-learn on expanded data, and the speed the notebooks count on."""

import time

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from ecglib.evaluate import auc


def cells(n: int, labels: int, seed: int, method: str = "rvq") -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    target = rng.random((n, labels)) < np.linspace(0.1, 0.5, labels)
    score = np.round(np.clip(0.3 * target + 0.7 * rng.random((n, labels)), 0, 1), 2)  # with ties
    rows = [(e // 2, e, f"label:{j:02d}") for e in range(n) for j in range(labels)]
    frame = pd.DataFrame(rows, columns=["unit", "ecg", "item"]).assign(method=method)
    return frame.assign(target=target.ravel().astype(int).astype(str), score=score.ravel())


def test_by_hand():
    """Positives 0.8, 0.4; negatives 0.4, 0.1: 3 of 4 pairs won, one of them a tie: 3.5 / 4."""
    value = auc.WeightedAUC(np.array([1, 1, 0, 0]), np.array([0.8, 0.4, 0.4, 0.1]), np.arange(4))
    assert value(np.ones((1, 4)))[0] == pytest.approx(3.5 / 4)


def test_weights_equal_repeated_patients():
    frame = cells(60, 3, 0)
    weights = np.random.default_rng(1).integers(0, 4, size=(5, 30)).astype(float)
    statistic = auc.statistic(auc.select(frame), np.arange(30))
    for row, value in zip(weights, statistic(weights), strict=True):
        repeat = row[frame["unit"]].astype(int)
        y, s = (np.repeat(frame[c].to_numpy(), repeat) for c in ("target", "score"))
        assert value == pytest.approx(roc_auc_score(y == "1", s), abs=1e-12)


def test_micro_is_the_ravelled_matrix_and_macro_the_mean_over_labels():
    frame = cells(80, 4, 2)
    y = (frame["target"] == "1").to_numpy().reshape(80, 4)
    s = frame["score"].to_numpy().reshape(80, 4)
    micro, macro = (auc.auc(frame, average=a, resamples=20) for a in ("micro", "macro"))
    assert micro.value == pytest.approx(roc_auc_score(y.ravel(), s.ravel()))
    assert macro.value == pytest.approx(roc_auc_score(y, s, average="macro"))
    assert micro.n == 40


def test_paired_difference_with_itself_is_zero_and_alignment_is_checked():
    frame = cells(40, 2, 3)
    difference = auc.difference(frame, frame, resamples=50)
    assert (difference.value, difference.low, difference.high) == (0.0, 0.0, 0.0)
    with pytest.raises(ValueError, match="not aligned"):
        auc.difference(frame, frame.iloc[1:], resamples=50)


def test_a_category_without_positives_is_listed_without_a_value():
    frame = cells(40, 2, 4)
    frame.loc[frame["item"] == "label:01", "target"] = "0"
    table = auc.by_category(frame, {"Rhythm": [0], "Other": [1], "None": [5]}, resamples=20)
    assert list(table["category"]) == ["Rhythm", "Other", "None", "All"]
    assert table["value"].isna().tolist() == [False, True, True, False]
    assert auc.by_label(frame, resamples=20)["value"].isna().tolist() == [False, True]


def test_2000_resamples_of_600_patients_and_20_labels_take_seconds():
    frame = cells(1200, 20, 5)
    start = time.perf_counter()
    auc.auc(frame)
    assert time.perf_counter() - start < 20
