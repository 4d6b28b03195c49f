"""The stage of an infarction in one part of the heart, from ST elevation and Q waves there.

    ST elevation, no Q wave    acute       ST elevation, Q wave    evolving
    Q wave, no ST elevation    old         neither                 none of them

The reasons stand in questions.yaml. The labels decide; the measured ST only takes back what it
contradicts. A Q wave alone is not measured (`signals.measure` has no Q amplitude), so a cohort
without Q wave labels is not asked.
"""

import numpy as np
import pandas as pd

from ecglib.labels.label_set import ABSENT, HISTORY, NOT_ASSESSABLE, PRESENT, UNCERTAIN
from ecglib.questions.groups import BOOK, PLACES, Group


def stages(group: Group, labels: np.ndarray, measures: pd.DataFrame | None) -> np.ndarray:
    """States of the stages of one place.

    Args:
        group: its rule names the place and the labels `st` and `q`.
        labels: int8 (N, 77). A Q wave of the state HISTORY is a Q wave, of an old infarction.
        measures: columns st_<lead> in mV, or None: then the labels are not checked.

    Returns:
        int8 (N, stages), in the order of questions.yaml. NOT_ASSESSABLE where one of both labels
        is not known, where another condition explains the signs (`stage_mimics`), or where no
        lead of the place shows the ST elevation that is stated.
    """
    st, q = labels[:, group.rule["st"]], labels[:, group.rule["q"]]
    q = np.where(q == HISTORY, PRESENT, q)
    plain = (ABSENT, PRESENT, UNCERTAIN)
    told = np.isin(st, plain) & np.isin(q, plain)
    for label in BOOK["stage_mimics"]:
        told &= ~np.isin(labels[:, label], (PRESENT, UNCERTAIN))
    if measures is not None:
        height = measures[[f"st_{lead}" for lead in PLACES[group.rule["place"]]]].to_numpy()
        told &= ~((st == PRESENT) & (height < BOOK["stage_st_seen"]).all(axis=1))
    states = np.full((len(labels), len(group.options)), NOT_ASSESSABLE, np.int8)
    for j, stage in enumerate(BOOK["stages"].values()):
        fits = [_agrees(sign, stage[name]) for name, sign in (("st", st), ("q", q))]
        # One sign that is plainly otherwise rules the stage out, whatever the other is.
        state = np.where((fits[0] == PRESENT) & (fits[1] == PRESENT), PRESENT, UNCERTAIN)
        states[:, j] = np.where((fits[0] == ABSENT) | (fits[1] == ABSENT), ABSENT, state)
    states[~told] = NOT_ASSESSABLE
    return states


def _agrees(sign: np.ndarray, wanted: bool) -> np.ndarray:
    """Whether a sign is as a stage wants it: PRESENT, ABSENT or UNCERTAIN."""
    as_wanted = np.where((sign == PRESENT) == wanted, PRESENT, ABSENT)
    return np.where(sign == UNCERTAIN, UNCERTAIN, as_wanted)
