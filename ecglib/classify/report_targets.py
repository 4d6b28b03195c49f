"""What the reports of a cohort state, as targets of a classifier.

A classifier of real ECGs is often trained on labels that were read from reports. A report omits,
doubts and denies (`simulator.report_text`), so these labels differ from what is true in the
waveform. ECG-Tok reads its labels from reports too, with a language model (section 2.1); here the
rules of `labels.labeller` read them.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from ecglib.cohorts.store import Cohort
from ecglib.labels.findings import FINDINGS
from ecglib.labels.label_set import ABSENT, NOT_ASSESSABLE, Label
from ecglib.labels.labeller import read
from ecglib.training.device import Machine


def report_states(reports: list[str]) -> np.ndarray:
    """States int8 (n, 77) of what n reports state.

    A finding that a report does not mention is ABSENT, as a reader would take it. Labels that no
    report states (those without an entry in `FINDINGS`) and all labels of an ECG without a report
    are NOT_ASSESSABLE, as are findings that the words leave open.
    """
    states = np.full((len(reports), len(Label)), NOT_ASSESSABLE, np.int8)
    for row, report in enumerate(reports):
        if report:
            states[row, list(FINDINGS)] = ABSENT
            stated = read(report).states
            for label in FINDINGS.keys() & stated.keys():
                states[row, label] = stated[label]
    return states


def make_targets(
    out: Path, inputs: dict[str, Path], config: dict, seed: int, machine: Machine
) -> None:
    """Step: write what each report of a cohort states.

    Writes targets.parquet: one row per ECG in the order of the cohort, one int8 column per label in
    the order of the 77, with the states of `report_states`.

    Inputs: cohort.
    """
    reports = Cohort.open(inputs["cohort"]).records["report"].tolist()
    columns = [label.name.lower() for label in Label]
    table = pd.DataFrame(report_states(reports), columns=columns)
    table.to_parquet(out / "targets.parquet", index=False)
