"""Thresholds, calibration, subgroups and labels left out: by hand and with scikit-learn."""

import numpy as np
import pandas as pd
import pytest
from builds import refused
from sklearn.metrics import accuracy_score, brier_score_loss, f1_score, roc_auc_score, roc_curve
from test_evaluate_metrics import cells

from ecglib.evaluate import auc, calibration, class_counts, subgroups, thresholds


def grid(frame: pd.DataFrame, labels: int) -> tuple[np.ndarray, np.ndarray]:
    """Targets and scores, (ecgs, labels)."""
    target = (frame["target"] == "1").to_numpy().reshape(-1, labels)
    return target, frame["score"].to_numpy().reshape(-1, labels)


def seeds(frame: pd.DataFrame, number: int) -> pd.DataFrame:
    """The rows once per seed, with other scores."""
    rng = np.random.default_rng(8)
    parts = [frame["score"] + 0.1 * i * rng.normal(size=len(frame)) for i in range(number)]
    return pd.concat(
        [frame.assign(seed=i, score=np.clip(part, 0, 1)) for i, part in enumerate(parts)]
    )


def test_the_best_threshold_by_hand():
    """Of 0.9+ 0.8- 0.7+ 0.7- 0.1-: from 0.9 on F1 is 2/3, from 0.7 on 4/6; the first is taken."""
    target, score = np.array([1, 0, 1, 0, 0]) == 1, np.array([0.9, 0.8, 0.7, 0.7, 0.1])
    assert thresholds.best_f1(target, score) == (0.9, pytest.approx(2 / 3))
    assert np.isnan(thresholds.best_f1(target & False, score)).all()
    assert thresholds.youden(target, score) == 0.9
    assert np.isnan(thresholds.youden(target | True, score))


def test_f1_uses_thresholds_of_validation_as_scikit_learn():
    validation, test = seeds(cells(80, 4, 2), 3), seeds(cells(60, 4, 3), 3)
    chosen = thresholds.choose(validation)
    assert len(chosen) == 12 and (chosen["f1"] > 0).all()
    y, s = grid(validation[validation["seed"] == 1], 4)
    best = max(f1_score(y[:, 2], s[:, 2] >= level) for level in s[:, 2])
    one = chosen[(chosen["seed"] == 1) & (chosen["label"] == 2)].iloc[0]
    assert one["f1"] == pytest.approx(best)
    assert f1_score(y[:, 2], s[:, 2] >= one["threshold"]) == pytest.approx(best)
    for average in ("micro", "macro"):
        expected = []
        for seed, part in test.groupby("seed"):
            y, s = grid(part, 4)
            level = chosen.loc[chosen["seed"] == seed, "threshold"].to_numpy()
            expected.append(f1_score(y, s >= level, average=average))
        value = thresholds.f1(test, chosen, average, resamples=100)
        assert value.value == pytest.approx(np.mean(expected))
        assert value.low < value.value < value.high and value.n == 30
    without = chosen.assign(threshold=chosen["threshold"].where(chosen["label"] != 3))
    rest = thresholds.f1(test[test["item"] != "label:03"], chosen, resamples=20)
    assert thresholds.f1(test, without, resamples=20) == rest
    refused("choose them first", thresholds.f1, test.assign(method="vq"), chosen)
    refused("unknown average", thresholds.f1, test, chosen, "mean")
    refused("one method", thresholds.f1, pd.concat([test, test.assign(method="vq")]), chosen)


def test_the_released_micro_f1_is_the_accuracy_at_a_threshold_of_the_test_rows():
    frame = cells(80, 4, 2).assign(seed=0)
    y, s = (part.ravel() for part in grid(frame, 4))
    false, true, levels = roc_curve(y, s, drop_intermediate=False)
    call = s >= levels[np.argmax(true - false)]
    line = thresholds.released(frame).iloc[0]
    assert line["micro_f1"] == accuracy_score(y, call) == f1_score(y, call, average="micro")
    assert line["micro_f1_of_positives"] == f1_score(y, call)
    assert line["accuracy_all_absent"] == 1 - y.mean()
    each = []  # macro: each label has its own threshold
    for y, s in zip(*(part.T for part in grid(frame, 4)), strict=True):
        false, true, levels = roc_curve(y, s, drop_intermediate=False)
        each.append(f1_score(y, s >= levels[np.argmax(true - false)]))
    assert line["macro_f1"] == pytest.approx(np.mean(each))


