"""Clinical agreement of generated reports: precision, recall and F1 over findings.

Rows `finding:NN` hold the truth (the labels of the waveform, not of the reference text) and what
the labeller read from the output. An ECG counts once for every assessable finding; an empty output
states nothing, so all its true findings are missed. Findings that a constant answer gets right
(sinus rhythm, "normal") are excluded by default.

Micro metrics are ratios of sums of (true positives, false positives, false negatives) over
patients, which is what makes their bootstrap one matrix product.
"""

from collections.abc import Collection

import numpy as np
import pandas as pd

from ecglib.evaluate.bootstrap import (
    RESAMPLES,
    Estimate,
    check_aligned,
    difference_of_totals,
    divide,
    of_totals,
    share_of_totals,
)
from ecglib.labels.findings import TRIVIAL

MEASURES = ["precision", "recall", "f1"]


def select(frame: pd.DataFrame, exclude: Collection[int] = TRIVIAL) -> pd.DataFrame:
    """The finding rows that count; ValueError when none is left."""
    frame = frame[frame["item"].str.startswith("finding:")]
    label = frame["item"].str.removeprefix("finding:").astype(int)
    frame = frame.assign(label=label)[~label.isin(list(exclude))]
    if frame.empty:
        raise ValueError("no finding rows are left to score once the trivial ones are excluded")
    return frame


def counts(frame: pd.DataFrame, exclude: Collection[int] = TRIVIAL) -> pd.DataFrame:
    """Per patient the sums tp, fp, fn over ECGs and findings; index: unit, sorted."""
    frame = _cells(select(frame, exclude))
    return frame.groupby("unit")[["tp", "fp", "fn"]].sum().sort_index()


def _cells(frame: pd.DataFrame) -> pd.DataFrame:
    truth, said = frame["target"] == "1", frame["prediction"] == "1"
    return frame.assign(
        tp=(truth & said).astype(int),
        fp=(~truth & said).astype(int),
        fn=(truth & ~said).astype(int),
    )


def measure(name: str, totals: np.ndarray) -> np.ndarray:
    """precision, recall or f1 of totals (r, 3) = tp, fp, fn -> (r,).

    A method that states nothing has no precision (NaN), and an F1 of 0 when there was something to
    find.
    """
    tp, fp, fn = totals.T
    if name == "precision":
        return divide(tp, tp + fp)
    if name == "recall":
        return divide(tp, tp + fn)
    if name == "f1":
        return divide(2 * tp, 2 * tp + fp + fn)
    raise ValueError(f"unknown finding measure {name!r}: use one of {', '.join(MEASURES)}")


def micro(
    frame: pd.DataFrame,
    name: str = "f1",
    exclude: Collection[int] = TRIVIAL,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Estimate:
    """Micro-averaged precision, recall or F1 of one method."""
    totals = counts(frame, exclude).to_numpy()
    return of_totals(lambda t: measure(name, t), totals, seed, resamples)


def difference(
    a: pd.DataFrame,
    b: pd.DataFrame,
    name: str = "f1",
    exclude: Collection[int] = TRIVIAL,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Estimate:
    """Micro measure of a minus that of b over the same ECGs and findings."""
    check_aligned(select(a, exclude), select(b, exclude))
    totals = np.hstack([counts(f, exclude).to_numpy() for f in (a, b)])
    return difference_of_totals(lambda t: measure(name, t), totals, seed, resamples)


def share_of_oracle(
    a: pd.DataFrame,
    floor: pd.DataFrame,
    oracle: pd.DataFrame,
    name: str = "f1",
    exclude: Collection[int] = TRIVIAL,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Estimate:
    """(a - floor) / (oracle - floor) of a micro measure, the three resampled jointly."""
    check_aligned(*(select(f, exclude) for f in (a, floor, oracle)))
    totals = np.hstack([counts(f, exclude).to_numpy() for f in (a, floor, oracle)])
    return share_of_totals(lambda t: measure(name, t), totals, seed, resamples)


def macro_f1(
    frame: pd.DataFrame,
    exclude: Collection[int] = TRIVIAL,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Estimate:
    """Mean F1 over the findings with at least one true case in the whole set.

    In a resample where a finding is neither true nor stated it has no F1 and drops out of the mean.
    """
    cells = _cells(select(frame, exclude))
    support = cells.groupby("label")[["tp", "fn"]].sum().sum(axis=1)
    labels = list(support.index[support > 0])
    if not labels:
        raise ValueError("no finding has a true case in these rows: macro-F1 is undefined")
    cells = cells[cells["label"].isin(labels)]
    table = cells.pivot_table(
        index="unit", columns="label", values=["tp", "fp", "fn"], aggfunc="sum", fill_value=0
    )
    totals = np.hstack([table[part][labels].to_numpy() for part in ("tp", "fp", "fn")])

    def function(t: np.ndarray) -> np.ndarray:
        tp, fp, fn = np.split(t, 3, axis=1)
        f1 = divide(2 * tp, 2 * tp + fp + fn)
        return divide(np.nansum(f1, axis=1), np.sum(~np.isnan(f1), axis=1))

    return of_totals(function, totals, seed, resamples)


def summary(frame: pd.DataFrame, exclude: Collection[int] = TRIVIAL, seed: int = 0) -> pd.DataFrame:
    """Long table of every method: columns method, metric, value, low, high, n."""
    table = []
    for method, part in frame.groupby("method", sort=True):
        for name in MEASURES:
            table.append((method, name, micro(part, name, exclude, seed)))
        table.append((method, "macro_f1", macro_f1(part, exclude, seed)))
    return pd.DataFrame([{"method": m, "metric": k, **vars(e)} for m, k, e in table])


def by_finding(frame: pd.DataFrame, exclude: Collection[int] = TRIVIAL) -> pd.DataFrame:
    """Columns method, label, tp, fp, fn, precision, recall, f1; one row a method and finding."""
    cells = _cells(select(frame, exclude))
    table = cells.groupby(["method", "label"])[["tp", "fp", "fn"]].sum().reset_index()
    totals = table[["tp", "fp", "fn"]].to_numpy(dtype=float)
    for name in MEASURES:
        table[name] = measure(name, totals)
    return table
