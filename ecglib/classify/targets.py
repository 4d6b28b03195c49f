"""Which labels are scored, and which cells (ECG and label) may be trained on or scored."""

import math
from pathlib import Path

import numpy as np
import pandas as pd

from ecglib.cohorts.store import Cohort
from ecglib.labels.label_set import ABSENT, PRESENT
from ecglib.training import seeds

HELD_OUT = ("validation", "test", "transfer")  # roles that are scored


def label_states(cohort: Cohort, inputs: dict[str, Path]) -> np.ndarray:
    """States int8 (N, labels) that a classifier learns and is judged by.

    They are those of the cohort's 77 labels. A step with the input `targets` learns other classes
    instead: the columns of its targets.parquet, one row per ECG of the cohort. Raises ValueError:
    another number of rows."""
    if "targets" not in inputs:
        return cohort.labels
    states = pd.read_parquet(inputs["targets"] / "targets.parquet").to_numpy(dtype=np.int8)
    if len(states) != len(cohort):
        raise ValueError(
            f"expected targets of {len(cohort)} ECGs, got {len(states)}; make them for this cohort"
        )
    return states


def scored_labels(cohort: Cohort, least: int, states: np.ndarray | None = None) -> list[int]:
    """Labels that are present in `least` training ECGs or more, and absent in as many.

    The test split is not consulted. A chosen label that no test ECG has remains in the list and is
    reported as not measurable. `states`: those of `label_states`; of the 77 labels without it.
    Raises ValueError: no label is frequent enough."""
    states = (cohort.labels if states is None else states)[cohort.rows("train")]
    present, absent = (states == PRESENT).sum(0), (states == ABSENT).sum(0)
    labels = np.flatnonzero((present >= least) & (absent >= least))
    if not len(labels):
        raise ValueError(
            f"{cohort.folder}: expected a label that is present in {least} training ECGs "
            "and absent in as many, got none; lower min_positives or take more patients"
        )
    return labels.tolist()


def labelled_rows(cohort: Cohort, share: float, seed: int) -> np.ndarray:
    """Record numbers of a share of the training patients, ascending: those that have labels.

    The patients are drawn by the seed, at least one. A smaller share is a part of a larger one, and
    a share of 1 is all training ECGs. Raises ValueError: a share outside (0, 1]."""
    if not 0 < share <= 1:
        raise ValueError(f"expected a share above 0 and at most 1, got {share}")
    rows = cohort.rows("train")
    patients = cohort.records["unit"].to_numpy()[rows]
    rng = np.random.default_rng(seeds.sub_seed(seed, "labelled"))
    order = rng.permutation(np.unique(patients))
    return rows[np.isin(patients, order[: math.ceil(share * len(order))])]


def training_rows(cohort: Cohort, states: np.ndarray, share: float, seed: int) -> np.ndarray:
    """The `labelled_rows` of which a state is known, (n,): another ECG teaches nothing."""
    rows = labelled_rows(cohort, share, seed)
    return rows[np.isin(states[rows], (ABSENT, PRESENT)).any(axis=1)]


def open_training(
    inputs: dict[str, Path], config: dict, seed: int
) -> tuple[Cohort, np.ndarray, list[int], np.ndarray]:
    """What a training step reads: cohort, `label_states`, `scored_labels` and `training_rows`."""
    cohort = Cohort.open(inputs["cohort"])
    states = label_states(cohort, inputs)
    labels = scored_labels(cohort, config["min_positives"], states)
    rows = training_rows(cohort, states, config.get("label_share", 1.0), seed)
    return cohort, states, labels, rows


def binary_targets(states: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Turn label states into targets float32 (1 = present) and a bool mask of the known cells.
    The states uncertain, history and not assessable are masked: they are neither "yes" nor "no"."""
    known = (states == ABSENT) | (states == PRESENT)
    return (states == PRESENT).astype(np.float32), known


def score_table(rows: np.ndarray, labels: list[int], scores: np.ndarray) -> pd.DataFrame:
    """Scores (len(rows), len(labels)) as a long table row, label, score, ordered by row."""
    table = pd.DataFrame({"row": np.repeat(np.asarray(rows, dtype=np.int64), len(labels))})
    table["label"] = np.tile(np.asarray(labels, dtype=np.int64), len(rows))
    return table.assign(score=np.asarray(scores, dtype=np.float64).ravel())
