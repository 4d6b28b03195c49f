"""Clinical agreement of generated reports: precision, recall and F1 over findings.

The labeller reads each report into `finding:NN` rows. Their target is the label of the waveform,
not of the reference text. An ECG counts once per assessable finding; an empty report states
nothing, so it misses all true findings. Findings that a constant answer gets right (sinus rhythm,
"normal") do not count.

Micro metrics are ratios of sums of (true positives, false positives, false negatives) over
patients, so their bootstrap is one matrix product.
"""

from functools import partial

import numpy as np
import pandas as pd

from ecglib.evaluate import predictions
from ecglib.evaluate.bootstrap import Estimate, check_aligned, divide, of_totals, share_of_room
from ecglib.labels.findings import TRIVIAL
from ecglib.labels.label_set import ABSENT, PRESENT
from ecglib.labels.labeller import read_findings

MEASURES = ["precision", "recall", "f1"]


def read_reports(
    records: pd.DataFrame,
    labels: np.ndarray,
    method: str,
    seed: int,
    written: pd.DataFrame,
    scored: list[int],
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Prediction rows of n reports: one per text, and one per scored finding.

    Args:
        records: n rows of the cohort's table, with the reference in `report`.
        labels: int8 (n, 77) states of their waveforms; cells that are neither absent nor present
            are left out.
        written: n rows in the same order, with columns text, tokens and stop_reason.
        scored: numbers of the findings.

    Raises:
        ValueError: the three are not of one length.
    """
    if not len(records) == len(labels) == len(written):
        raise ValueError(
            f"{method}: expected one report and one row of labels per record, got {len(records)} "
            f"records, {len(labels)} rows of labels and {len(written)} reports; align the three"
        )
    counted = {name: written[name].to_numpy() for name in ("tokens", "stop_reason")}
    text, reference = written["text"].to_numpy(), records["report"]
    texts = predictions.build(records, method, seed, "report", reference, text, **counted)
    positions, items, target, stated = [], [], [], []
    for position, (states, report) in enumerate(zip(labels, text, strict=True)):
        read = read_findings(report)
        for label in scored:
            if states[label] in (ABSENT, PRESENT):
                positions.append(position)
                items.append(f"finding:{label:02d}")
                target.append(str(int(states[label] == PRESENT)))
                stated.append(str(int(read.get(label, ABSENT) == PRESENT)))
    repeated = records.iloc[positions]
    return texts, predictions.build(repeated, method, seed, items, target, stated)


def select(frame: pd.DataFrame) -> pd.DataFrame:
    """The finding rows that count, with `label` and 0 or 1 in the columns tp, fp and fn.

    Raises ValueError when no row is left.
    """
    frame = frame[frame["item"].str.startswith("finding:")]
    label = frame["item"].str.removeprefix("finding:").astype(int)
    frame = frame.assign(label=label)[~label.isin(list(TRIVIAL))]
    if frame.empty:
        raise ValueError(
            "expected finding rows besides the trivial ones, got none; check the selected method"
        )
    truth, stated = frame["target"] == "1", frame["prediction"] == "1"
    cells = {"tp": truth & stated, "fp": ~truth & stated, "fn": truth & ~stated}
    return frame.assign(**cells).astype(dict.fromkeys(cells, int))


def counts(frame: pd.DataFrame) -> np.ndarray:
    """Per patient the sums tp, fp, fn over ECGs and findings, (n patients, 3), sorted by unit."""
    return select(frame).groupby("unit")[["tp", "fp", "fn"]].sum().sort_index().to_numpy()


def measure(name: str, totals: np.ndarray) -> np.ndarray:
    """precision, recall or f1 of totals (..., 3) = tp, fp, fn -> (...).

    A method that states nothing has no precision (NaN), and an F1 of 0 when a finding was true.
    """
    tp, fp, fn = np.moveaxis(totals, -1, 0)
    if name == "precision":
        return divide(tp, tp + fp)
    if name == "recall":
        return divide(tp, tp + fn)
    if name == "f1":
        return divide(2 * tp, 2 * tp + fp + fn)
    raise ValueError(f"unknown finding measure {name!r}; use one of {', '.join(MEASURES)}")


def micro(frame: pd.DataFrame, name: str = "f1", seed: int = 0) -> Estimate:
    """Micro-averaged precision, recall or F1 of one method."""
    return of_totals(partial(measure, name), counts(frame), seed=seed)


def difference(a: pd.DataFrame, b: pd.DataFrame, name: str = "f1", seed: int = 0) -> Estimate:
    """Micro measure of a minus that of b over the same ECGs and findings."""
    check_aligned(select(a), select(b))
    return of_totals(partial(measure, name), counts(a), counts(b), combine=np.subtract, seed=seed)


def share_of_oracle(
    a: pd.DataFrame, floor: pd.DataFrame, oracle: pd.DataFrame, name: str = "f1", seed: int = 0
) -> Estimate:
    """(a - floor) / (oracle - floor) of a micro measure, the three resampled jointly."""
    frames = (a, floor, oracle)
    check_aligned(*map(select, frames))
    totals = map(counts, frames)
    return of_totals(partial(measure, name), *totals, combine=share_of_room, seed=seed)


def macro_f1(frame: pd.DataFrame, seed: int = 0) -> Estimate:
    """Mean F1 over the findings with at least one true case in the whole set.

    In a resample where a finding is neither true nor stated it has no F1 and is left out of the
    mean.
    """
    cells = select(frame)
    support = cells.groupby("label")[["tp", "fn"]].sum().sum(axis=1)
    labels = list(support.index[support > 0])
    if not labels:
        raise ValueError("no finding has a true case in these rows; macro-F1 needs at least one")
    cells = cells[cells["label"].isin(labels)]
    table = cells.groupby(["unit", "label"])[["tp", "fp", "fn"]].sum().unstack(fill_value=0)
    totals = table.to_numpy()

    def mean_f1(t: np.ndarray) -> np.ndarray:
        f1 = measure("f1", np.stack(np.split(t, 3, axis=1), axis=-1))
        return divide(np.nansum(f1, axis=1), np.sum(~np.isnan(f1), axis=1))

    return of_totals(mean_f1, totals, seed=seed)


def summary(frame: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """Long table of every method: columns method, metric, value, low, high, n."""
    table = []
    for method, part in frame.groupby("method", sort=True):
        estimates = {name: micro(part, name, seed) for name in MEASURES}
        estimates["macro_f1"] = macro_f1(part, seed)
        table += [{"method": method, "metric": k, **vars(e)} for k, e in estimates.items()]
    return pd.DataFrame(table)


def by_finding(frame: pd.DataFrame) -> pd.DataFrame:
    """Columns method, label, tp, fp, fn, precision, recall, f1; one row per method and finding."""
    cells = select(frame)
    table = cells.groupby(["method", "label"])[["tp", "fp", "fn"]].sum().reset_index()
    totals = table[["tp", "fp", "fn"]].to_numpy(dtype=float)
    for name in MEASURES:
        table[name] = measure(name, totals)
    return table
