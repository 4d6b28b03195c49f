"""The floors of classification and the network on the raw signal."""

import numpy as np
import pandas as pd
import pytest
import torch
from _cohort import write_cohort
from builds import refused
from scipy.stats import skew
from sklearn.linear_model import LogisticRegression
from torch import nn

from ecglib.classify import linear_floors, raw_network, train_classifier
from ecglib.classify.summary_numbers import (
    BEAT_NAMES,
    LEAD_NUMBERS,
    RR_NUMBERS,
    SUMMARY_NAMES,
    _of_leads,
    _of_rhythm,
    beat_numbers,
    summary_numbers,
)
from ecglib.classify.targets import binary_targets
from ecglib.classify.validation import macro_auc
from ecglib.cohorts.store import Cohort
from ecglib.labels.label_set import LABELS, NOT_ASSESSABLE, PRESENT, Label
from ecglib.signals.leads import LEADS, RATE, SAMPLES
from ecglib.simulator.heart import HeartState
from ecglib.simulator.waveform import simulate
from ecglib.training.device import Machine

MACHINE = Machine("cpu", "float32", 1, "test")
RAW = {
    "network": "raw",
    "reads": "signals",
    "widths": [8, 8, 8, 16],
    "blocks": 1,
    "dropout": 0.1,
    "epochs": 12,
    "batch": 32,
}
RAW |= {"learning_rate": 2e-2, "min_positives": 5}


@pytest.fixture(scope="module")
def cohort(tmp_path_factory) -> Cohort:
    """Noise that is twice as large with LBBB; low voltage is independent of it."""
    rng, records = np.random.default_rng(0), []
    for i in range(160):
        labels = np.full(len(LABELS), NOT_ASSESSABLE, np.int8)
        labels[[Label.LBBB, Label.LOW_VOLTAGE]] = i % 2, rng.random() < 0.4
        signal = (0.1 + 0.1 * labels[Label.LBBB]) * rng.normal(size=(12, SAMPLES))
        record = {"signal": signal.astype(np.float32), "labels": labels, "age": 50.0, "sex": "F"}
        record |= {"ecg_id": f"e{i}", "patient_id": f"p{i}", "site": "A"}
        records.append(record | {"n_valid": SAMPLES if i % 5 else 1500})
    return write_cohort(tmp_path_factory.mktemp("floors"), records, seed=0)


def test_the_numbers_are_named_and_right_by_hand():
    assert len(SUMMARY_NAMES) == 151 and len(set(SUMMARY_NAMES + BEAT_NAMES)) == 151 + 12 * 46
    signal = np.zeros((12, 101))
    signal[LEADS.index("V2")] = 0.01 * np.arange(101)  # a ramp of 2.5 mV/s, mean 0.5 mV
    row = dict(zip(SUMMARY_NAMES, np.r_[summary_numbers(np.tile(signal, 8))], strict=True))
    assert row["level_1_V2"] == pytest.approx(-0.49) and row["level_95_V2"] == pytest.approx(0.45)
    assert row["slope_50_V2"] == pytest.approx(2.5) and row["spread_I"] == 0
    assert abs(row["skewness_V2"]) < 1e-9
    skewed = np.random.default_rng(0).gamma(1.0, 0.2, (12, 999))
    ours = _of_leads(skewed).reshape(12, -1)[:, LEAD_NUMBERS.index("skewness")]
    np.testing.assert_allclose(ours, skew(skewed, axis=1), rtol=1e-6)
    rhythm = dict(zip(RR_NUMBERS, _of_rhythm(np.array([0, 250, 500, 875])), strict=True))
    assert rhythm["beats"] == 4 and rhythm["rr_longest"] == 1.5 and rhythm["rr_median"] == 1
    assert rhythm["rr_rmssd"] == pytest.approx(np.sqrt(0.125))
    assert not _of_rhythm(np.array([5]))[1:].any()


def test_the_usual_beat_stands_behind_the_summary_numbers():
    ecg = simulate(HeartState(rate=60), RATE, np.random.default_rng(0))
    numbers = beat_numbers(ecg)
    assert (numbers[:151] == summary_numbers(ecg)).all()
    beat = numbers[151:].reshape(12, -1)
    v5 = dict(zip([name for name in BEAT_NAMES if name.endswith("_V5")], beat[10], strict=True))
    assert v5["beat_0_V5"] > 0.5 > v5["beat_300_V5"] > 0.05  # R, then T
    assert not beat_numbers(np.zeros((12, 2500)))[151:].any()


