"""Tables of a cohort, of its measurements and of its features, made of noise."""

import numpy as np
import pandas as pd

from ecglib.cohorts.cohort_features import GROUPS
from ecglib.labels.label_set import ABSENT, COLUMNS, NOT_ASSESSABLE, PRESENT, UNCERTAIN
from ecglib.signals.leads import LEADS
from ecglib.signals.measure import MEASURES

NAMES = [name for names in GROUPS.values() for name in names]
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


def features(patients: int, shift: float = 0.0, seed: int = 0) -> pd.DataFrame:
    """Features, one ECG per patient; `shift` moves the T waves and nothing else."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(rng.normal(size=(patients, len(NAMES))), columns=NAMES)
    frame[[name for name in NAMES if name.startswith("t_")]] += shift
    frame.insert(0, "patient", np.arange(patients))
    return frame
