"""Calibration: does a predicted probability of 0.3 come true in 3 of 10 cells?

The expected calibration error is the mean |predicted - observed| over bins of the predicted
probability, weighted by their cells (Guo et al., ICML 2017: bins of equal width). Most labels are
rare, so most cells are in the lowest bin and the pooled error is small for every method. The
macro-average, the mean of the labels' own errors, counts a rare label as much as a frequent one.
The Brier score is the mean squared difference of probability and target.
"""

import numpy as np
import pandas as pd

from ecglib.evaluate import bootstrap
from ecglib.evaluate.auc import select
from ecglib.evaluate.bootstrap import RESAMPLES, Estimate, across_seeds, bounded, divide, ratio

BINS = 10


def reliability(
    frame: pd.DataFrame, bins: int = BINS, seed: int = 0, resamples: int = RESAMPLES
) -> pd.DataFrame:
    """Observed share of positives by bin of the predicted probability, all labels pooled.

    Columns method, lower, upper (of the bin), cells (mean over seeds), predicted (their mean
    probability), value (share of positives), low, high, n. Bins empty in a seed are left out.
    """
    table = []
    for method, cells in select(frame).groupby("method", sort=True):
        units = np.unique(cells["unit"])
        seeds = [_totals(part, units, bins, "micro") for part in bootstrap.split_seeds(cells)]
        for i in range(bins):
            parts = [totals.reshape(len(units), bins, 3)[:, i] for totals in seeds]
            if not all(part[:, 0].any() for part in parts):
                continue
            row = {"method": method, "lower": i / bins, "upper": (i + 1) / bins}
            row["cells"] = np.mean([part[:, 0].sum() for part in parts])
            row["predicted"] = np.mean([part[:, 1].sum() / part[:, 0].sum() for part in parts])
            observed = [(part[:, [2, 0]],) for part in parts]
            value = across_seeds(ratio, observed, seed=seed, resamples=resamples)
            table.append(row | vars(bounded(value)))
    return pd.DataFrame(table)


def calibration_error(
    frame: pd.DataFrame,
    average: str = "micro",
    bins: int = BINS,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Estimate:
    """Expected calibration error of one method; "micro" pools the labels, "macro" is their mean.
    Raises ValueError for another average."""
    cells = select(frame)
    units = np.unique(cells["unit"])

    def function(totals: np.ndarray) -> np.ndarray:
        count, predicted, present = np.moveaxis(totals.reshape(len(totals), -1, bins, 3), 3, 0)
        return _mean(divide(np.abs(predicted - present).sum(axis=2), count.sum(axis=2)))

    seeds = [(_totals(part, units, bins, average),) for part in bootstrap.split_seeds(cells)]
    return bounded(across_seeds(function, seeds, seed=seed, resamples=resamples))


def brier(
    frame: pd.DataFrame, average: str = "micro", seed: int = 0, resamples: int = RESAMPLES
) -> Estimate:
    """Brier score of one method; "micro" pools the labels, "macro" is the mean of theirs.
    Raises ValueError for another average."""
    cells = select(frame)
    units = np.unique(cells["unit"])
    cells["score"] = (cells["score"] - (cells["target"] == "1")) ** 2

    def function(totals: np.ndarray) -> np.ndarray:
        count, squares, _ = np.moveaxis(totals.reshape(len(totals), -1, 3), 2, 0)
        return _mean(divide(squares, count))

    seeds = [(_totals(part, units, 1, average),) for part in bootstrap.split_seeds(cells)]
    return bounded(across_seeds(function, seeds, seed=seed, resamples=resamples))


def summary(
    frame: pd.DataFrame, bins: int = BINS, seed: int = 0, resamples: int = RESAMPLES
) -> pd.DataFrame:
    """Both measures of every method: method, measure, average, value, low, high, n."""
    table = []
    for method, cells in frame.groupby("method", sort=True):
        for average in ("micro", "macro"):
            options = {"average": average, "seed": seed, "resamples": resamples}
            error = calibration_error(cells, bins=bins, **options)
            for measure, value in (("ece", error), ("brier", brier(cells, **options))):
                row = {"method": method, "measure": measure, "average": average}
                table.append(row | vars(value))
    return pd.DataFrame(table).sort_values(["measure", "average", "method"], ignore_index=True)


def _totals(cells: pd.DataFrame, units: np.ndarray, bins: int, average: str) -> np.ndarray:
    """Per patient, label ("macro"; else all as one) and bin: cells, sum of scores, positives.
    Shape (n, labels * bins * 3)."""
    if average not in ("micro", "macro"):
        raise ValueError(f"unknown average {average!r}; use micro or macro")
    score = cells["score"].to_numpy()
    target = (cells["target"] == "1").to_numpy(dtype=float)
    labels, label = np.unique(cells["label"], return_inverse=True)
    if average == "micro":
        labels, label = labels[:1], np.zeros_like(label)
    column = label * bins + np.minimum((score * bins).astype(int), bins - 1)
    columns = len(labels) * bins
    place, size = np.searchsorted(units, cells["unit"]) * columns + column, len(units) * columns
    sums = [np.bincount(place, w, minlength=size) for w in (np.ones(len(cells)), score, target)]
    return np.stack(sums, axis=1).reshape(len(units), -1)


def _mean(values: np.ndarray) -> np.ndarray:
    """Mean over labels of those with a cell, (r, labels) -> (r,)."""
    return divide(np.nansum(values, axis=1), (~np.isnan(values)).sum(axis=1))
