"""F1 at thresholds that are chosen on validation patients, and the released way beside it.

A score counts as positive from its label's threshold on. The threshold is that of the best F1 on
the validation rows; test rows do not influence it. ECG-Tok's released code chooses Youden's
threshold on the evaluated rows themselves. Its micro-F1 averages over the two classes of the
ravelled cells, and is therefore the accuracy (`released`).
"""

import numpy as np
import pandas as pd

from ecglib.evaluate import bootstrap
from ecglib.evaluate.auc import select
from ecglib.evaluate.bootstrap import RESAMPLES, Estimate, across_seeds, bounded, divide


def choose(validation: pd.DataFrame) -> pd.DataFrame:
    """The threshold of the best F1 of every method, training seed and label.

    Columns method, seed, label, positives, threshold, f1 (on these rows). Of equal F1 the highest
    threshold is taken. A label without a positive has no threshold (NaN).
    """
    cells = select(validation)
    table = []
    for key, part in cells.groupby(["method", "seed", "label"], sort=True):
        row = dict(zip(("method", "seed", "label"), key, strict=True))
        target = part["target"].to_numpy() == "1"
        threshold, value = best_f1(target, part["score"].to_numpy())
        table.append(row | {"positives": target.sum(), "threshold": threshold, "f1": value})
    return pd.DataFrame(table)


def best_f1(targets: np.ndarray, scores: np.ndarray) -> tuple[float, float]:
    """Threshold of the best F1 and that F1; targets and scores (m,). NaN without a positive."""
    levels, true, false = _called(targets, scores)
    if not targets.any():
        return float("nan"), float("nan")
    values = 2 * true / (true + false + targets.sum())
    best = int(np.argmax(values))
    return float(levels[best]), float(values[best])


def youden(targets: np.ndarray, scores: np.ndarray) -> float:
    """Threshold of the largest sensitivity + specificity - 1; NaN where a class is missing."""
    if targets.all() or not targets.any():
        return float("nan")
    levels, true, false = _called(targets, scores)
    return float(levels[np.argmax(true / targets.sum() - false / (~targets).sum())])


def _called(targets: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Distinct scores, highest first, and true and false positives from each of them on."""
    order = np.argsort(-scores, kind="stable")
    scores, targets = scores[order], targets[order]
    last = np.flatnonzero(np.r_[scores[1:] != scores[:-1], len(scores) > 0])
    true = np.cumsum(targets)[last]
    return scores[last], true, last + 1 - true


def f1(
    test: pd.DataFrame,
    thresholds: pd.DataFrame,
    average: str = "macro",
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Estimate:
    """F1 of the positives of one method on test rows, over its training seeds and labels.

    "micro" sums the cells of all labels. "macro" is the mean over labels, where a label without a
    positive is left out. Labels without a threshold are left out of both.

    Args:
        test: classification rows of one method.
        thresholds: table of `choose`; a seed of `test` reads the threshold of the same seed.

    Raises ValueError: another average, a method without thresholds, or rows of several methods.
    """
    if average not in ("micro", "macro"):
        raise ValueError(f"unknown average {average!r}; use micro or macro")
    cells = select(test)
    if cells["method"].nunique() != 1:
        raise ValueError(f"expected rows of one method, got {sorted(set(cells['method']))}")
    seeds = [(_totals(part, thresholds),) for part in bootstrap.split_seeds(cells)]

    def function(totals: np.ndarray) -> np.ndarray:
        called = totals.reshape(len(totals), -1, 3)  # true positives, calls, positives
        if average == "micro":
            called = called.sum(axis=1, keepdims=True)
        true, calls, positives = np.moveaxis(called, 2, 0)
        values = np.where(positives > 0, divide(2 * true, calls + positives), np.nan)
        return bootstrap.mean_of_defined(values)

    return bounded(across_seeds(function, seeds, seed=seed, resamples=resamples))


def _totals(cells: pd.DataFrame, thresholds: pd.DataFrame) -> np.ndarray:
    """Per patient and label the true positives, calls and positives, (n, 3 * labels)."""
    keys = ["method", "seed", "label"]
    cells = cells.merge(thresholds[[*keys, "threshold"]], on=keys, how="left")
    units, cells = np.unique(cells["unit"]), cells.dropna(subset="threshold")
    if cells.empty:
        raise ValueError("expected thresholds of this method and seed, got none; choose them first")
    target = cells["target"].to_numpy() == "1"
    call = cells["score"].to_numpy() >= cells["threshold"].to_numpy()
    labels, label = np.unique(cells["label"], return_inverse=True)
    place = np.searchsorted(units, cells["unit"]) * len(labels) + label
    size = len(units) * len(labels)
    sums = [np.bincount(place, part, minlength=size) for part in (target & call, call, target)]
    return np.stack(sums, axis=1).reshape(len(units), -1)


def released(test: pd.DataFrame) -> pd.DataFrame:
    """F1 as the released code computes it, on the rows that also choose its thresholds.

    One line per method, mean over seeds: ``micro_f1`` (one Youden threshold for the ravelled
    cells; the average over both classes, so the accuracy), ``accuracy_all_absent`` (of no positive
    call at all), ``micro_f1_of_positives`` (F1 at the same threshold) and ``macro_f1`` (a Youden
    threshold per label, labels with both classes).
    """
    table = []
    for method, part in select(test).groupby("method", sort=True):
        lines = pd.DataFrame([_released(cells) for cells in bootstrap.split_seeds(part)])
        table.append({"method": method} | lines.mean().to_dict())
    return pd.DataFrame(table)


def _released(cells: pd.DataFrame) -> dict[str, float]:
    """A line of `released`, of one seed."""
    target, score = cells["target"].to_numpy() == "1", cells["score"].to_numpy()
    call = score >= youden(target, score)
    line = {"micro_f1": float((call == target).mean()), "accuracy_all_absent": 1 - target.mean()}
    line["micro_f1_of_positives"] = _f1(target, call)
    by_label = []
    for rows in cells.groupby("label", sort=True).indices.values():
        threshold = youden(target[rows], score[rows])
        if not np.isnan(threshold):
            by_label.append(_f1(target[rows], score[rows] >= threshold))
    return line | {"macro_f1": float(np.mean(by_label)) if by_label else float("nan")}


def _f1(targets: np.ndarray, calls: np.ndarray) -> float:
    """F1 of the positives."""
    return float(2 * (targets & calls).sum() / max(1, targets.sum() + calls.sum()))
