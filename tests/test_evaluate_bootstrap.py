"""The bootstrap by hand, against a slow loop and in its coverage; AUC against scikit-learn."""

import time

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from ecglib.evaluate import auc, bootstrap


def frame(values, units, ecgs=None) -> pd.DataFrame:
    ecgs = np.arange(len(values)) if ecgs is None else ecgs
    return pd.DataFrame({"unit": units, "ecg": ecgs, "item": "rouge_l", "score": values})


def test_mean_counts_rows_and_resamples_patients():
    """Patient 0 has scores 1 and 1, patient 1 has 0: mean 2/3, n = 2 patients.

    The only resamples are {0,0}: 1, {0,1}: 2/3, {1,1}: 0, so the interval is [0, 1].
    """
    estimate = bootstrap.mean(frame([1.0, 1.0, 0.0], [0, 0, 1]))
    assert estimate == bootstrap.Estimate(pytest.approx(2 / 3), 0.0, 1.0, 2)


def test_agrees_with_a_loop_that_copies_rows():
    rng = np.random.default_rng(3)
    data = frame(rng.normal(size=30), rng.integers(0, 8, 30))
    estimate = bootstrap.mean(data, seed=5, resamples=50)
    groups = [part["score"].to_numpy() for _, part in data.groupby("unit")]
    draw = np.random.default_rng(5).integers(0, len(groups), size=(50, len(groups)))
    means = sorted(np.concatenate([groups[i] for i in row]).mean() for row in draw)
    assert estimate.low == pytest.approx(means[1]) and estimate.high == pytest.approx(means[48])


def test_chunks_do_not_change_the_draws():
    whole = np.concatenate(list(bootstrap.patient_weights(7, 20, 1, 20)))
    parts = np.concatenate(list(bootstrap.patient_weights(7, 20, 1, 3)))
    assert (whole == parts).all() and (whole.sum(axis=1) == 7).all()


def test_a_constant_difference_has_no_width_because_the_pairing_stays():
    values, units = np.random.default_rng(0).normal(size=40), np.arange(40) // 2
    estimate = bootstrap.paired_difference(frame(values + 0.25, units), frame(values, units))
    assert estimate.low == pytest.approx(0.25) and estimate.high == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (frame([1.0, 2.0], [0, 1], [0, 7]), "not aligned"),
        (frame([1.0], [0]), "2 rows against 1"),
        (frame([1.0, np.nan], [0, 1]), "score is missing for unit 1"),
    ],
)
def test_sets_that_do_not_fit_are_refused(other, message):
    with pytest.raises(ValueError, match=message):
        bootstrap.paired_difference(frame([1.0, 2.0], [0, 1]), other)


def test_one_patient_has_no_interval():
    estimate = bootstrap.mean(frame([1.0, 2.0], [0, 0]))
    assert estimate.value == 1.5 and np.isnan([estimate.low, estimate.high]).all()


def test_coverage_is_near_95_percent():
    """200 data sets of 60 patients with 1-3 correlated rows: the true mean 0 is covered."""
    rng = np.random.default_rng(11)
    covered = 0
    for trial in range(200):
        units = np.repeat(np.arange(60), rng.integers(1, 4, 60))
        values = rng.normal(size=60)[units] + 0.3 * rng.normal(size=len(units))
        estimate = bootstrap.mean(frame(values, units), seed=trial, resamples=400)
        covered += estimate.low <= 0 <= estimate.high
    assert 0.90 <= covered / 200 <= 0.99


def test_the_global_generator_is_untouched():
    np.random.seed(0)
    before = np.random.get_state()[1].copy()
    bootstrap.mean(frame([1.0, 2.0, 3.0], [0, 1, 2]))
    assert (np.random.get_state()[1] == before).all()


def cells(n: int, labels: int, seed: int, method: str = "rvq") -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    target = rng.random((n, labels)) < np.linspace(0.1, 0.5, labels)
    score = np.round(np.clip(0.3 * target + 0.7 * rng.random((n, labels)), 0, 1), 2)  # with ties
    rows = [(e // 2, e, f"label:{j:02d}") for e in range(n) for j in range(labels)]
    frame = pd.DataFrame(rows, columns=["unit", "ecg", "item"]).assign(method=method)
    return frame.assign(target=target.ravel().astype(int).astype(str), score=score.ravel())


def test_auc_by_hand():
    """Positives 0.8, 0.4; negatives 0.4, 0.1: 3 of 4 pairs won, one of them a tie: 3.5 / 4."""
    value = auc.WeightedAUC(np.array([1, 1, 0, 0]), np.array([0.8, 0.4, 0.4, 0.1]), np.arange(4))
    assert value(np.ones((1, 4)))[0] == pytest.approx(3.5 / 4)


def test_weights_of_an_auc_equal_repeated_patients():
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
