"""What reports say, as predictions: the text, and each finding that the labeller reads in it."""

import numpy as np
import pandas as pd

from ecglib.evaluate import predictions
from ecglib.labels.label_set import ABSENT, PRESENT
from ecglib.labels.labeller import read_findings


def report_rows(
    records: pd.DataFrame,
    labels: np.ndarray,
    method: str,
    seed: int,
    written: pd.DataFrame,
    scored: list[int],
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Prediction rows of n reports: one for each text, and one for each finding that is scored.

    A report that says nothing states nothing: it misses every finding that is there.

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
            f"{method}: {len(records)} records, {len(labels)} rows of labels and {len(written)} "
            "reports; give one report for each record"
        )
    shown = {name: written[name].to_numpy() for name in ("tokens", "stop_reason")}
    text, reference = written["text"].to_numpy(), records["report"]
    texts = predictions.rows(records, method, seed, "report", reference, text, **shown)
    at, items, target, stated = [], [], [], []
    for position, (states, report) in enumerate(zip(labels, text, strict=True)):
        read = read_findings(report)
        for label in scored:
            if states[label] in (ABSENT, PRESENT):
                at.append(position)
                items.append(f"finding:{label:02d}")
                target.append(str(int(states[label] == PRESENT)))
                stated.append(str(int(read.get(label, ABSENT) == PRESENT)))
    return texts, predictions.rows(records.iloc[at], method, seed, items, target, stated)