def test_calibration_by_hand():
    """Scores 0.05, 0.15, 0.15, 1 with targets 0, 0, 1, 1: bins off by 0.05, 0.35 (twice), 0."""
    frame = pd.DataFrame({"score": [0.05, 0.15, 0.15, 1.0], "target": ["0", "0", "1", "1"]})
    frame = frame.assign(unit=range(4), ecg=range(4), item="label:00", method="m")
    table = calibration.reliability(frame, resamples=20)
    assert table["cells"].tolist() == [1, 2, 1] and table["value"].tolist() == [0, 0.5, 1]
    assert table["lower"].tolist() == [0, 0.1, 0.9]
    assert table["predicted"].tolist() == pytest.approx([0.05, 0.15, 1])
    error = calibration.calibration_error(frame)
    assert error.value == pytest.approx((0.05 + 0.7) / 4)
    squares = [0.05**2, 0.15**2, 0.85**2, 0]
    assert calibration.brier(frame, resamples=20).value == pytest.approx(np.mean(squares))
    refused("unknown average", calibration.calibration_error, frame, "mean")


def test_calibration_of_labels_and_seeds_against_a_loop():
    frame = seeds(cells(80, 4, 2), 2)
    errors, briers = [], []
    for _, part in frame.groupby("seed"):
        for y, s in zip(*(of.T for of in grid(part, 4)), strict=True):
            bins = np.minimum((s * 10).astype(int), 9)
            parts = [abs(s[bins == i].sum() - y[bins == i].sum()) for i in range(10)]
            errors.append(sum(parts) / len(y))
            briers.append(brier_score_loss(y, s))
    macro = calibration.calibration_error(frame, "macro")
    assert macro.value == pytest.approx(np.mean(errors)) and macro.seeds == 2
    assert np.isnan([macro.low, macro.high]).all()  # resamples would lie above the value
    assert calibration.brier(frame, "macro", resamples=20).value == pytest.approx(np.mean(briers))
    table = calibration.summary(frame, resamples=20)
    names = ["brier", "brier", "ece", "ece", "ece_if_calibrated", "ece_if_calibrated"]
    assert table["measure"].tolist() == names
    assert table["value"].iloc[2] == pytest.approx(macro.value)
    frames = (frame, *(part for _, part in frame.groupby("seed")))
    both, *each = (calibration.reliability(f, resamples=20).set_index("lower") for f in frames)
    for name in ("cells", "predicted", "value"):
        means = (each[0][name] + each[1][name]).loc[both.index] / 2
        assert both[name].tolist() == pytest.approx(means.tolist()), name


@pytest.mark.parametrize("average", ["micro", "macro"])
def test_a_calibrated_classifier_has_the_error_that_chance_makes(average):
    """Targets drawn with the predicted probabilities; then with others."""
    frame = cells(400, 4, 2).assign(seed=0)
    rng = np.random.default_rng(1)
    drawn = rng.random((len(frame), 2)) < np.stack([frame["score"], 1 - frame["score"]], axis=1)
    calibrated, wrong = (frame.assign(target=np.where(column, "1", "0")) for column in drawn.T)
    chance = calibration.if_calibrated(calibrated, average)
    assert 0 < chance.low < chance.value < chance.high
    assert chance.low < calibration.calibration_error(calibrated, average).value < chance.high
    assert calibration.calibration_error(wrong, average).value > chance.high


def with_sexes() -> pd.DataFrame:
    """Label 0 is measured in both sexes, label 1 has no positive in men, label 2 in nobody."""
    frame = cells(80, 3, 2).assign(seed=0)
    frame["sex"] = np.where(frame["unit"] % 2 == 0, "F", "M")
    label = frame["item"].str[-2:].astype(int)
    frame.loc[(label == 1) & (frame["sex"] == "M") | (label == 2), "target"] = "0"
    return frame


def test_a_label_without_a_class_is_named_in_the_cohort_and_in_a_subgroup():
    frame = with_sexes()
    table = class_counts.left_out(frame, labels=[0, 1, 2, 9])
    assert table["label"].tolist() == [2, 9]
    assert table["reason"].tolist() == ["no positive", "no row"]
    assert class_counts.left_out(frame[frame["item"] == "label:00"]).empty
    assert class_counts.measured(frame) == {"": [0, 1]}
    twice = pd.concat([frame, frame.assign(method="vq")])
    assert class_counts.measured(twice, "sex") == {"F": [0, 1], "M": [0]}
    assert class_counts.class_counts(twice, "sex")["negatives"].max() == 40


def test_an_auc_by_subgroup_counts_what_all_subgroups_measure():
    frame = with_sexes()
    table = subgroups.by_subgroup(frame, "sex", resamples=50).set_index("subgroup")
    assert table["labels"].to_dict() == {"F": 1, "M": 1} and (table["ecgs"] == 40).all()
    for sex, part in frame[frame["item"] == "label:00"].groupby("sex"):
        value = roc_auc_score(part["target"] == "1", part["score"])
        assert table.loc[sex, "value"] == pytest.approx(value)
    none = subgroups.by_subgroup(frame[frame["item"] == "label:01"], "sex")
    assert none["value"].isna().all()
    assert auc.auc(frame, "macro", resamples=20).value > 0.5
