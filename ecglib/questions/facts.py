"""The state of everything that can be asked of the ECGs of a cohort, from labels and measures.

Each option of a group (`ecglib.questions.groups`) is ABSENT, PRESENT or UNCERTAIN in an ECG
("no", "yes", "not sure"), or NOT_ASSESSABLE: then no question may depend on it. A label of the
state HISTORY ("old") says nothing of this ECG's waveform and counts as NOT_ASSESSABLE, but where
the stage of an infarction is asked.
"""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from ecglib.labels.label_set import ABSENT, COLUMNS, HISTORY, NOT_ASSESSABLE, PRESENT
from ecglib.questions.facts_measured import noisy, ranges
from ecglib.questions.facts_stage import stages
from ecglib.questions.groups import GROUPS, PLACES, Group, Option
from ecglib.signals.leads import LEADS


@dataclass(frozen=True)
class Facts:
    """The states of one group.

    Attributes:
        group: the group.
        options: those of its options that this cohort can tell.
        states: int8 (N, len(options)), one row for each record of the cohort.
        asked: bool (len(options),), which of them questions may name. An ECG with one of the
            others is not asked what there is: the answer would leave it out.
    """

    group: Group
    options: tuple[Option, ...]
    states: np.ndarray
    asked: np.ndarray

    @property
    def leads(self) -> str:
        """The leads that the options look at, for the slot {leads}."""
        told = {lead for option in self.options for lead in PLACES.get(option.key, ())}
        return ", ".join(lead for lead in LEADS if lead in told)


def facts(records: pd.DataFrame, measures: pd.DataFrame | None = None) -> list[Facts]:
    """The states of all groups of which the cohort can tell anything.

    Args:
        records: the cohort's table (label columns, sex and the quality of the leads).
        measures: a row for each record with the columns of `signals.measure.MEASURES`; without
            it nothing is asked that is measured.

    Raises:
        ValueError: `measures` has another number of rows than `records`.
    """
    if measures is not None and len(measures) != len(records):
        raise ValueError(
            f"{len(measures)} rows of measures do not belong to {len(records)} ECGs; measure this "
            "cohort"
        )
    labels = records[list(COLUMNS)].to_numpy(dtype=np.int8)
    found = []
    for group in GROUPS.values():
        states = _states(group, records, labels, measures)
        told = (states != NOT_ASSESSABLE).any(axis=0)
        if told.any():
            options = tuple(o for o, known in zip(group.options, told, strict=True) if known)
            found.append(Facts(group, options, states[:, told], np.ones(told.sum(), dtype=bool)))
    return found


def _states(
    group: Group, records: pd.DataFrame, labels: np.ndarray, measures: pd.DataFrame | None
) -> np.ndarray:
    """int8 (N, options) of one group."""
    if group.kind in ("labels", "leads"):
        states = labels[:, list(group.rule["labels"])]
        return np.where(states == HISTORY, NOT_ASSESSABLE, states).astype(np.int8)
    if group.kind == "stage":
        return stages(group, labels, measures)
    if group.kind == "noise":
        return noisy(group, records)
    return ranges(group, records, labels, measures)


def learnable(found: list[Facts], rows: np.ndarray, minimum: int) -> list[Facts]:
    """The same, asking only for options with `minimum` cases present and as many absent in `rows`.

    An option that is only named in answers to query needs `minimum` cases present.

    Args:
        found: of `facts`.
        rows: row numbers of the training split; nothing else decides what is asked.
    """
    kept = []
    for one in found:
        states = one.states[rows]
        present, absent = (states == PRESENT).sum(axis=0), (states == ABSENT).sum(axis=0)
        trivial = np.array([option.query_only for option in one.options])
        asked = (present >= minimum) & (trivial | (absent >= minimum))
        if asked.any():
            kept.append(replace(one, asked=one.asked & asked))
    return kept
