"""The state of every option of every question group in each ECG, from labels and measurements.

The state is ABSENT, PRESENT or UNCERTAIN (the answers "no", "yes", "not sure"), or NOT_ASSESSABLE:
then no question may depend on it. A label of the state HISTORY ("old") says nothing about this
waveform and counts as NOT_ASSESSABLE, except where the stage of an infarction is asked.
"""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from ecglib.labels.label_set import ABSENT, COLUMNS, HISTORY, NOT_ASSESSABLE, PRESENT, UNCERTAIN
from ecglib.questions.question_book import BOOK, GROUPS, TERRITORY_LEADS, Group, Option
from ecglib.signals.leads import LEADS


@dataclass(frozen=True)
class GroupFacts:
    """The states of one group in the N ECGs of a cohort.

    A query question is not asked of an ECG that may have an option which is not askable, because
    its answer would have to omit that option.
    """

    group: Group
    options: tuple[Option, ...]  # those that are assessable in at least one ECG
    states: np.ndarray  # int8 (N, len(options))
    askable: np.ndarray  # bool (len(options),), which options questions may name

    @property
    def leads(self) -> str:
        """The leads of the options' territories, for the slot {leads}."""
        leads = {lead for option in self.options for lead in TERRITORY_LEADS.get(option.key, ())}
        return ", ".join(lead for lead in LEADS if lead in leads)


def group_facts(
    records: pd.DataFrame, measurements: pd.DataFrame | None = None
) -> list[GroupFacts]:
    """The facts of all groups with an option that is assessable in an ECG of the cohort.

    Args:
        records: the cohort's table (label columns, sex, and the quality of the leads).
        measurements: one row per record with the columns of `signals.measure.MEASURES`. Without
            it, questions about measurements are not asked.

    Raises:
        ValueError: `measurements` and `records` differ in length.
    """
    if measurements is not None and len(measurements) != len(records):
        text = f"expected measurements of {len(records)} ECGs, got {len(measurements)}"
        raise ValueError(f"{text}; measure this cohort")
    labels = records[list(COLUMNS)].to_numpy(dtype=np.int8)
    facts = []
    for group in GROUPS.values():
        states = _states(group, records, labels, measurements)
        assessable = (states != NOT_ASSESSABLE).any(axis=0)
        if assessable.any():
            options = tuple(o for o, keep in zip(group.options, assessable, strict=True) if keep)
            askable = np.ones(len(options), dtype=bool)
            facts.append(GroupFacts(group, options, states[:, assessable], askable))
    return facts


def without_rare_options(
    facts: list[GroupFacts], rows: np.ndarray, minimum: int
) -> list[GroupFacts]:
    """The same facts, asking only for options present in `minimum` of `rows` and absent in as many.

    A query-only option may be absent in fewer.

    Args:
        facts: of `group_facts`.
        rows: row numbers of the training split; nothing else decides what is asked.
        minimum: number of ECGs.
    """
    kept = []
    for fact in facts:
        states = fact.states[rows]
        present, absent = (states == PRESENT).sum(axis=0), (states == ABSENT).sum(axis=0)
        query_only = np.array([option.query_only for option in fact.options])
        frequent = (present >= minimum) & (query_only | (absent >= minimum))
        if frequent.any():
            kept.append(replace(fact, askable=fact.askable & frequent))
    return kept


def _states(
    group: Group, records: pd.DataFrame, labels: np.ndarray, measurements: pd.DataFrame | None
) -> np.ndarray:
    """int8 (N, options) of one group."""
    if group.kind in ("labels", "leads"):
        states = labels[:, list(group.rule["labels"])]
        return np.where(states == HISTORY, NOT_ASSESSABLE, states).astype(np.int8)
    if group.kind == "infarction":
        return _infarction_states(group, labels, measurements)
    if group.kind == "noise":
        return _noise_states(group, records)
    return _range_states(group, records, labels, measurements)


