"""Clinical agreement of generated reports: precision, recall and F1 over findings, by condition.

The labeller reads each report into `finding:NN` rows (degrees: `statements`). Their target is the
label of the waveform, not of the reference text. An ECG counts once per assessable finding; an
empty report states nothing, so it misses all true findings. Findings that a constant answer gets
right (sinus rhythm, "normal") do not count.

Findings that one condition brings together count once (`labels.finding_conditions`). A condition is
true where one of its assessable findings is, absent where none is, and stated where one is stated.
The grain "finding" scores each finding by itself.

All measures are functions of sums of (true positives, false positives, false negatives) over
patients, so their bootstrap is one matrix product. Frames with several training seeds (column
`seed`) get intervals over seeds and patients; a method of one seed is compared with every seed of
the other.
"""

from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd

from ecglib.evaluate import bootstrap, predictions
from ecglib.evaluate.bootstrap import Estimate, divide
from ecglib.evaluate.statements import DENIED, UNMENTIONED, read_degrees
from ecglib.labels.finding_conditions import CONDITIONS
from ecglib.labels.findings import TRIVIAL
from ecglib.labels.label_set import ABSENT, PRESENT

MEASURES = ["precision", "recall", "f1"]
COUNTS = ["tp", "fp", "fn"]
_OF_LABEL = pd.DataFrame(
    [(int(label), name) for name, labels in CONDITIONS.items() for label in labels],
    columns=["label", "condition"],
)


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

    Raises ValueError: the three are not of one length.
    """
    if not len(records) == len(labels) == len(written):
        raise ValueError(
            f"{method}: expected one report and one row of labels per record, got {len(records)} "
            f"records, {len(labels)} rows of labels and {len(written)} reports; align the three"
        )
    counted = {name: written[name].to_numpy() for name in ("tokens", "stop_reason")}
    text, reference = written["text"].to_numpy(), records["report"]
    texts = predictions.build(records, method, seed, "report", reference, text, **counted)
    positions, items, target, degree = [], [], [], []
    for position, (states, report) in enumerate(zip(labels, text, strict=True)):
        read = read_degrees(report)
        for label in scored:
            if states[label] in (ABSENT, PRESENT):
                positions.append(position)
                items.append(f"finding:{label:02d}")
                target.append(str(int(states[label] == PRESENT)))
                degree.append(read.get(label, UNMENTIONED))
    stated = ["1" if value > UNMENTIONED else "0" for value in degree]
    repeated = records.iloc[positions]
    return texts, predictions.build(repeated, method, seed, items, target, stated, degree)


def read_reference(
    records: pd.DataFrame, labels: np.ndarray, seed: int, scored: list[int]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """`read_reports` of the reference reports themselves, as the method `reference`: the ceiling of
    a method that writes what the hospital wrote."""
    written = pd.DataFrame({"text": records["report"], "tokens": 0, "stop_reason": "none"})
    return read_reports(records, labels, "reference", seed, written, scored)


def select(frame: pd.DataFrame) -> pd.DataFrame:
    """The finding rows that count, with `label` and 0 or 1 in the columns tp, fp and fn.
    Raises ValueError when no row is left."""
    label = predictions.numbers(frame["item"], "finding")
    counts = (label >= 0) & ~np.isin(label, list(TRIVIAL))
    frame = frame[counts].assign(label=label[counts])
    if frame.empty:
        raise ValueError(
            "expected finding rows besides the trivial ones, got none; check the selected method"
        )
    return _judged(frame, frame["target"] == "1", frame["prediction"] == "1")


def _judged(frame: pd.DataFrame, truth: pd.Series, stated: pd.Series) -> pd.DataFrame:
    cells = {"tp": truth & stated, "fp": ~truth & stated, "fn": truth & ~stated}
    return frame.assign(**cells).astype(dict.fromkeys(cells, int))


def select_conditions(frame: pd.DataFrame) -> pd.DataFrame:
    """One row per method, seed, ECG and condition with an assessable finding, as `select`.

    Columns method, seed, unit, ecg, item (the condition), target, tp, fp, fn, score (degree of the
    firmest statement, NaN where unknown) and contradicted (a finding is denied where it is true,
    and no other of the condition is stated).
    """
    keys = ["method", "seed", "unit", "ecg", "condition"]
    read = [*keys[:-1], "item", "target", "prediction", "score"]
    cells = select(frame[read]).merge(_OF_LABEL, on="label")
    cells["truth"], cells["stated"] = cells["target"] == "1", cells["prediction"] == "1"
    cells["contradicted"] = cells["truth"] & (cells["score"] == DENIED)
    kept = ["truth", "stated", "contradicted", "score"]
    cells = cells.groupby(keys, sort=False)[kept].max().reset_index()
    cells["contradicted"] &= ~cells["stated"]
    cells["target"] = np.where(cells["truth"], "1", "0")
    cells = _judged(cells, cells.pop("truth"), cells.pop("stated"))
    return cells.rename(columns={"condition": "item"})


def _cells(frame: pd.DataFrame, grain: str) -> pd.DataFrame:
    if grain not in ("condition", "finding"):
        raise ValueError(f"unknown grain {grain!r}; use condition or finding")
    return select_conditions(frame) if grain == "condition" else select(frame)


def totals(cells: pd.DataFrame) -> np.ndarray:
    """Per patient the sums over ECGs: (n patients, 3, K + 1) of tp, fp and fn, sorted by unit.

    `cells`: of `select` or `select_conditions`, one method and seed. Items that are true in no ECG
    have no F1; the last place has their sum.
    """
    units, of_unit = np.unique(cells["unit"], return_inverse=True)
    of_item, items = pd.factorize(cells["item"], sort=True)
    is_true = np.zeros(len(items), dtype=bool)
    is_true[of_item[(cells["target"] == "1").to_numpy()]] = True
    place = np.where(is_true, np.cumsum(is_true) - 1, is_true.sum())[of_item]
    sums = np.zeros((len(units), len(COUNTS), is_true.sum() + 1), dtype=np.int64)
    np.add.at(sums, (of_unit, slice(None), place), cells[COUNTS].to_numpy())
    return sums


def measure(name: str, totals: np.ndarray) -> np.ndarray:
    """precision, recall or f1 of totals (..., 3) = tp, fp, fn -> (...).
    A method that states nothing has no precision (NaN), and an F1 of 0 when a finding was true."""
    tp, fp, fn = np.moveaxis(totals, -1, 0)
    if name == "precision":
        return divide(tp, tp + fp)
    if name == "recall":
        return divide(tp, tp + fn)
    if name == "f1":
        return divide(2 * tp, 2 * tp + fp + fn)
    raise ValueError(f"unknown finding measure {name!r}; use one of {', '.join(MEASURES)}")


def macro(sums: np.ndarray) -> np.ndarray:
    """Mean F1 of sums (r, 3 * K) -> (r,). In a resample where an item is neither true nor stated it
    has no F1 and is left out of the mean.

    An F1 bends with its counts, so resamples lower it a little. The percentile interval of one
    training therefore lies low by up to 0.2 standard errors, and covers 0.93 to 0.94 in place of
    0.95 (benchmark percentile_coverage)."""
    f1 = measure("f1", np.moveaxis(sums.reshape(len(sums), 3, -1), 1, -1))
    return bootstrap.mean_of_defined(f1)


def _for_measure(sums: np.ndarray, name: str) -> np.ndarray:
    """What a measure needs of `totals`: (n, 3 * K), or (n, 3) of all items for a micro measure."""
    if name != "macro_f1":
        return sums.sum(axis=2)
    if sums.shape[2] == 1:
        raise ValueError("no finding has a true case in these rows; macro-F1 needs at least one")
    return sums[:, :, :-1].reshape(len(sums), -1)


def _by_seed(*cells: pd.DataFrame) -> list[tuple[np.ndarray, ...]]:
    """Of each training seed the `totals` of each frame."""
    return [tuple(map(totals, of_seed)) for of_seed in bootstrap.pair_seeds(*cells)]


def _estimate(
    name: str, by_seed: list[tuple], combine: Callable[..., np.ndarray] | None, seed: int
) -> Estimate:
    """A measure of one frame, or what `combine` makes of those of several, resampled jointly."""
    seeds = [tuple(_for_measure(sums, name) for sums in of_seed) for of_seed in by_seed]
    statistic = macro if name == "macro_f1" else partial(measure, name)
    value = bootstrap.across_seeds(statistic, seeds, combine, seed)
    return value if combine else bootstrap.bounded(value)


def micro(
    frame: pd.DataFrame, name: str = "f1", seed: int = 0, grain: str = "condition"
) -> Estimate:
    """Micro-averaged precision, recall or F1 of one method."""
    return _estimate(name, _by_seed(_cells(frame, grain)), None, seed)


def macro_f1(frame: pd.DataFrame, seed: int = 0) -> Estimate:
    """Mean F1 over the conditions with at least one true case in the whole set."""
    return _estimate("macro_f1", _by_seed(select_conditions(frame)), None, seed)


def difference(a: pd.DataFrame, b: pd.DataFrame, name: str = "f1", seed: int = 0) -> Estimate:
    """A measure (micro, or macro_f1) of a minus that of b over the same ECGs and findings."""
    return _estimate(name, _by_seed(*map(select_conditions, (a, b))), np.subtract, seed)


def better_floor(floors: dict[str, pd.DataFrame], name: str = "f1") -> str:
    """The floor with the highest point value of a measure; of equal ones the first."""
    cells = {key: _by_seed(select_conditions(floor)) for key, floor in floors.items()}
    return max(floors, key=lambda key: _estimate(name, cells[key], None, 0).value)


def share_of_reference(
    a: pd.DataFrame,
    floors: dict[str, pd.DataFrame],
    reference: pd.DataFrame,
    name: str = "f1",
    seed: int = 0,
) -> Estimate:
    """(a - floor) / (reference - floor) of a measure, from the better floor to the reference
    reports read back, the three resampled jointly.

    `floors`: the rows of methods without a language model, such as majority and retrieval. Which of
    them is better is decided on point values of the whole set, then it is resampled with the rest.
    """
    three = map(select_conditions, (a, floors[better_floor(floors, name)], reference))
    return _estimate(name, _by_seed(*three), bootstrap.share_of_room, seed)


def summary(frame: pd.DataFrame, seed: int = 0, grain: str = "condition") -> pd.DataFrame:
    """Long table of every method, macro-F1 first, then micro precision, recall and F1: columns
    method, metric, value, low, high, n, seeds. Raises ValueError: no row of a method counts."""
    table, selected = [], _cells(frame, grain)
    if lost := set(frame["method"].unique()) - set(selected["method"].unique()):
        raise ValueError(f"no finding row of {', '.join(sorted(lost))} counts; leave them out")
    for method, cells in selected.groupby("method", sort=True):
        sums, names = _by_seed(cells), ("macro_f1", *MEASURES)
        estimates = {name: _estimate(name, sums, None, seed) for name in names}
        table += [{"method": method, "metric": k, **vars(e)} for k, e in estimates.items()]
    return pd.DataFrame(table)


def by_finding(frame: pd.DataFrame) -> pd.DataFrame:
    """Columns method, label, tp, fp, fn, precision, recall, f1; one row per method and finding."""
    cells = select(frame)
    table = cells.groupby(["method", "label"])[COUNTS].sum().reset_index()
    sums = table[COUNTS].to_numpy(dtype=float)
    for name in MEASURES:
        table[name] = measure(name, sums)
    return table
