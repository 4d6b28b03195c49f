"""What decides the answers to questions, as targets of a classifier.

A classifier of the 77 labels cannot answer questions about intervals, the axis or noise, and it
never replies "not sure". These targets add both. The first 77 columns are the labels, so that one
classifier serves reports and questions. The states of the options follow that are measured
(`questions.state_answers.question_states`). After all of these, a second column for each has
whether its state is uncertain.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from ecglib.cohorts.store import Cohort
from ecglib.labels.label_set import ABSENT, COLUMNS, NOT_ASSESSABLE, PRESENT, UNCERTAIN
from ecglib.questions.state_answers import MEASURED, OPTIONS, question_states
from ecglib.training.device import Machine


def make_targets(
    out: Path, inputs: dict[str, Path], config: dict, seed: int, machine: Machine
) -> None:
    """Step: write targets.parquet, one row per ECG, int8 (N, 2 (77 + len(MEASURED))).
    Inputs: cohort, measurements (optional)."""
    measured = None
    if "measurements" in inputs:
        measured = pd.read_parquet(inputs["measurements"] / "measurements.parquet")
    states = question_states(Cohort.open(inputs["cohort"]).records, measured)
    names = [*COLUMNS, *(f"{OPTIONS[i][0].name}.{OPTIONS[i][1].key}" for i in MEASURED)]
    names += [f"{name} uncertain" for name in names]
    table = pd.DataFrame(np.hstack([states, _uncertain(states)]), columns=names)
    table.to_parquet(out / "targets.parquet", index=False)


def _uncertain(states: np.ndarray) -> np.ndarray:
    """Whether a state is uncertain: PRESENT, ABSENT, or NOT_ASSESSABLE where it is not known."""
    known = np.isin(states, (ABSENT, PRESENT))
    uncertain = np.where(states == UNCERTAIN, PRESENT, NOT_ASSESSABLE)
    return np.where(known, ABSENT, uncertain).astype(np.int8)


def merge(predicted: np.ndarray) -> np.ndarray:
    """Predicted targets (n, 2 m) as states int8 (n, m) of `question_states`: where the second
    column is PRESENT, the state is UNCERTAIN."""
    states, uncertain = np.hsplit(predicted, 2)
    return np.where(uncertain == PRESENT, UNCERTAIN, states).astype(np.int8)