def _range_states(
    group: Group, records: pd.DataFrame, labels: np.ndarray, measurements: pd.DataFrame | None
) -> np.ndarray:
    """States of the ranges of one measurement, int8 (N, options).

    A value is in a range, or outside it, if it is farther from the limits than the group's margin.
    Nearer to a limit the error of the measurement decides, so the state is UNCERTAIN. An ECG is
    NOT_ASSESSABLE if the value is missing, if the rule excludes its sex or one of its labels, or if
    the value contradicts a label that states a range.
    """
    rule = group.rule
    states = np.full((len(records), len(group.options)), NOT_ASSESSABLE, np.int8)
    if measurements is None:
        return states
    value = measurements[rule["measurement"]].to_numpy(dtype=np.float64)
    assessable = np.isfinite(value)
    if "sex" in rule:
        assessable &= records["sex"].to_numpy() == rule["sex"]
    for label in rule.get("not_asked_with", ()):
        assessable &= ~np.isin(labels[:, label], (PRESENT, UNCERTAIN))
    for j, limits in enumerate(rule["ranges"].values()):
        states[:, j] = _in_range(value, limits, rule["margin"], rule.get("period"))
        for label in limits["labels"]:
            assessable &= ~((labels[:, label] == PRESENT) & (states[:, j] == ABSENT))
    states[~assessable] = NOT_ASSESSABLE
    return states


def _in_range(value: np.ndarray, limits: dict, margin: float, period: float | None) -> np.ndarray:
    """Whether a value (an angle where `period` is given) is between `from` and `to`: a state."""
    low, high = limits.get("from", -np.inf), limits.get("to", np.inf)
    # Distance to the nearer limit, negative outside the range.
    if period is None:
        depth = np.minimum(value - low, high - value)
    else:
        from_middle = (value - (low + high) / 2 + period / 2) % period - period / 2
        depth = (high - low) / 2 - np.abs(from_middle)
    return np.where(np.abs(depth) > margin, np.where(depth > 0, PRESENT, ABSENT), UNCERTAIN)


def _noise_states(group: Group, records: pd.DataFrame) -> np.ndarray:
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


def _infarction_states(
    group: Group, labels: np.ndarray, measurements: pd.DataFrame | None
) -> np.ndarray:
    """States of the stages of an infarction in one territory, int8 (N, stages).

        ST elevation, no Q wave    acute       ST elevation, Q wave    evolving
        Q wave, no ST elevation    old         neither                 none of them

    The reasons are in questions.yaml. A Q wave label of the state HISTORY counts as a Q wave: it is
    that of an old infarction. A measured ST can only veto a label. Q amplitudes are not measured,
    so a cohort without Q wave labels is not asked. An ECG is NOT_ASSESSABLE if one of both labels
    is unknown, if another condition explains the signs (`infarction_mimics`), or if no lead of the
    territory measures the ST elevation that the label states.
    """
    st, q = labels[:, group.rule["st"]], labels[:, group.rule["q"]]
    q = np.where(q == HISTORY, PRESENT, q)
    known = (ABSENT, PRESENT, UNCERTAIN)
    assessable = np.isin(st, known) & np.isin(q, known)
    for label in BOOK["infarction_mimics"]:
        assessable &= ~np.isin(labels[:, label], (PRESENT, UNCERTAIN))
    if measurements is not None:
        columns = [f"st_{lead}" for lead in TERRITORY_LEADS[group.rule["territory"]]]
        too_low = (measurements[columns].to_numpy() < BOOK["min_st_elevation"]).all(axis=1)
        assessable &= ~((st == PRESENT) & too_low)
    states = np.full((len(labels), len(group.options)), NOT_ASSESSABLE, np.int8)
    for j, signs in enumerate(BOOK["infarction_stages"].values()):
        agrees = [_agrees(sign, signs[name]) for name, sign in (("st", st), ("q", q))]
        # One sign that disagrees rules the stage out, even if the other sign is uncertain.
        state = np.where((agrees[0] == PRESENT) & (agrees[1] == PRESENT), PRESENT, UNCERTAIN)
        states[:, j] = np.where((agrees[0] == ABSENT) | (agrees[1] == ABSENT), ABSENT, state)
    states[~assessable] = NOT_ASSESSABLE
    return states


def _agrees(sign: np.ndarray, expected: bool) -> np.ndarray:
    """Whether a sign is present (or absent) as `expected`: PRESENT, ABSENT or UNCERTAIN."""
    as_expected = np.where((sign == PRESENT) == expected, PRESENT, ABSENT)
    return np.where(sign == UNCERTAIN, UNCERTAIN, as_expected)
