"""Calibration: does a predicted probability of 0.3 come true in 3 of 10 cells?

The expected calibration error is the mean |predicted - observed| over bins of the predicted
probability, weighted by their cells (Guo et al., ICML 2017: bins of equal width). Most labels are
rare, so most cells are in the lowest bin and the pooled error is small for every method. The
macro-average, the mean of the labels' own errors, counts a rare label as much as a frequent one.
Chance alone makes the error larger than 0, because distances have no sign and cannot cancel. A
resample of patients adds its chance to that of the sample, so an interval from resamples would lie
above its value. The error therefore has none, and is compared with `if_calibrated`.
The Brier score is the mean squared difference of probability and target.
"""

import numpy as np
import pandas as pd

from ecglib.evaluate import bootstrap
from ecglib.evaluate.auc import select
from ecglib.evaluate.bootstrap import RESAMPLES, Estimate, across_seeds, bounded, divide, ratio

BINS = 10
DRAWS = 200  # of targets, for the error of a calibrated classifier


def reliability(frame: pd.DataFrame, seed: int = 0, resamples: int = RESAMPLES) -> pd.DataFrame:
    """Observed share of positives by bin of the predicted probability, all labels pooled.

    Columns method, lower, upper (of the bin), cells (mean over seeds), predicted (their mean
    probability), value (share of positives), low, high, n, seeds. Bins empty in a seed are left
    out.
    """
    table = []
    for method, cells in select(frame).groupby("method", sort=True):
        units = np.unique(cells["unit"])
        seeds = [_totals(part, units, BINS, "micro") for part in bootstrap.split_seeds(cells)]
        for i in range(BINS):
            parts = [totals.reshape(len(units), BINS, 3)[:, i] for totals in seeds]
            if not all(part[:, 0].any() for part in parts):
                continue
            row = {"method": method, "lower": i / BINS, "upper": (i + 1) / BINS}
            row["cells"] = np.mean([part[:, 0].sum() for part in parts])
            row["predicted"] = np.mean([part[:, 1].sum() / part[:, 0].sum() for part in parts])
            observed = [(part[:, [2, 0]],) for part in parts]
            value = across_seeds(ratio, observed, seed=seed, resamples=resamples)
            table.append(row | vars(bounded(value)))
    return pd.DataFrame(table)


def calibration_error(frame: pd.DataFrame, average: str = "micro") -> Estimate:
    """Expected calibration error of one method; "micro" pools the labels, "macro" is their mean.
    Without an interval (NaN): see the top. Raises ValueError for another average."""
    cells = select(frame)
    units = np.unique(cells["unit"])
    each = []
    for part in bootstrap.split_seeds(cells):
        count, predicted, present = _totals(part, units, BINS, average).sum(0).reshape(-1, 3).T
        each.append(_error(count, np.abs(predicted - present)))
    return Estimate(float(np.mean(each)), float("nan"), float("nan"), len(units), len(each))


def if_calibrated(frame: pd.DataFrame, average: str = "micro", seed: int = 0) -> Estimate:
    """The same error if the classifier were calibrated: mean and central 95 % of `DRAWS` draws, in
    which each cell is positive with its predicted probability, independently of the others.
    Raises ValueError for another average."""
    cells, rng = select(frame), np.random.default_rng(seed)
    draws = []
    for part in bootstrap.split_seeds(cells):
        score = part["score"].to_numpy()
        column, size = _columns(part, BINS, average)
        count, predicted = (np.bincount(column, w, size) for w in (np.ones(len(score)), score))
        draws.append([])
        for _ in range(DRAWS):
            present = np.bincount(column, rng.random(len(score)) < score, size)
            draws[-1].append(_error(count, np.abs(predicted - present)))
    values = np.mean(draws, axis=0)
    tail = (1.0 - bootstrap.LEVEL) / 2.0
    low, high = np.quantile(values, [tail, 1.0 - tail])
    return Estimate(float(values.mean()), low, high, cells["unit"].nunique(), len(draws))


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
        return bootstrap.mean_of_defined(divide(squares, count))  # over labels with a cell

    seeds = [(_totals(part, units, 1, average),) for part in bootstrap.split_seeds(cells)]
    return bounded(across_seeds(function, seeds, seed=seed, resamples=resamples))


def summary(frame: pd.DataFrame, seed: int = 0, resamples: int = RESAMPLES) -> pd.DataFrame:
    """All measures of every method: method, measure, average, value, low, high, n, seeds."""
    table = []
    for method, cells in frame.groupby("method", sort=True):
        for average in ("micro", "macro"):
            values = {
                "ece": calibration_error(cells, average),
                "ece_if_calibrated": if_calibrated(cells, average, seed),
                "brier": brier(cells, average, seed, resamples),
            }
            for measure, value in values.items():
                row = {"method": method, "measure": measure, "average": average}
                table.append(row | vars(value))
    return pd.DataFrame(table).sort_values(["measure", "average", "method"], ignore_index=True)


def _totals(cells: pd.DataFrame, units: np.ndarray, bins: int, average: str) -> np.ndarray:
    """Per patient, label ("macro"; else all as one) and bin: cells, sum of scores, positives.
    Shape (n, labels * bins * 3)."""
    score = cells["score"].to_numpy()
    target = (cells["target"] == "1").to_numpy(dtype=float)
    column, columns = _columns(cells, bins, average)
    place, size = np.searchsorted(units, cells["unit"]) * columns + column, len(units) * columns
    sums = [np.bincount(place, w, minlength=size) for w in (np.ones(len(cells)), score, target)]
    return np.stack(sums, axis=1).reshape(len(units), -1)


def _columns(cells: pd.DataFrame, bins: int, average: str) -> tuple[np.ndarray, int]:
    """Of each cell the number of its label ("macro"; else 0) and bin, and how many there are.
    Raises ValueError for another average."""
    if average not in ("micro", "macro"):
        raise ValueError(f"unknown average {average!r}; use micro or macro")
    labels, label = np.unique(cells["label"], return_inverse=True)
    if average == "micro":
        labels, label = labels[:1], np.zeros_like(label)
    score = cells["score"].to_numpy()
    return label * bins + np.minimum((score * bins).astype(int), bins - 1), len(labels) * bins


def _error(count: np.ndarray, distance: np.ndarray) -> float:
    """Mean over labels of the distances summed over bins, per cell; both (labels * BINS,)."""
    by_label = divide(distance.reshape(-1, BINS).sum(1), count.reshape(-1, BINS).sum(1))
    return float(np.nanmean(by_label))
