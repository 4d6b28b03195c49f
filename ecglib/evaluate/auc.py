"""ROC-AUC of classification rows: per label, micro (a category's cells pooled) and macro.

Micro-AUC is the ROC-AUC of the ravelled label x record matrix of a category (ECG-Tok, Fig. 2; the
released metric). Cells that could not be assessed have no row and take no part.

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
    Calling it with weights (r, n) returns (r,); NaN where a class has no weight.
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


def select(frame: pd.DataFrame, labels: Sequence[int] | None = None) -> pd.DataFrame:
    """The `label:NN` rows of some labels (default all), with a column `label`."""
    frame = frame[frame["item"].str.startswith("label:")]
    label = frame["item"].str.removeprefix("label:").astype(int)
    frame = frame.assign(label=label)
    if labels is not None:
        frame = frame[label.isin(list(labels))]
    if frame.empty:
        raise ValueError(f"no classification rows for labels {labels if labels else '(any)'}")
    return frame


def _statistic(cells: pd.DataFrame, units: np.ndarray) -> WeightedAUC:
    patients = np.searchsorted(units, cells["unit"].to_numpy())
    targets = cells["target"].to_numpy() == "1"
    return WeightedAUC(targets.astype(int), cells["score"].to_numpy(), patients)


def micro_statistic(cells: pd.DataFrame, units: np.ndarray) -> Statistic:
    """AUC of all cells pooled, as a function of the weights of the sorted `units`."""
    return _statistic(cells, units)


def macro_statistic(cells: pd.DataFrame, units: np.ndarray) -> Statistic:
    """Mean AUC over labels; a label without positives or without negatives drops out."""
    parts = [_statistic(part, units) for _, part in cells.groupby("label", sort=True)]

    def statistic(weights: np.ndarray) -> np.ndarray:
        values = np.stack([part(weights) for part in parts])
        return divide(np.nansum(values, axis=0), np.sum(~np.isnan(values), axis=0))

    return statistic


STATISTICS = {"micro": micro_statistic, "macro": macro_statistic}


def auc(
    frame: pd.DataFrame,
    labels: Sequence[int] | None = None,
    average: str = "micro",
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Estimate:
    """Micro- or macro-AUC of one method over some labels."""
    cells = select(frame, labels)
    units = np.unique(cells["unit"])
    statistic = _averaging(average)(cells, units)
    return estimate(statistic, len(units), seed, resamples, cost=len(cells) // len(units) + 1)


def difference(
    a: pd.DataFrame,
    b: pd.DataFrame,
    labels: Sequence[int] | None = None,
    average: str = "micro",
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Estimate:
    """AUC of a minus AUC of b on the same cells; ValueError when the cells differ."""
    first, second = select(a, labels), select(b, labels)
    check_aligned(first, second)
    units = np.unique(first["unit"])
    f, g = (_averaging(average)(cells, units) for cells in (first, second))
    cost = len(first) // len(units) + 1
    return estimate(lambda w: f(w) - g(w), len(units), seed, resamples, cost=cost)


def _averaging(name: str) -> object:
    if name not in STATISTICS:
        raise ValueError(f"unknown average {name!r}: use micro or macro")
    return STATISTICS[name]


def by_category(
    frame: pd.DataFrame,
    categories: dict[str, list[int]],
    average: str = "micro",
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> pd.DataFrame:
    """AUC of every method in every category, and over all their labels ("All").

    Columns method, category, labels, positives, value, low, high, n. Categories without a row, or
    without a positive or a negative cell, are listed with NaN: an absent bar must be seen to be
    absent.
    """
    groups = categories | {"All": sorted({i for labels in categories.values() for i in labels})}
    table = []
    for method, part in select(frame).groupby("method", sort=True):
        for category, labels in groups.items():
            cells = part[part["label"].isin(labels)]
            row = {"method": method, "category": category, "labels": cells["label"].nunique()}
            row["positives"] = int((cells["target"] == "1").sum())
            if cells["target"].nunique() == 2:
                found = auc(cells, labels, average, seed, resamples)
            else:
                found = Estimate(float("nan"), float("nan"), float("nan"), cells["unit"].nunique())
            table.append(row | vars(found))
    return pd.DataFrame(table)


def by_label(frame: pd.DataFrame, seed: int = 0, resamples: int = RESAMPLES) -> pd.DataFrame:
    """AUC of every method and label: method, label, positives, negatives, value, low, high, n."""
    table = []
    for (method, label), cells in select(frame).groupby(["method", "label"], sort=True):
        positives = int((cells["target"] == "1").sum())
        row = {"method": method, "label": label, "positives": positives}
        row["negatives"] = len(cells) - positives
        table.append(row | vars(auc(cells, [label], "micro", seed, resamples)))
    return pd.DataFrame(table)
