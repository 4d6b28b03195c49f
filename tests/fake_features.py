"""Feature tables of noise, as `cohorts.cohort_features` makes them of ECGs."""

import numpy as np
import pandas as pd

from ecglib.cohorts.cohort_features import GROUPS

NAMES = [name for names in GROUPS.values() for name in names]


def features(patients: int, shift: float = 0.0, seed: int = 0) -> pd.DataFrame:
    """One ECG per patient; `shift` moves the T waves and nothing else."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(rng.normal(size=(patients, len(NAMES))), columns=NAMES)
    frame[[name for name in NAMES if name.startswith("t_")]] += shift
    frame.insert(0, "patient", np.arange(patients))
    return frame
