"""A head on tokens, its targets and its floor, and the two-sample test of sources of ECGs."""

import numpy as np
import pandas as pd
import pytest
import torch
from builds import refused
from fake_tables import features
from frozen_cohort import LBBB, MACHINE, TALL_R
from sklearn.dummy import DummyClassifier

from ecglib.classify import prevalence, train_classifier, two_sample
from ecglib.classify.loss import masked_bce
from ecglib.classify.targets import binary_targets, scored_labels
from ecglib.cohorts.cohort_features import GROUPS
from ecglib.cohorts.store import Cohort
from ecglib.evaluate import auc
from ecglib.labels.label_set import ABSENT, PRESENT
from ecglib.tokenizers import encode
from ecglib.tokenizers.load import load

CONFIG = {"widths": [8, 8, 12, 16], "depths": [1, 1, 1, 2], "expansions": [1, 1, 2, 2]}
CONFIG |= {"kernels": [3, 3, 5, 3], "strides": [1, 2, 1, 2], "dropout": 0.1}
CONFIG |= {"stochastic_depth": 0.2, "epochs": 12, "batch": 32, "learning_rate": 1e-2}
CONFIG |= {"reads": "vectors", "network": "efficientnet", "min_positives": 5}


@pytest.fixture(autouse=True)
def few_trees(monkeypatch):
    monkeypatch.setattr(two_sample, "TREES", 15)


@pytest.fixture(scope="module")
def inputs(frozen, tmp_path_factory):
    """The shared cohort and codes, and a head that was trained on them."""
    folders = frozen | {"head": tmp_path_factory.mktemp("head")}
    train_classifier.train(folders["head"], folders, CONFIG, 0, MACHINE)
    return folders


def test_unknown_cells_are_masked():
    """What the loss makes of the mask is shown in notebook 03."""
    target, known = binary_targets(np.array([[1, 0, 3, -1, 2]], np.int8))
    assert target.tolist() == [[1, 0, 0, 0, 0]] and target.dtype == np.float32
    assert known.tolist() == [[True, True, False, False, False]]
    logits, nothing = torch.ones(1, 5), torch.zeros(1, 5, dtype=torch.bool)
    assert masked_bce(logits, torch.from_numpy(target), nothing).item() == 0


def test_a_head_reads_the_tokens_and_repeats_itself(inputs, tmp_path):
    cohort = Cohort.open(inputs["cohort"])
    assert scored_labels(cohort, 5) == [LBBB, TALL_R]  # frequent in training patients
    refused("min_positives", scored_labels, cohort, 1000)
    states = np.full((len(cohort), 1), PRESENT, np.int8)
    states[cohort.rows("train")] = ABSENT
    refused("min_positives", scored_labels, cohort, 5, states)
    scores = pd.read_parquet(inputs["head"] / "scores.parquet")
    held_out = np.concatenate([cohort.rows(role) for role in ("validation", "test", "transfer")])
    assert sorted(scores["row"].unique()) == sorted(held_out)
    assert list(scores.columns) == ["row", "label", "score"] and len(scores) == 2 * len(held_out)
    assert scores["score"].between(0, 1).all()
    scores = scores[scores["label"] == LBBB]
    is_present = cohort.labels[scores["row"], LBBB] == PRESENT
    assert scores["score"][is_present].min() > scores["score"][~is_present].max()
    train_classifier.train(tmp_path, inputs, CONFIG, 0, MACHINE)
    files = ("scores.parquet", "model.safetensors", "history.csv", "labels.csv", "budget.csv")
    for name in (*files, "validation.csv"):
        assert (tmp_path / name).read_bytes() == (inputs["head"] / name).read_bytes(), name


def test_embeddings_follow_the_rows_and_prevalence_by_hand(inputs):
    cohort = Cohort.open(inputs["cohort"])
    rows, tokenizer = np.array([7, 0, 5]), load(inputs["tokenizer"])
    vectors, lengths = encode.read_latents(tokenizer, inputs["codes"], cohort, rows)
    assert vectors.shape == (3, 40, 16) and lengths.tolist() == [40, 16, 16]
    n_valid = torch.tensor(cohort.records["n_valid"].to_numpy()[rows])
    codes = tokenizer.encode(torch.from_numpy(cohort.signals(rows)), n_valid)
    torch.testing.assert_close(vectors, tokenizer.vectors(codes).detach())
    # Ten ECGs at the prevalence of all sites are added; an unknown site has only these.
    train_rows, row = cohort.rows("train"), cohort.rows("test")[0]
    states = cohort.labels[train_rows][:, TALL_R]
    at_site = cohort.records["site"].to_numpy()[train_rows] == cohort.records["site"][row]
    expected = (states[at_site].sum() + 10 * states.mean()) / (at_site.sum() + 10)
    frame = prevalence.scores(cohort, [LBBB, TALL_R], np.array([row]))
    assert frame["label"].tolist() == [LBBB, TALL_R] and frame["row"].tolist() == [row, row]
    assert frame["score"][1] == pytest.approx(expected)
    cohort.records.loc[row, "site"] = "elsewhere"
    frame = prevalence.scores(cohort, [TALL_R], np.array([row]))
    assert frame["score"][0] == pytest.approx(states.mean())


