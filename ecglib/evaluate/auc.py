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

from ecglib.evaluate import bootstrap, predictions
from ecglib.evaluate.bootstrap import RESAMPLES, Estimate, bounded, of_draws
from ecglib.evaluate.weighted_curves import WeightedAUC, WeightedCurve

Curve = type[WeightedCurve]
NOT_USED = ["prediction", "site", "sex", "age_band", "tokens", "stop_reason"]


def select(frame: pd.DataFrame) -> pd.DataFrame:
    """The `label:NN` rows, with a column `label`; ValueError when there are none."""
    label = predictions.numbers(frame["item"], "label")
    if not (chosen := label >= 0).any():
        raise ValueError("expected classification rows (label:NN), got none; check the method")
    return (frame if chosen.all() else frame[chosen]).assign(label=label[chosen])


def _select(frame: pd.DataFrame) -> pd.DataFrame:
    """`select` without the columns that no AUC needs: copies of text take long."""
    return select(frame.drop(columns=NOT_USED, errors="ignore"))


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


def draws(
    cells: pd.DataFrame,
    units: np.ndarray,
    average: str,
    seed: int = 0,
    resamples: int = RESAMPLES,
    curve: Curve = WeightedAUC,
) -> np.ndarray:
    """AUC of classification rows of the sorted `units`, then of each resample of them, with a row
    per training seed: (k, 1 + r).

    "micro" pools all cells. "macro" is the mean over labels, where a label without positives or
    without negatives is left out. Raises ValueError: another average, or the seeds' cells differ.
    """
    rows = []
    for part in bootstrap.split_seeds(cells):
        curves = _curves(part, units, average, curve)
        values = np.stack([one.draws(len(units), seed, resamples) for one in curves])
        rows.append(bootstrap.mean_of_defined(values, axis=0))
    return np.stack(rows)


def auc(
    frame: pd.DataFrame,
    average: str = "micro",
    seed: int = 0,
    resamples: int = RESAMPLES,
    curve: Curve = WeightedAUC,
) -> Estimate:
    """Micro- or macro-AUC of one method over its labels; over its training seeds too."""
    cells = _select(frame)
    units = np.unique(cells["unit"])
    return bounded(of_draws(draws(cells, units, average, seed, resamples, curve), len(units)))


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
    first, second = _select(a), _select(b)
    bootstrap.pair_seeds(first, second)
    units = np.unique(first["unit"])
    f, g = (draws(cells, units, average, seed, resamples) for cells in (first, second))
    return of_draws(f - g, len(units))


def by_category(
    frame: pd.DataFrame,
    categories: dict[str, list[int]],
    average: str = "micro",
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> pd.DataFrame:
    """AUC of every method in every category, and over all their labels ("All").

    Columns method, category, labels, positives, value, low, high, n, seeds. Categories without a
    row, or without a positive or a negative cell, are listed with NaN, so that a figure can mark
    the gap.
    """
    groups = categories | {"All": sorted({i for labels in categories.values() for i in labels})}
    table = []
    for method, part in _select(frame).groupby("method", sort=True):
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
    """AUC of every method and label: columns method, label, positives, negatives, value, low, high,
    n, seeds."""
    table = []
    for (label, method), cells in _select(frame).groupby(["label", "method"], sort=True):
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
    for method, cells in _select(frame).groupby("method", sort=True):
        units, of_groups, counted = np.unique(cells["unit"]), [], set()
        for group, labels in groups.items():
            part = cells[cells["label"].isin(labels)]
            positives = part.loc[part["target"] == "1", "ecg"].nunique()
            if positives < least:
                continue
            counted |= {*labels}
            of_groups.append(draws(part, units, "macro", seed, resamples))
            row = {"method": method, "group": group, "labels": part["label"].nunique()}
            value = bounded(of_draws(of_groups[-1], len(units)))
            table.append(row | {"positives": positives} | vars(value))
        if of_groups:
            whole = cells[cells["label"].isin(counted)]
            row = {"method": method, "group": "All groups", "labels": whole["label"].nunique()}
            row["positives"] = whole.loc[whole["target"] == "1", "ecg"].nunique()
            value = bounded(of_draws(np.mean(of_groups, axis=0), len(units)))
            table.append(row | vars(value))
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
        ``high``, ``n`` (patients) and ``seeds`` (1).
    """
    table = []
    for key, part in frame.groupby(list(by), sort=False):
        units, patients = np.unique(part["unit"], return_inverse=True)
        curve = WeightedAUC(part["target"].to_numpy(), part["score"].to_numpy(), patients)
        value = of_draws(curve.draws(len(units), seed, resamples)[None], len(units))
        table.append(dict(zip(by, key, strict=True)) | vars(value))
    return pd.DataFrame(table)
