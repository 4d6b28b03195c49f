"""ROC-AUC of classification rows: per label, micro (a category's cells pooled) and macro.

Micro-AUC is the ROC-AUC of the ravelled label x record matrix of a category (ECG-Tok, Fig. 2; the
released metric). Cells that could not be assessed have no row and do not count.

With weights w the AUC is  sum_ij w_i w_j [s_i > s_j] + 1/2 w_i w_j [s_i = s_j]  over positives i
and negatives j, divided by the product of the two total weights. One sort of the scores serves
every resample; ties share the bounds of their group in the cumulated weight of the negatives.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ecglib.evaluate.bootstrap import (
    RESAMPLES,
    Estimate,
    Statistic,
    check_aligned,
    divide,
    estimate,
)


class WeightedAUC:
    """The AUC of fixed cells as a function of patient weights.

    targets (m,) of 0/1, scores (m,), patients (m,) = index of the patient of each cell, 0..n-1.
    Called with weights (r, n) it returns (r,); NaN where a class has no weight.
    """

    def __init__(self, targets: np.ndarray, scores: np.ndarray, patients: np.ndarray) -> None:
        order = np.argsort(scores, kind="stable")
        targets, scores, patients = targets[order] == 1, scores[order], patients[order]
        negative_scores = scores[~targets]
        positive_scores = scores[targets]
        self.positives, self.negatives = patients[targets], patients[~targets]
        self.below = np.searchsorted(negative_scores, positive_scores, side="left")
        self.upto = np.searchsorted(negative_scores, positive_scores, side="right")

    def __call__(self, weights: np.ndarray) -> np.ndarray:
        cumulated = np.zeros((len(weights), len(self.negatives) + 1))
        np.cumsum(weights[:, self.negatives], axis=1, out=cumulated[:, 1:])
        positive = weights[:, self.positives]
        wins = 0.5 * (cumulated[:, self.below] + cumulated[:, self.upto])
        total = positive.sum(axis=1) * cumulated[:, -1]
        return divide((positive * wins).sum(axis=1), total)


def select(frame: pd.DataFrame) -> pd.DataFrame:
    """The `label:NN` rows, with a column `label`; ValueError when there are none."""
    frame = frame[frame["item"].str.startswith("label:")]
    if frame.empty:
        raise ValueError("expected classification rows (label:NN), got none; check the method")
    return frame.assign(label=frame["item"].str.removeprefix("label:").astype(int))


def _pooled(cells: pd.DataFrame, units: np.ndarray) -> WeightedAUC:
    patients = np.searchsorted(units, cells["unit"].to_numpy())
    targets = cells["target"].to_numpy() == "1"
    return WeightedAUC(targets.astype(int), cells["score"].to_numpy(), patients)


def statistic(cells: pd.DataFrame, units: np.ndarray, average: str = "micro") -> Statistic:
    """AUC of classification rows as a function of the weights of the sorted `units`.

    "micro" pools all cells. "macro" is the mean over labels, where a label without positives or
    without negatives is left out. Raises ValueError for another average.
    """
    if average == "micro":
        return _pooled(cells, units)
    if average != "macro":
        raise ValueError(f"unknown average {average!r}; use micro or macro")
    parts = [_pooled(part, units) for _, part in cells.groupby("label", sort=True)]

    def macro(weights: np.ndarray) -> np.ndarray:
        values = np.stack([part(weights) for part in parts])
        return divide(np.nansum(values, axis=0), np.sum(~np.isnan(values), axis=0))

    return macro


def auc(
    frame: pd.DataFrame, average: str = "micro", seed: int = 0, resamples: int = RESAMPLES
) -> Estimate:
    """Micro- or macro-AUC of one method over its labels."""
    cells = select(frame)
    units = np.unique(cells["unit"])
    return estimate(statistic(cells, units, average), len(units), seed, resamples, len(cells))


def difference(
    a: pd.DataFrame,
    b: pd.DataFrame,
    average: str = "micro",
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Estimate:
    """AUC of a minus AUC of b on the same cells; ValueError when the cells differ."""
    first, second = select(a), select(b)
    check_aligned(first, second)
    units = np.unique(first["unit"])
    f, g = statistic(first, units, average), statistic(second, units, average)
    return estimate(lambda w: f(w) - g(w), len(units), seed, resamples, len(first))


def by_category(
    frame: pd.DataFrame,
    categories: dict[str, list[int]],
    average: str = "micro",
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> pd.DataFrame:
    """AUC of every method in every category, and over all their labels ("All").

    Columns method, category, labels, positives, value, low, high, n. Categories without a row, or
    without a positive or a negative cell, are listed with NaN, so that a figure can mark the gap.
    """
    groups = categories | {"All": sorted({i for labels in categories.values() for i in labels})}
    table = []
    for method, part in select(frame).groupby("method", sort=True):
        for category, labels in groups.items():
            cells = part[part["label"].isin(labels)]
            row = {"method": method, "category": category, "labels": cells["label"].nunique()}
            row["positives"] = int((cells["target"] == "1").sum())
            value = Estimate(np.nan, np.nan, np.nan, cells["unit"].nunique())
            if cells["target"].nunique() == 2:
                value = auc(cells, average, seed, resamples)
            table.append(row | vars(value))
    return pd.DataFrame(table)


def by_label(frame: pd.DataFrame, seed: int = 0, resamples: int = RESAMPLES) -> pd.DataFrame:
    """AUC of every method and label: method, label, positives, negatives, value, low, high, n."""
    table = []
    for (method, label), cells in select(frame).groupby(["method", "label"], sort=True):
        positives = int((cells["target"] == "1").sum())
        row = {"method": method, "label": label, "positives": positives}
        row["negatives"] = len(cells) - positives
        table.append(row | vars(auc(cells, "micro", seed, resamples)))
    return pd.DataFrame(table)


def by_group(
    frame: pd.DataFrame,
    groups: dict[str, Sequence[int]],
    least: int = 30,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> pd.DataFrame:
    """AUC of every method by group of labels: the mean over the labels of the group.

    A condition that brings several labels counts once. `positives` are ECGs in which a label of
    the group is present. Groups with fewer than `least` of them are left out; the last row of a
    method, "All groups", is the mean over the others.

    Columns method, group, labels, positives, value, low, high, n.
    """
    table = []
    for method, cells in select(frame).groupby("method", sort=True):
        units, curves = np.unique(cells["unit"]), []
        options = (len(units), seed, resamples, len(cells))
        for group, labels in groups.items():
            part = cells[cells["label"].isin(labels)]
            positives = part.loc[part["target"] == "1", "ecg"].nunique()
            if positives < least:
                continue
            curves.append(statistic(part, units, "macro"))
            row = {"method": method, "group": group, "labels": part["label"].nunique()}
            value = estimate(curves[-1], len(units), seed, resamples, len(part))
            table.append(row | {"positives": positives} | vars(value))
        if curves:
            row = {"method": method, "group": "All groups", "labels": cells["label"].nunique()}
            row["positives"] = cells.loc[cells["target"] == "1", "ecg"].nunique()
            means = estimate(lambda w, of=curves: np.mean([f(w) for f in of], axis=0), *options)
            table.append(row | vars(means))
    columns = ["method", "group", "labels", "positives", "value", "low", "high", "n"]
    return pd.DataFrame(table, columns=columns)


def two_sample(
    frame: pd.DataFrame, by: Sequence[str], seed: int = 0, resamples: int = RESAMPLES
) -> pd.DataFrame:
    """Classifier two-sample test: how well one score per ECG separates two sets of ECGs.

    Args:
        frame: columns ``target`` (1 = of the second set, 0 = of the first), ``score`` (larger for
            the second), ``unit`` (the patient), and those named in `by`. The sets are not labels
            of an ECG, so this is no prediction file.
        by: columns whose values name a group of rows.

    Returns:
        per group, in order of appearance, the columns `by`, then ``value`` (AUC), ``low``,
        ``high`` and ``n`` (patients).
    """
    table = []
    for key, part in frame.groupby(list(by), sort=False):
        units, patients = np.unique(part["unit"], return_inverse=True)
        curve = WeightedAUC(part["target"].to_numpy(), part["score"].to_numpy(), patients)
        value = estimate(curve, len(units), seed, resamples, len(part))
        table.append(dict(zip(by, key, strict=True)) | vars(value))
    return pd.DataFrame(table)
