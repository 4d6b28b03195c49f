"""A cohort's table made by hand, of which everything can be asked."""

import numpy as np
import pandas as pd

from ecglib.labels.label_set import ABSENT, COLUMNS, NOT_ASSESSABLE, PRESENT, UNCERTAIN
from ecglib.signals.leads import LEADS
from ecglib.signals.measure import MEASURES


def table(n: int, state: int = ABSENT) -> tuple[pd.DataFrame, pd.DataFrame]:
    """n ECGs with all labels in one state, readable leads and usual measures."""
    records = pd.DataFrame({"sex": ["F", "M"] * n}).iloc[:n].reset_index(drop=True)
    labels = pd.DataFrame(np.full((n, len(COLUMNS)), state, np.int8), columns=list(COLUMNS))
    quality = pd.DataFrame({f"quality_{lead}": np.full(n, 0.97) for lead in LEADS})
    usual = {
        "heart_rate": 75.0,
        "pr": 160.0,
        "qrs": 90.0,
        "qtc_fridericia": 415.0,
        "qrs_axis": 45.0,
    }
    measures = pd.DataFrame({name: np.full(n, usual.get(name, 0.0)) for name in MEASURES})
    return pd.concat([records, labels, quality], axis=1), measures


def varied(n: int, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """n ECGs in which everything is there, is not, is uncertain or cannot be told, at random."""
    rng = np.random.default_rng([seed, 3])
    records, measures = table(n)
    states = [ABSENT, PRESENT, UNCERTAIN, NOT_ASSESSABLE]
    drawn = rng.choice(states, (n, len(COLUMNS)), p=[0.86, 0.08, 0.04, 0.02]).astype(np.int8)
    records[list(COLUMNS)] = drawn
    for lead in LEADS:
        records[f"quality_{lead}"] = rng.choice(
            [0.97, 0.6, 0.8, np.nan], n, p=[0.9, 0.07, 0.02, 0.01]
        )
    for name, low, high in [
        ("heart_rate", 35, 140),
        ("pr", 90, 280),
        ("qrs", 70, 170),
        ("qtc_fridericia", 350, 520),
        ("qrs_axis", -180, 180),
    ]:
        measures[name] = np.where(rng.random(n) < 0.03, np.nan, rng.uniform(low, high, n))
    for lead in LEADS:
        measures[f"st_{lead}"] = rng.uniform(-0.1, 0.4, n)
    return records, measures