def test_the_ridge_is_that_of_scikit_learn_on_the_known_cells():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(300, 4)).astype(np.float32)
    target = (x @ rng.normal(size=(4, 2)) + rng.normal(size=(300, 2)) > 0.5).astype(np.float32)
    known = rng.random((300, 2)) < 0.7
    weights = linear_floors.fit_ridge(x, target, known, 0.1)
    for k in range(2):
        cells = known[:, k]
        model = LogisticRegression(C=0.1, tol=1e-8, max_iter=1000).fit(x[cells], target[cells, k])
        np.testing.assert_allclose(weights[:-1, k], model.coef_[0], atol=5e-3)
        assert weights[-1, k] == pytest.approx(model.intercept_[0], abs=5e-3)
    # Of the known pairs of label 0: 0.9 and 0.5 against 0.5 and 0.1 make 3.5 of 4.
    score = np.array([[0.9], [0.5], [0.5], [0.1], [0.0]])
    truth = np.array([[1], [1], [0], [0], [1]])
    assert macro_auc(truth, np.array([[1], [1], [1], [1], [0]], bool), score) == 0.875


def test_the_ridge_that_is_best_on_validation_patients_is_scored(cohort, tmp_path, monkeypatch):
    """A choice by test patients, or of the weakest ridge, would be another floor."""
    monkeypatch.setattr(linear_floors, "STRENGTHS", (0.001, 1.0, 1000.0))
    config = {"numbers": "summary", "min_positives": 5}
    linear_floors.train(tmp_path, {"cohort": cohort.folder}, config, 0, MACHINE)
    tried = pd.read_csv(tmp_path / "choice.csv")["macro_auc_validation"]
    table = pd.read_parquet(tmp_path / "scores.parquet")
    wide = table.pivot(index="row", columns="label", values="score").loc[cohort.rows("validation")]
    target = binary_targets(cohort.labels[wide.index][:, wide.columns])
    assert tried.idxmax() == 1  # neither the strongest nor the weakest
    assert macro_auc(*target, wide.to_numpy()) == pytest.approx(tried.max())


@pytest.mark.parametrize("method", ["summary", "median_beat", "raw"])
def test_floors_and_network_find_what_differs_and_nothing_else(cohort, tmp_path, method):
    inputs = {"cohort": cohort.folder}
    runs = [tmp_path / name for name in ("one", "two")]
    for out in runs:
        out.mkdir()
        if method == "raw":
            train_classifier.train(out, inputs, RAW, 0, MACHINE)
        else:
            linear_floors.train(out, inputs, {"numbers": method, "min_positives": 5}, 0, MACHINE)
    one, two = (pd.read_parquet(out / "scores.parquet") for out in runs)
    assert one.equals(two) and list(one.columns) == ["row", "label", "score"]
    held_out = np.r_[cohort.rows("validation"), cohort.rows("test")]
    assert sorted(one["row"].unique()) == sorted(held_out)
    lbbb = one[one["label"] == Label.LBBB]
    is_present = cohort.labels[lbbb["row"], Label.LBBB] == PRESENT
    assert lbbb["score"][is_present].min() > lbbb["score"][~is_present].max()
    other = one[one["label"] == Label.LOW_VOLTAGE].sort_values("row")
    states = cohort.labels[other["row"]][:, [Label.LOW_VOLTAGE]]
    every = np.ones_like(states, dtype=bool)
    assert macro_auc(states, every, other[["score"]].to_numpy()) < 0.85
    refused("expected numbers", linear_floors.train, tmp_path, inputs, {"numbers": "x"}, 0, MACHINE)


def _norms_count_valid_positions_alone(network: nn.Module, x: torch.Tensor, lengths: torch.Tensor):
    """The statistics of all norms are those of the two recordings without any padding."""
    norms = [layer for layer in network.modules() if isinstance(layer, nn.BatchNorm1d)]
    x = x[1:].repeat(2, 1, 1)
    statistics = []
    for length in (2500, 1250):
        for norm in norms:
            norm.reset_running_stats()
        network(x[:, :, :length], lengths[[1, 1]])
        statistics.append(torch.cat([norm.running_mean for norm in norms]))
    torch.testing.assert_close(*statistics)


def test_the_network_is_rebuilt_from_its_config_and_masks_the_padding():
    torch.manual_seed(0)
    network = raw_network.RawNetwork(3, [8, 8, 8, 12], 1, 0.1).eval()
    again = raw_network.RawNetwork(**network.config()).eval()
    again.load_state_dict(network.state_dict())
    x, lengths = torch.randn(2, 12, 2500), torch.tensor([2500, 1250])
    torch.testing.assert_close(network(x, lengths), again(x, lengths))
    other = x.clone()
    other[1, :, 2000:] = 7.0  # far behind the end of the second recording
    torch.testing.assert_close(network(other, lengths), network(x, lengths))
    alone = network(x[1:, :, :1250], lengths[1:])
    torch.testing.assert_close(network(x, lengths)[1:], alone)
    _norms_count_valid_positions_alone(network.train(), x, lengths)
    # of ones the mean and the maximum are 1
    network._convolve = lambda x, _: nn.functional.avg_pool1d(x, 32, ceil_mode=True)
    ones = network.eval().classifier(torch.ones(2, 2 * 12))
    torch.testing.assert_close(network(torch.ones(2, 12, 2500), lengths), ones)
