"""The patient bootstrap against hand-computed values, a slow loop, and its nominal coverage."""

import numpy as np
import pandas as pd
import pytest

from ecglib.evaluate import bootstrap


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


def test_misaligned_sets_are_refused():
    a, b = frame([1.0, 2.0], [0, 1]), frame([1.0, 2.0], [0, 1], [0, 7])
    with pytest.raises(ValueError, match="not aligned"):
        bootstrap.paired_difference(a, b)
    with pytest.raises(ValueError, match="2 rows against 1"):
        bootstrap.paired_difference(a, a.iloc[:1])


def test_one_patient_has_no_interval_and_missing_scores_are_refused():
    with pytest.raises(ValueError, match="score is missing for unit 1"):
        bootstrap.mean(frame([1.0, np.nan], [0, 1]))
    estimate = bootstrap.mean(frame([1.0, 2.0], [0, 0]))
    assert estimate.value == 1.5 and np.isnan([estimate.low, estimate.high]).all()


def test_share_of_room_by_hand():
    """Floor 0.2, ceiling 1.0, model 0.6: half of the room; none where the ceiling is the floor."""
    share = bootstrap.share_of_room(*np.array([[0.6, 0.6], [0.2, 0.2], [1.0, 0.2]]))
    assert share.tolist() == [pytest.approx(0.5), -np.inf]


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
