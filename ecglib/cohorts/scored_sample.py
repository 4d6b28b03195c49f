"""Which test records are read and which findings are scored: both fixed before any model is."""

import numpy as np
import pandas as pd

from ecglib.cohorts.store import Cohort
from ecglib.labels.findings import SCORED
from ecglib.labels.label_set import ABSENT, PRESENT


def test_rows(cohort: Cohort, at_most: int, seed: int) -> np.ndarray:
    """Record numbers of whole test patients, drawn until `at_most` ECGs are reached; sorted.

    Patients are never cut: the bootstrap draws patients with all their recordings.
    """
    rows = cohort.rows("test")
    units = cohort.records["unit"].to_numpy()[rows]
    order = np.random.default_rng([seed, 41]).permutation(np.unique(units))
    chosen: list[int] = []
    for unit in order:
        mine = rows[units == unit]
        if chosen and len(chosen) + len(mine) > at_most:
            break
        chosen += mine.tolist()
    return np.sort(np.array(chosen, dtype=np.int64))


def scorable_findings(cohort: Cohort, minimum: int) -> list[int]:
    """Findings that the training split can teach: assessable, with `minimum` cases of each state.

    Counted on the training split alone; those a constant answer gets right are left out.
    """
    states = cohort.labels[cohort.rows("train")]
    present, absent = (states == PRESENT).sum(0), (states == ABSENT).sum(0)
    return [i for i in SCORED if present[i] >= minimum and absent[i] >= minimum]


def partners(records: pd.DataFrame, seed: int) -> np.ndarray:
    """Whose ECG each record is given in the shuffled control: same site, another patient.

    Records are put in a random order by site and each takes the next one's ECG, skipping its own
    patient. A site with a single patient joins the largest site.

    Args:
        records: columns `site` and `unit`.
        seed: the same seed gives the same partners.

    Returns:
        (N,) positions in `records`.

    Raises:
        ValueError: all records are of one patient.
    """
    patients = records["unit"].to_numpy()
    if len(set(patients)) < 2:
        raise ValueError("the shuffled control needs ECGs of two patients at least")
    alone = records.groupby("site")["unit"].transform("nunique") < 2
    sites = records["site"].where(~alone, records["site"].value_counts().index[0]).to_numpy()
    rng = np.random.default_rng([seed, 77])
    partner = np.empty(len(records), dtype=np.int64)
    for site in sorted(set(sites)):
        rows = rng.permutation(np.flatnonzero(sites == site))
        for i, row in enumerate(rows):
            others = (rows[(i + k) % len(rows)] for k in range(1, len(rows)))
            partner[row] = next(o for o in others if patients[o] != patients[row])
    return partner
