"""AUC and average precision over patients and training seeds, against loops and scikit-learn."""

import time

import numpy as np
import pandas as pd
import pytest
from builds import refused
from scipy import stats
from sklearn.metrics import average_precision_score, roc_auc_score
from test_evaluate_metrics import cells

from ecglib.evaluate import auc, average_precision, bootstrap, weighted_curves
from ecglib.evaluate.weighted_curves import WeightedAUC, WeightedAveragePrecision

WEIGHTS = np.random.default_rng(1).integers(0, 4, size=(6, 30)).astype(float)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
@pytest.mark.parametrize(
    ("curve", "reference"),
    [(WeightedAUC, roc_auc_score), (WeightedAveragePrecision, average_precision_score)],
)
def test_a_weight_is_a_number_of_copies(share, curve, reference):
    """Of whole weights (single precision) and of halves (double); with ties."""
    rng = np.random.default_rng(2)
    target = (rng.random(200) < share).astype(int)
    score = np.round(rng.normal(size=200) + target, 1)
    patients = rng.integers(0, 30, 200)
    values = curve(target, score, patients)(WEIGHTS)
    for row, value in zip(WEIGHTS.astype(int), values, strict=True):
        times = row[patients]
        expected = reference(np.repeat(target, times), np.repeat(score, times))
        assert value == pytest.approx(expected, abs=1e-12)
    wide = curve(target, score, patients)(np.tile(WEIGHTS, (60, 1)))
    assert wide == pytest.approx(np.tile(values, 60), abs=1e-12)
    halves = curve(target, score, patients)(WEIGHTS / 3)
    assert halves == pytest.approx(values, abs=1e-12)


def test_a_class_without_weight_has_no_value_and_large_sums_are_exact():
    for curve in (WeightedAUC, WeightedAveragePrecision):
        for target in (np.zeros(4), np.ones(4)):
            value = curve(target, np.arange(4.0), np.arange(4))(np.ones((2, 4)))
            assert np.isnan(value).all()
        weights = np.array([[0.0, 1.0, 1.0], [1.0, 1.0, 0.0]])
        value = curve(np.array([1, 0, 0]), np.arange(3.0), np.arange(3))(weights)
        assert np.isnan(value[0]) and not np.isnan(value[1])
    huge = np.array([[2.0**24, 2.0**24 + 1, 1.0]])  # beyond whole numbers in single precision
    curve = WeightedAUC(np.array([1, 0, 0]), np.array([0.5, 0.1, 0.9]), np.arange(3))
    assert curve(huge)[0] == (2.0**24 + 1) / (2.0**24 + 2)


def test_draws_of_many_patients_are_those_of_kept_columns(monkeypatch: pytest.MonkeyPatch):
    rng = np.random.default_rng(6)
    given = rng.integers(0, 2, 200), rng.normal(size=200).round(1), rng.integers(0, 30, 200)
    for curve in (WeightedAUC, WeightedAveragePrecision):
        values = curve(*given).draws(30, 1, 50)
        monkeypatch.setattr(weighted_curves, "_draws", {})
        monkeypatch.setattr(weighted_curves, "KEPT", 100)  # as if there were too many
        again = curve(*given).draws(30, 1, 50)
        assert again == pytest.approx(values, abs=1e-12, nan_ok=True)
        monkeypatch.undo()


def three_seeds(shifts: tuple[float, ...] = (0.0, 0.2, 0.6)) -> pd.DataFrame:
    """One method of three seeds, each with more noise than the one before."""
    frame = cells(60, 5, 4)
    rng = np.random.default_rng(5)
    noise = [
        np.clip(frame["score"] + shift * rng.normal(size=len(frame)), 0, 1) for shift in shifts
    ]
    return pd.concat([frame.assign(seed=i, score=part) for i, part in enumerate(noise)])


