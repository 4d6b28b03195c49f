"""The two-sample test: sources of ECGs that differ are told apart, by patient and by feature."""

import numpy as np
import pandas as pd
import pytest
from fake_features import features
from sklearn.dummy import DummyClassifier

from ecglib.classify import two_sample
from ecglib.cohorts.cohort_features import GROUPS
from ecglib.evaluate import auc
from ecglib.training.device import Machine


@pytest.fixture(autouse=True)
def few_trees(monkeypatch):
    monkeypatch.setattr(two_sample, "TREES", 15)


def test_sets_that_differ_in_t_waves_are_told_apart_by_them():
    moved = features(60, shift=3.0, seed=1)
    scores = two_sample.cross_validated_scores(features(60), moved, seed=0)
    table = auc.two_sample(scores, ("seen", "how"), resamples=50)
    value = table.set_index(["seen", "how"])["value"]
    assert value["all", "alone"] > 0.95 and value["waves", "alone"] > 0.95
    assert value["waves", "shuffled"] < 0.75 < 0.95 < value["spectrum", "shuffled"]
    assert abs(value["amplitude", "alone"] - 0.5) < 0.2
    assert len(table) == 1 + 2 * len(GROUPS)


def test_one_set_cut_in_two_cannot_be_told_apart_and_repeats_itself():
    one, other = features(40), features(40, seed=1)
    scores = two_sample.cross_validated_scores(one, other, seed=0)
    assert scores.equals(two_sample.cross_validated_scores(one, other, seed=0))
    part = scores[scores["seen"] == two_sample.ALL]
    assert abs(auc.two_sample(part, ("seen",), resamples=50)["value"].iloc[0] - 0.5) < 0.2


def test_a_patient_is_never_on_both_sides(monkeypatch):
    """Each ECG of a patient is scored by a model that saw none of them."""
    seen, even = [], DummyClassifier().fit(np.zeros((2, 1)), [0, 1])
    monkeypatch.setattr(two_sample, "_fit", lambda *given: seen.append(given[2]) or even)
    one, other = features(20), features(20, seed=1)
    one["patient"] //= 2
    two_sample.cross_validated_scores(one, other, 0)
    assert len(seen) == two_sample.FOLDS * (1 + len(GROUPS))
    for train in seen:
        assert all((2 * k in train) == (2 * k + 1 in train) for k in range(10))


def test_the_step_takes_as_many_patients_of_both(tmp_path):
    for name, patients in (("source_a", 30), ("source_b", 12)):
        (tmp_path / name).mkdir()
        features(patients).to_parquet(tmp_path / name / "ecg_features.parquet")
    inputs = {name: tmp_path / name for name in ("source_a", "source_b")}
    two_sample.score_sources(tmp_path, inputs, {}, 0, Machine("cpu", "float32", 1, "a test"))
    scores = pd.read_parquet(tmp_path / "scores.parquet")
    assert scores.groupby("target")["unit"].nunique().tolist() == [12, 12]
    with pytest.raises(ValueError, match="source_a: expected at least 5 patients, got 3"):
        two_sample.cross_validated_scores(features(3), features(12), 0)


def test_single_numbers_by_hand():
    """Rates 1, 2, 3 against 2, 3, 4: of nine pairs six rise and two tie, so 7 / 9."""
    one, other = features(3), features(3, seed=1)
    one["heart_rate"], other["heart_rate"] = [1.0, 2.0, 3.0], [2.0, 3.0, 4.0]
    other["pr"] = np.nan
    table = two_sample.single_number_auc(one, other).set_index("number")
    assert table.loc["heart_rate", "auc"] == pytest.approx(7 / 9)
    rest = table.loc["heart_rate", ["group", "one", "other"]]
    assert rest.tolist() == ["rate and rhythm", 2.0, 3.0]
    assert "pr" not in table.index and table["auc"].is_monotonic_decreasing
    turned = two_sample.single_number_auc(other.assign(pr=0.0), one).set_index("number")
    assert turned.loc["heart_rate", "auc"] == pytest.approx(7 / 9)


def test_intervals_count_patients():
    """Two patients with two ECGs each: the interval is over two, not four."""
    rows = {"target": [0, 0, 1, 1], "score": [0.1, 0.2, 0.3, 0.4], "unit": [0, 0, 1, 1]}
    table = auc.two_sample(pd.DataFrame(rows | {"seen": "all"}), ("seen",))
    assert table[["seen", "value", "n"]].to_numpy().tolist() == [["all", 1.0, 2]]
