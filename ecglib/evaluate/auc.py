"""ROC-AUC of classification rows: per label, micro (a category's cells pooled) and macro.

Micro-AUC is the ROC-AUC of the ravelled label x record matrix of a category (ECG-Tok, Fig. 2; the
released metric). Cells that could not be assessed have no row and do not count.

A frame may hold several training seeds (column `seed`). The value is then the mean of the seeds'
AUCs, and the interval covers seeds and patients (`bootstrap.across_seeds`). In a difference, a
method of one seed is compared with every seed of the other.

With weights w the AUC is  sum_ij w_i w_j [s_i > s_j] + 1/2 w_i w_j [s_i = s_j]  over positives i
and negatives j, divided by the product of the two total weights (`weighted_curves`). The argument
`curve` of `auc` replaces the AUC by another statistic of one set of cells.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ecglib.evaluate import bootstrap
from ecglib.evaluate.bootstrap import RESAMPLES, Estimate, SeedStatistic, bounded, of_seeds
from ecglib.evaluate.weighted_curves import WeightedAUC, WeightedCurve, by_patient

Curve = type[WeightedCurve]


def select(frame: pd.DataFrame) -> pd.DataFrame:
    """The `label:NN` rows, with a column `label`; ValueError when there are none."""
    frame = frame[frame["item"].str.startswith("label:")]
    if frame.empty:
        raise ValueError("expected classification rows (label:NN), got none; check the method")
    return frame.assign(label=frame["item"].str.removeprefix("label:").astype(int))


def _curves(
    cells: pd.DataFrame, units: np.ndarray, average: str, curve: Curve
) -> list[WeightedCurve]:
    """One curve of all cells ("micro") or one per label ("macro"); ValueError for another."""
    if average not in ("micro", "macro"):
        raise ValueError(f"unknown average {average!r}; use micro or macro")
    patients = np.searchsorted(units, cells["unit"].to_numpy())
    targets, scores = cells["target"].to_numpy() == "1", cells["score"].to_numpy()
    if average == "micro":
        return [curve(targets, scores, patients)]
    places = cells.groupby("label", sort=True).indices.values()
    return [curve(targets[rows], scores[rows], patients[rows]) for rows in places]


def _mean(curves: list[WeightedCurve], columns: np.ndarray) -> np.ndarray:
    """Mean of the curves' values that are defined, (r,); NaN where none is."""
    values = np.stack([curve.of_columns(columns) for curve in curves])
    return bootstrap.divide(np.nansum(values, axis=0), np.sum(~np.isnan(values), axis=0))


def by_seed(
    cells: pd.DataFrame, units: np.ndarray, average: str, curve: Curve = WeightedAUC
) -> SeedStatistic:
    """AUC of classification rows as a function of the weights of the sorted `units`, with a row per
    training seed.

    "micro" pools all cells. "macro" is the mean over labels, where a label without positives or
    without negatives is left out. Raises ValueError: another average, or the seeds' cells differ.
    """
    seeds = bootstrap.split_seeds(cells)
    curves = [_curves(part, units, average, curve) for part in seeds]

    def rows(weights: np.ndarray) -> np.ndarray:
        columns = by_patient(weights, len(seeds[0]))
        return np.stack([_mean(of_seed, columns) for of_seed in curves])

    return rows


def _held(cells: pd.DataFrame, average: str) -> int:
    """Numbers that a statistic of the cells holds per resample, roughly."""
    seeds = cells["seed"].nunique() if "seed" in cells else 1
    if average == "macro":
        cells = cells[cells["label"] == cells["label"].mode()[0]]
    return len(cells) // seeds


def auc(
    frame: pd.DataFrame,
    average: str = "micro",
    seed: int = 0,
    resamples: int = RESAMPLES,
    curve: Curve = WeightedAUC,
) -> Estimate:
    """Micro- or macro-AUC of one method over its labels; over its training seeds too."""
    cells = select(frame)
    units = np.unique(cells["unit"])
    rows = by_seed(cells, units, average, curve)
    return bounded(of_seeds(rows, len(units), seed, resamples, _held(cells, average)))


def difference(
    a: pd.DataFrame,
    b: pd.DataFrame,
    average: str = "micro",
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Estimate:
    """AUC of a minus AUC of b on the same cells.

    Seeds are paired. If one of the two has a single seed, each seed of the other is compared with
    it. Raises ValueError: the cells differ, or both have several seeds and these differ.
    """
    first, second = select(a), select(b)
    pairs = bootstrap.pair_seeds(first, second)
    units = np.unique(first["unit"])
    f, g = (by_seed(cells, units, average) for cells in (first, second))
    held = 2 * _held(pairs[0][0], average)
    return of_seeds(lambda w: f(w) - g(w), len(units), seed, resamples, held)


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
            row["positives"] = int((_one_seed(cells)["target"] == "1").sum())
            value = Estimate(np.nan, np.nan, np.nan, cells["unit"].nunique())
            if cells["target"].nunique() == 2:
                value = auc(cells, average, seed, resamples)
            table.append(row | vars(value))
    return pd.DataFrame(table)


def _one_seed(cells: pd.DataFrame) -> pd.DataFrame:
    """The rows of the first training seed, where seeds are to be counted once."""
    return cells[cells["seed"] == cells["seed"].min()] if "seed" in cells else cells


def by_label(frame: pd.DataFrame, seed: int = 0, resamples: int = RESAMPLES) -> pd.DataFrame:
    """AUC of every method and label: method, label, positives, negatives, value, low, high, n."""
    table = []
    for (label, method), cells in select(frame).groupby(["label", "method"], sort=True):
        targets = _one_seed(cells)["target"]
        positives = int((targets == "1").sum())
        row = {"method": method, "label": label, "positives": positives}
        row["negatives"] = len(targets) - positives
        table.append(row | vars(auc(cells, "micro", seed, resamples)))
    return pd.DataFrame(table).sort_values(["method", "label"], ignore_index=True)


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
        options = (len(units), seed, resamples, _held(cells, "macro"))
        for group, labels in groups.items():
            part = cells[cells["label"].isin(labels)]
            positives = part.loc[part["target"] == "1", "ecg"].nunique()
            if positives < least:
                continue
            curves.append(by_seed(part, units, "macro"))
            row = {"method": method, "group": group, "labels": part["label"].nunique()}
            value = of_seeds(curves[-1], len(units), seed, resamples, _held(part, "macro"))
            table.append(row | {"positives": positives} | vars(bounded(value)))
        if curves:
            row = {"method": method, "group": "All groups", "labels": cells["label"].nunique()}
            row["positives"] = cells.loc[cells["target"] == "1", "ecg"].nunique()
            means = of_seeds(lambda w, of=curves: np.mean([f(w) for f in of], axis=0), *options)
            table.append(row | vars(bounded(means)))
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
        value = bootstrap.estimate(curve, len(units), seed, resamples, len(part))
        table.append(dict(zip(by, key, strict=True)) | vars(value))
    return pd.DataFrame(table)