@pytest.mark.parametrize("average", ["micro", "macro"])
def test_the_interval_of_several_seeds_by_the_formula(average):
    frame = three_seeds()
    parts = [part for _, part in frame.groupby("seed")]
    each = np.array([auc.auc(part, average).value for part in parts])
    units = np.unique(frame["unit"])
    curves = [auc.draws(auc.select(part), units, average)[0, 1:] for part in parts]
    patients, between = np.mean(curves, axis=0).var(ddof=1), each.var(ddof=1) / 3
    freedom = (between + patients) ** 2 / (between**2 / 2)
    reach = stats.t.ppf(0.975, freedom) * np.sqrt(between + patients)
    estimate = auc.auc(frame, average)
    assert estimate.value == pytest.approx(each.mean()) and estimate.n == 30
    ends = (each.mean() - reach, min(1.0, each.mean() + reach))
    assert (estimate.low, estimate.high) == pytest.approx(ends)
    assert auc.auc(parts[0], average) == auc.auc(parts[0].drop(columns="seed"), average)
    table = auc.by_category(frame, {"All of them": [0, 1, 2, 3, 4]}, average)
    assert table["value"].tolist() == [estimate.value] * 2
    assert table["positives"].iloc[0] == (parts[0]["target"] == "1").sum()


def test_an_interval_over_seeds_is_cut_at_one():
    frame = three_seeds()
    easy = frame["target"].astype(float) * 0.5 + frame["score"] * 0.5
    frame["score"] = easy.where(frame["seed"] < 2, frame["score"])
    estimate = auc.auc(frame)
    assert estimate.high == 1.0 and 0 < estimate.low < estimate.value < 1
    assert auc.difference(frame, frame[frame["seed"] == 2]).high > 0
    assert np.isnan(bootstrap.bounded(bootstrap.Estimate(0.5, np.nan, np.nan, 1)).high)


def test_a_floor_of_one_seed_is_compared_with_every_seed_and_other_seeds_are_refused():
    frame = three_seeds()
    floor = frame[frame["seed"] == 2]
    gain = auc.difference(frame, floor, "macro")
    each = [auc.auc(part, "macro").value for _, part in frame.groupby("seed")]
    assert gain.value == pytest.approx(np.mean(each) - each[2])
    back = auc.difference(floor.assign(seed=7), frame, "macro")
    assert (back.value, back.low) == pytest.approx((-gain.value, -gain.high))
    same = auc.difference(frame, frame)
    assert (same.value, same.low, same.high) == (0, 0, 0)
    refused("the same seeds", auc.difference, frame, frame[frame["seed"] < 2])
    refused("not aligned", auc.auc, frame.iloc[1:])
    shuffled = frame.sample(frac=1, random_state=1)
    assert auc.auc(shuffled, "macro") == auc.auc(frame, "macro")


def test_tables_of_labels_and_groups_count_the_cells_of_one_seed():
    frame = three_seeds()
    table = auc.by_label(frame, resamples=20)
    first = auc.by_label(frame[frame["seed"] == 0], resamples=20)
    columns = ["method", "label", "positives", "negatives", "n"]
    assert table[columns].equals(first[columns])
    groups = auc.by_group(frame, {"a": [0, 1], "b": [2]}, least=1, resamples=20)
    means = table.set_index("label")["value"]
    assert groups["value"].iloc[0] == pytest.approx(means[[0, 1]].mean())
    assert groups["value"].iloc[2] == pytest.approx(groups["value"].iloc[:2].mean())
    one = frame.assign(unit=0)
    assert np.isnan(auc.auc(one).low) and auc.auc(one).n == 1


def test_average_precision_as_scikit_learn_and_beside_its_random_level():
    frame = cells(80, 4, 2)
    y = (frame["target"] == "1").to_numpy().reshape(80, 4)
    s = frame["score"].to_numpy().reshape(80, 4)
    of = average_precision.average_precision
    assert of(frame, "micro", resamples=20).value == pytest.approx(
        average_precision_score(y.ravel(), s.ravel())
    )
    macro = of(frame, "macro", resamples=200)
    assert macro.value == pytest.approx(average_precision_score(y, s, average="macro"))
    assert macro.low < macro.value < macro.high
    assert average_precision.random_level(frame) == y.mean()
    assert average_precision.random_level(frame, "macro") == pytest.approx(y.mean())
    frame.loc[frame["item"] == "label:03", "target"] = "0"  # has no average precision either
    assert average_precision.random_level(frame, "macro") == pytest.approx(y[:, :3].mean())


def test_three_seeds_of_many_labels_take_seconds():
    frame = cells(400, 30, 5)
    frame = pd.concat([frame.assign(seed=i) for i in range(3)])
    start = time.process_time()
    auc.auc(frame, "macro")  # 2000 resamples
    assert time.process_time() - start < 10
