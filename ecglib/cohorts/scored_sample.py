"""The test records that models read and the findings that are scored, fixed before any model."""

import numpy as np
import pandas as pd

from ecglib.cohorts.store import Cohort
from ecglib.labels.finding_conditions import CONDITIONS
from ecglib.labels.label_set import PRESENT


def test_rows(cohort: Cohort, at_most: int, seed: int, role: str = "test") -> np.ndarray:
    """Record numbers of whole patients of a role, drawn until `at_most` ECGs are reached; sorted.
    A patient is taken with all recordings, because the bootstrap draws whole patients; but with
    those that have a report alone, where any has one."""
    rows = cohort.rows(role)
    written = cohort.has_report[rows]
    rows = rows[written] if written.any() else rows
    units = cohort.records["unit"].to_numpy()[rows]
    order = np.random.default_rng([seed, 41]).permutation(np.unique(units))
    chosen: list[int] = []
    for unit in order:
        of_unit = rows[units == unit]
        if chosen and len(chosen) + len(of_unit) > at_most:
            break
        chosen += of_unit.tolist()
    return np.sort(np.array(chosen, dtype=np.int64))


def scorable_findings(cohort: Cohort, rows: np.ndarray, minimum: int) -> list[int]:
    """Labels of the conditions that at least `minimum` of the test ECGs `rows` have.

    A condition has all its findings scored. Two conditions that share a finding (enlargement of
    either atrium) are scored together. Raises ValueError: no condition has so many ECGs.
    """
    present = cohort.labels[rows] == PRESENT
    often = [set(c) for c in CONDITIONS.values() if present[:, list(c)].any(1).sum() >= minimum]
    if not often:
        text = f"expected a condition in {minimum} of {len(rows)} test ECGs, got none"
        raise ValueError(f"{text}; lower min_positives or raise test_ecgs in the profile")
    scored = set().union(*often)
    return sorted(scored.union(*(set(c) for c in CONDITIONS.values() if scored & set(c))))


def partners(records: pd.DataFrame, seed: int) -> np.ndarray:
    """The record whose ECG each record gets in the shuffled control: same site, other patient.

    Records are put in a random order by site. Each gets the ECG of the next record, without those
    of its own patient. A site with a single patient joins the largest site of several patients.

    `records`: columns `site` and `unit`. Returns (N,) positions in `records`. Raises ValueError:
    all records are of one patient.
    """
    patients = records["unit"].to_numpy()
    if len(set(patients)) < 2:
        raise ValueError("the shuffled control needs ECGs of at least two patients, got one")
    alone = records.groupby("site")["unit"].transform("nunique") < 2
    crowded = records["site"] if alone.all() else records["site"][~alone]
    sites = records["site"].where(~alone, crowded.value_counts().index[0]).to_numpy()
    rng = np.random.default_rng([seed, 77])
    partner = np.empty(len(records), dtype=np.int64)
    for site in sorted(set(sites)):
        rows = rng.permutation(np.flatnonzero(sites == site))
        for i, row in enumerate(rows):
            others = (rows[(i + k) % len(rows)] for k in range(1, len(rows)))
            partner[row] = next(o for o in others if patients[o] != patients[row])
    return partner
