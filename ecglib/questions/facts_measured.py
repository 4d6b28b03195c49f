"""What measured numbers say about a group's options: ranges with named limits, readable leads.

Near a limit the measurement's own error decides, so the answer there is "not sure": a value
belongs to a range if it lies inside by more than the group's margin, and not to it if outside by
more.
"""

import numpy as np
import pandas as pd

from ecglib.labels.label_set import ABSENT, NOT_ASSESSABLE, PRESENT, UNCERTAIN
from ecglib.questions.groups import Group
from ecglib.signals.leads import LEADS


def ranges(
    group: Group, records: pd.DataFrame, labels: np.ndarray, measures: pd.DataFrame | None
) -> np.ndarray:
    """States of a group of the kind range.

    Args:
        group: its rule names the measure, the ranges (from, to, and labels that state the same),
            the margin, and where it has them: circle (the measure is an angle), sex (only
            these patients), silent_with (labels beside which the measure means nothing).
        records: column `sex`.
        labels: int8 (N, 77).
        measures: one row a record, or None where nothing was measured.

    Returns:
        int8 (N, options). A row is NOT_ASSESSABLE where the number is missing, or where a label
        that is present states a range and the number denies it.
    """
    rule, n = group.rule, len(records)
    states = np.full((n, len(group.options)), NOT_ASSESSABLE, np.int8)
    if measures is None:
        return states
    value = measures[rule["measure"]].to_numpy(dtype=np.float64)
    told = np.isfinite(value)
    if "sex" in rule:
        told &= records["sex"].to_numpy() == rule["sex"]
    for label in rule.get("silent_with", ()):
        told &= ~np.isin(labels[:, label], (PRESENT, UNCERTAIN))
    for j, one in enumerate(rule["ranges"].values()):
        states[:, j] = _inside(value, one, rule["margin"], rule.get("circle"))
        for label in one["labels"]:
            told &= ~((labels[:, label] == PRESENT) & (states[:, j] == ABSENT))
    states[~told] = NOT_ASSESSABLE
    return states


def _inside(value: np.ndarray, one: dict, margin: float, circle: float | None) -> np.ndarray:
    low, high = one.get("from", -np.inf), one.get("to", np.inf)
    # How far inside the range: to the nearer limit, negative outside.
    if circle is None:
        depth = np.minimum(value - low, high - value)
    else:
        off = (value - (low + high) / 2 + circle / 2) % circle - circle / 2
        depth = (high - low) / 2 - np.abs(off)
    sure = np.where(depth > 0, PRESENT, ABSENT)
    return np.where(np.abs(depth) > margin, sure, UNCERTAIN)


def noisy(group: Group, records: pd.DataFrame) -> np.ndarray:
    """States of "this lead is disturbed" from the columns `quality_<lead>`, int8 (N, 12)."""
    columns = [f"quality_{lead}" for lead in LEADS]
    if not set(columns) <= set(records.columns):
        return np.full((len(records), len(LEADS)), NOT_ASSESSABLE, np.int8)
    score = records[columns].to_numpy(dtype=np.float64)
    states = np.full(score.shape, UNCERTAIN, np.int8)
    states[score < group.rule["disturbed_below"]] = PRESENT
    states[score >= group.rule["clear_from"]] = ABSENT
    states[np.isnan(score)] = NOT_ASSESSABLE
    return states
