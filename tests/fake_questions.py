"""Tables of a cohort and of its measurements, of which every question can be asked."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from ecglib.cohorts.records import write_cohort
from ecglib.cohorts.store import Cohort
from ecglib.labels.label_set import ABSENT, COLUMNS, NOT_ASSESSABLE, PRESENT, UNCERTAIN
from ecglib.questions import balanced_sets
from ecglib.signals.leads import LEADS
from ecglib.signals.measure import MEASURES
from ecglib.training.device import Machine

USUAL = {"heart_rate": 75.0, "pr": 160.0, "qrs": 90.0, "qtc_fridericia": 415.0, "qrs_axis": 45.0}
LIMITS = {"heart_rate": (35, 140), "pr": (90, 280), "qrs": (70, 170)}
LIMITS |= {"qtc_fridericia": (350, 520), "qrs_axis": (-180, 180)}


def table(n: int, state: int = ABSENT) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Records and measurements of n ECGs: all labels in one state, readable leads, usual values."""
    records = pd.DataFrame({"sex": ["F", "M"] * n}).iloc[:n].reset_index(drop=True)
    labels = pd.DataFrame(np.full((n, len(COLUMNS)), state, np.int8), columns=list(COLUMNS))
    quality = pd.DataFrame({f"quality_{lead}": np.full(n, 0.97) for lead in LEADS})
    measurements = pd.DataFrame({name: np.full(n, USUAL.get(name, 0.0)) for name in MEASURES})
    return pd.concat([records, labels, quality], axis=1), measurements


def varied(n: int, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Records and measurements of n ECGs with options in all states at random."""
    rng = np.random.default_rng([seed, 3])
    records, measurements = table(n)
    states, qualities = [ABSENT, PRESENT, UNCERTAIN, NOT_ASSESSABLE], [0.97, 0.6, 0.8, np.nan]
    labels = rng.choice(states, (n, len(COLUMNS)), p=[0.86, 0.08, 0.04, 0.02])
    records[list(COLUMNS)] = labels.astype(np.int8)
    for lead in LEADS:
        records[f"quality_{lead}"] = rng.choice(qualities, n, p=[0.9, 0.07, 0.02, 0.01])
    for name, limits in LIMITS.items():
        measurements[name] = np.where(rng.random(n) < 0.03, np.nan, rng.uniform(*limits, n))
    for lead in LEADS:
        measurements[f"st_{lead}"] = rng.uniform(-0.1, 0.4, n)
    return records, measurements


def run_step(
    step: Callable, folder: Path, records: pd.DataFrame, source: str, config: dict, **inputs: Path
) -> tuple[Cohort, dict[str, pd.DataFrame]]:
    """A cohort of these ECGs (sex and labels), and the tables that a step asks of its parts."""
    states = records[list(COLUMNS)].to_numpy()
    rows = [{"ecg_id": str(i), "patient_id": f"p{i}"} for i in range(len(records))]
    for i, row in enumerate(rows):
        signal = np.full((12, 2500), i / 1000, np.float32)
        row |= {"sex": records["sex"][i], "labels": states[i], "signal": signal}
    cohort = write_cohort(folder / "cohort", rows, 0, source)
    parts = {name: cohort.rows(name) for name in ("train", "test")}
    config, inputs = config | {"rows": parts["test"].tolist()}, inputs | {"cohort": cohort.folder}
    step(folder, inputs, config, 0, Machine("cpu", "float32", 1, "a test"))
    tables = {name: pd.read_parquet(folder / f"{name}.parquet") for name in parts}
    for name, table in tables.items():
        assert list(table.columns) == ["number", *balanced_sets.COLUMNS]
        assert set(table["row"]) <= set(parts[name])
        assert list(table["number"]) == list(range(len(table)))
    return cohort, tables
