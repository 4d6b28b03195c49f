"""AUC by sex, age band and site, over the labels that every subgroup can measure.

A label counts in a subgroup only with a positive and a negative ECG there. Subgroups that measure
different labels are not comparable by their mean.
"""

import numpy as np
import pandas as pd

from ecglib.evaluate.auc import auc, select
from ecglib.evaluate.bootstrap import RESAMPLES, Estimate
from ecglib.evaluate.class_counts import measured

SUBGROUPS = {"sex": "Sex", "age_band": "Age", "site": "Site"}


def by_subgroup(
    frame: pd.DataFrame, column: str, seed: int = 0, resamples: int = RESAMPLES
) -> pd.DataFrame:
    """Macro-AUC of every method in every subgroup; patients are resampled within the subgroup.

    Args:
        frame: classification rows of one or more methods on the same cells.
        column: sex, age_band or site.

    Returns:
        columns method, column, subgroup, labels (that count), ecgs, value, low, high, n, seeds; NaN
        where no label is measured in all subgroups.
    """
    cells, labels = select(frame), measured(frame, column)
    shared = set.intersection(*map(set, labels.values()))
    table = []
    for subgroup in labels:
        part = cells[(cells[column] == subgroup) & cells["label"].isin(shared)]
        for method in cells["method"].unique():
            rows = part[part["method"] == method]
            row = {"method": method, "column": column, "subgroup": subgroup}
            row |= {"labels": rows["label"].nunique(), "ecgs": rows["ecg"].nunique()}
            nothing = Estimate(np.nan, np.nan, np.nan, 0)
            value = auc(rows, "macro", seed, resamples) if len(rows) else nothing
            table.append(row | vars(value))
    table = pd.DataFrame(table).sort_values("subgroup", key=_youngest_first, kind="stable")
    return table.sort_values("method", kind="stable", ignore_index=True)


def _youngest_first(subgroups: pd.Series) -> pd.Series:
    """A key that sorts the age bands, where "<40" comes first, and leaves other names as text."""
    return subgroups.str.replace("<", "0", regex=False)
