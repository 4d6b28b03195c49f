"""Trainings on few labels and on other targets than the 77 labels."""

import numpy as np
import pandas as pd
import pytest
from _cohort import write_cohort
from builds import refused

from ecglib.classify import linear_floors, train_classifier
from ecglib.classify.targets import label_states, labelled_rows, scored_labels
from ecglib.cohorts.store import Cohort
from ecglib.labels.label_set import ABSENT, LABELS, NOT_ASSESSABLE, PRESENT, Label
from ecglib.signals.leads import SAMPLES
from ecglib.training.device import Machine

MACHINE = Machine("cpu", "float32", 1, "test")
CONFIG = {"reads": "features", "network": "linear", "epochs": 20, "batch": 16}
CONFIG |= {"learning_rate": 0.2, "min_positives": 1}
RIDGE = {"numbers": "summary", "min_positives": 1}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """80 ECGs of noise. Their features (one position of two numbers) tell the class of the targets:
    the first number is 1 in even rows. The last ten rows are no part of the task."""
    base, rng = tmp_path_factory.mktemp("few"), np.random.default_rng(0)
    folders = {name: base / name for name in ("cohort", "features", "targets")}
    records = []
    for i in range(80):
        labels = np.full(len(LABELS), NOT_ASSESSABLE, np.int8)
        labels[Label.LBBB] = i % 3 == 0
        signal = rng.normal(size=(12, SAMPLES)) * (1 + labels[Label.LBBB])
        record = {"signal": signal.astype(np.float32), "labels": labels}
        records.append(record | {"ecg_id": f"e{i}", "patient_id": f"p{i // 2}"})
    write_cohort(folders["cohort"], records, seed=0)
    for name in ("features", "targets"):
        folders[name].mkdir()
    rows = np.arange(80)
    vectors = np.stack([rows % 2 == 0, rng.normal(size=80)], 1)[:, None].astype(np.float16)
    np.save(folders["features"] / "features.npy", vectors)
    np.save(folders["features"] / "lengths.npy", np.ones(80, np.int64))
    states = np.stack([rows % 2 == 0, rows % 2 == 1], 1).astype(np.int8)
    states[70:] = NOT_ASSESSABLE
    targets = pd.DataFrame(states, columns=["even", "odd"])
    targets.to_parquet(folders["targets"] / "targets.parquet")
    return folders


def run(step, out, inputs, config, seed=0):
    """The step's table of scores and, of a network, its budget."""
    out.mkdir()
    step(out, inputs, config, seed, MACHINE)
    budget = out / "budget.csv"
    scores = pd.read_parquet(out / "scores.parquet")
    return scores, pd.read_csv(budget).iloc[0] if budget.exists() else None


def test_a_head_learns_the_targets_that_it_is_given(inputs, tmp_path):
    cohort, only = Cohort.open(inputs["cohort"]), {"cohort": inputs["cohort"]}
    states = label_states(cohort, inputs)
    assert (label_states(cohort, only) == cohort.labels).all() and states.shape == (80, 2)
    assert scored_labels(cohort, 1, states) == [0, 1] and scored_labels(cohort, 1) == [Label.LBBB]
    scores, budget = run(train_classifier.train, tmp_path / "head", inputs, CONFIG)
    wide = scores.pivot(index="row", columns="label", values="score")
    even = wide.index.to_numpy() % 2 == 0
    assert wide[0][even].min() > wide[0][~even].max()
    assert wide[1][even].max() < wide[1][~even].min()
    train = cohort.rows("train")
    assert budget["labelled_ecgs"] == (train < 70).sum() < len(train)
    for step, config in ((linear_floors.train, RIDGE), (train_classifier.train, CONFIG)):
        (tmp_path / step.__module__).mkdir()
        short = pd.read_parquet(inputs["targets"] / "targets.parquet").iloc[1:]
        short.to_parquet(tmp_path / step.__module__ / "targets.parquet")
        wrong = inputs | {"targets": tmp_path / step.__module__}
        refused("targets of 80 ECGs, got 79", step, tmp_path, wrong, config, 0, MACHINE)


def test_few_labels_are_shown_as_often_and_the_best_epoch_is_kept(inputs, tmp_path):
    """Views of a tenth of the patients, ten times each; the loss of the kept weights by hand."""
    cohort = Cohort.open(inputs["cohort"])
    rows = labelled_rows(cohort, 0.1, 3)
    assert set(rows) < set(labelled_rows(cohort, 0.5, 3)) < set(cohort.rows("train"))
    few = CONFIG | {"label_share": 0.1, "repeats": 10, "keep_best": True, "learning_rate": 2.0}
    few |= {"epochs": 6}
    scores, budget = run(train_classifier.train, tmp_path / "few", inputs, few, 3)
    labelled = rows[rows < 70]
    assert budget["labelled_ecgs"] == len(labelled)
    assert budget["ecg_views"] == 6 * 10 * len(labelled)
    course = pd.read_csv(tmp_path / "few" / "validation.csv")
    states = label_states(cohort, inputs)
    scores = scores[scores["row"].isin(cohort.rows("validation"))]
    state, p = states[scores["row"], scores["label"]], scores["score"].to_numpy()
    loss = -np.log(np.where(state == PRESENT, p, 1 - p))[np.isin(state, (ABSENT, PRESENT))].mean()
    assert loss == pytest.approx(course["loss"].min(), rel=1e-4) and len(course) == 6


def test_a_floor_is_fitted_on_the_labelled_patients_alone(inputs, tmp_path):
    """As on a cohort whose other training patients have no role."""
    only = {"cohort": inputs["cohort"]}
    scores = {
        name: run(linear_floors.train, tmp_path / name, only, RIDGE | more)[0]
        for name, more in {
            "all": {},
            "whole": {"label_share": 1.0},
            "few": {"label_share": 0.3},
        }.items()
    }
    assert scores["all"].equals(scores["whole"]) and not scores["all"].equals(scores["few"])
    cohort = Cohort.open(inputs["cohort"])
    other = np.setdiff1d(cohort.rows("train"), labelled_rows(cohort, 0.3, 0))
    records = cohort.records.copy()
    records.loc[other, "split"] = "none"
    (tmp_path / "cohort").mkdir()
    for path in inputs["cohort"].iterdir():
        (tmp_path / "cohort" / path.name).write_bytes(path.read_bytes())
    records.to_parquet(tmp_path / "cohort" / "records.parquet")
    by_hand = run(linear_floors.train, tmp_path / "hand", {"cohort": tmp_path / "cohort"}, RIDGE)[0]
    pd.testing.assert_frame_equal(by_hand, scores["few"])
