"""AUC by sex, age band and site, over the labels that a subgroup can measure.

A label counts in a subgroup only with a positive and a negative ECG there
(`class_counts.left_out` names the others). Subgroups that measure different labels are not
comparable by their mean, so `shared` keeps the labels that every subgroup measures.
"""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from ecglib.evaluate.auc import Curve, auc, by_seed, select
from ecglib.evaluate.bootstrap import RESAMPLES, Estimate, of_seeds
from ecglib.evaluate.class_counts import measured
from ecglib.evaluate.weighted_curves import WeightedAUC

SUBGROUPS = {"sex": "Sex", "age_band": "Age", "site": "Site"}


def by_subgroup(
    frame: pd.DataFrame,
    column: str,
    average: str = "macro",
    least: int = 1,
    shared: bool = False,
    seed: int = 0,
    resamples: int = RESAMPLES,
    curve: Curve = WeightedAUC,
) -> pd.DataFrame:
    """AUC of every method in every subgroup; patients are resampled within the subgroup.

    Args:
        frame: classification rows of one or more methods on the same cells.
        column: sex, age_band or site.
        average: "macro" or "micro", over the labels that count.
        least: positives and negatives that a label needs in the subgroup.
        shared: only labels that count in every subgroup.

    Returns:
        columns method, column, subgroup, labels (that count), ecgs, value, low, high, n. A subgroup
        that measures no label is listed with NaN.
    """
    cells, labels = select(frame), measured(frame, column, least)
    if shared:
        labels = dict.fromkeys(labels, shared_labels(labels.values()))
    table = []
    for subgroup, chosen in labels.items():
        part = cells[(cells[column] == subgroup) & cells["label"].isin(chosen)]
        for method in cells["method"].unique():
            rows = part[part["method"] == method]
            row = {"method": method, "column": column, "subgroup": subgroup}
            row |= {"labels": rows["label"].nunique(), "ecgs": rows["ecg"].nunique()}
            value = Estimate(np.nan, np.nan, np.nan, 0)
            if len(rows):
                value = auc(rows, average, seed, resamples, curve)
            table.append(row | vars(value))
    table = pd.DataFrame(table).sort_values("subgroup", key=_youngest_first, kind="stable")
    return table.sort_values("method", kind="stable", ignore_index=True)


def _youngest_first(subgroups: pd.Series) -> pd.Series:
    """A key that sorts the age bands, where "<40" comes first, and leaves other names as text."""
    return subgroups.str.replace("<", "0", regex=False)


def gap(
    frame: pd.DataFrame,
    column: str,
    one: str,
    other: str,
    average: str = "macro",
    least: int = 1,
    seed: int = 0,
    resamples: int = RESAMPLES,
    curve: Curve = WeightedAUC,
) -> Estimate:
    """AUC in the subgroup `one` minus AUC in `other`, of one method, over labels of both.

    All patients are resampled together. Raises ValueError: no label counts in both."""
    cells, labels = select(frame), measured(frame, column, least)
    both = shared_labels([labels.get(one, []), labels.get(other, [])])
    if not both:
        raise ValueError(
            f"expected a label with positives and negatives in {column} {one} and {other}, got "
            "none; choose larger subgroups"
        )
    cells = cells[cells["label"].isin(both)]
    parts = [cells[cells[column] == subgroup] for subgroup in (one, other)]
    units = np.unique(pd.concat(parts)["unit"])
    f, g = (by_seed(part, units, average, curve) for part in parts)
    return of_seeds(lambda w: f(w) - g(w), len(units), seed, resamples, len(cells))


def shared_labels(labels: Iterable[list[int]]) -> list[int]:
    """Labels that are in every list."""
    return sorted(set.intersection(*map(set, labels)))