def test_sets_are_told_apart_by_what_differs_and_one_set_cut_in_two_is_not():
    values = []
    for patients, shift in ((60, 3.0), (40, 0.0)):  # the T waves of the first pair differ
        one, other = features(patients), features(patients, shift=shift, seed=1)
        scores = two_sample.cross_validated_scores(one, other, seed=0)
        table = auc.two_sample(scores, ("seen", "how"), resamples=50)
        assert len(table) == 1 + 2 * len(GROUPS)
        values.append(table.set_index(["seen", "how"])["value"])
    moved, same = values
    assert moved["all", "alone"] > 0.95 and moved["waves", "alone"] > 0.95
    assert moved["waves", "shuffled"] < 0.75 < 0.95 < moved["spectrum", "shuffled"]
    assert abs(moved["amplitude", "alone"] - 0.5) < 0.2 and abs(same["all", "alone"] - 0.5) < 0.2
    assert scores.equals(two_sample.cross_validated_scores(one, other, seed=0))


def test_patients_stay_in_one_fold_and_both_sources_have_as_many(tmp_path, monkeypatch):
    seen, even = [], DummyClassifier().fit(np.zeros((2, 1)), [0, 1])
    monkeypatch.setattr(two_sample, "_fit", lambda *given: seen.append(given[2]) or even)
    one, other = features(20), features(20, seed=1)
    one["patient"] //= 2
    scores = two_sample.cross_validated_scores(one, other, 0)
    assert scores["unit"].nunique() == 10 + 20  # two sources have no patient in common
    # each model saw all ECGs of a patient or none
    assert len(seen) == two_sample.FOLDS * (1 + len(GROUPS))
    for rows in seen:
        assert all((2 * k in rows) == (2 * k + 1 in rows) for k in range(10))
    for name, patients in (("source_a", 30), ("source_b", 12)):
        (tmp_path / name).mkdir()
        features(patients).to_parquet(tmp_path / name / "ecg_features.parquet")
    inputs = {name: tmp_path / name for name in ("source_a", "source_b")}
    two_sample.score_sources(tmp_path, inputs, {}, 0, MACHINE)
    scores = pd.read_parquet(tmp_path / "scores.parquet")
    assert scores.groupby("target")["unit"].nunique().tolist() == [12, 12]
    message = "source_a: expected at least 5 patients, got 3"
    refused(message, two_sample.cross_validated_scores, features(3), features(12), 0)


def test_single_numbers_and_an_interval_over_patients_by_hand():
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
    # Two patients with two ECGs each: the interval is over two, not four.
    rows = {"target": [0, 0, 1, 1], "score": [0.1, 0.2, 0.3, 0.4], "unit": [0, 0, 1, 1]}
    table = auc.two_sample(pd.DataFrame(rows | {"seen": "all"}), ("seen",))
    assert table[["seen", "value", "n"]].to_numpy().tolist() == [["all", 1.0, 2]]


def test_an_auc_by_group_counts_a_condition_with_two_labels_once():
    """Label 0 ranks right (1), label 1 wrong (0), label 2 right: groups 1/2 and 1, together 3/4."""
    rows = [(ecg, label, ecg % 2) for ecg in range(6) for label in range(3)]
    frame = pd.DataFrame(rows, columns=["ecg", "label", "target"])
    frame["score"] = np.where(frame["label"] == 1, 1 - frame["target"], frame["target"])
    frame = frame.assign(unit=frame["ecg"] // 3, method="m", target=frame["target"].astype(str))
    frame["item"] = frame["label"].map("label:{:02d}".format)
    groups = {"two": [0, 1], "one": [2], "none": [9]}
    table = auc.by_group(frame.drop(columns="label"), groups, least=3, resamples=20)
    assert table["group"].tolist() == ["two", "one", "All groups"]
    assert table["value"].tolist() == [0.5, 1.0, 0.75]
    assert table["positives"].tolist() == [3, 3, 3] and table["labels"].tolist() == [2, 1, 3]
    one = auc.by_group(frame, {"one": [2], "none": [9]}, least=3, resamples=20)
    assert one["labels"].tolist() == [1, 1], "all groups are those that are scored"
    assert auc.by_group(frame, groups, least=4, resamples=20).empty
