"""Faults of generated reports, by condition: inventions, omissions, and what was denied.

An *invention* is a statement of what the waveform does not have, an *omission* the silence about
what it has. A *hedged invention* is an invention whose firmest words are a hedge, a *contradiction*
an omission where the text denies the finding. Where the degrees of statements are unknown (rows
without a score), the latter two are unknown too.
"""

import numpy as np
import pandas as pd

from ecglib.evaluate import bootstrap
from ecglib.evaluate.finding_agreement import select_conditions
from ecglib.evaluate.statements import HEDGED

FAULTS = ["invention", "hedged_invention", "omission", "contradiction"]


def by_report(frame: pd.DataFrame) -> pd.DataFrame:
    """Faults per report: columns method, seed, unit, ecg and those of FAULTS (counts; NaN where
    unknown). A report about an ECG without an assessable finding has no row."""
    cells = select_conditions(frame)
    unknown = cells["score"].isna()
    cells["invention"], cells["omission"] = cells["fp"], cells["fn"]
    hedged = (cells["fp"] == 1) & (cells["score"] == HEDGED)
    cells["hedged_invention"] = hedged.astype(float).mask(unknown)
    cells["contradiction"] = cells["contradicted"].astype(float).mask(unknown)
    keys = ["method", "seed", "unit", "ecg"]
    counts = cells.groupby(keys)[FAULTS].sum(min_count=1)
    return counts.reset_index()


def per_100_reports(frame: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """Mean faults per 100 reports of every method: columns method, fault, value, low, high, n and
    seeds."""
    table = []
    for method, part in by_report(frame).groupby("method", sort=True):
        for fault in FAULTS:
            value = bootstrap.Estimate(np.nan, np.nan, np.nan, part["unit"].nunique())
            if part[fault].notna().all():
                value = bootstrap.mean(part, fault, seed)
            numbers = {key: 100 * getattr(value, key) for key in ("value", "low", "high")}
            # a t interval over seeds may go below 0
            numbers["low"] = float(np.maximum(0.0, numbers["low"]))
            line = {"method": method, "fault": fault, **numbers, "n": value.n}
            table.append(line | {"seeds": part["seed"].nunique()})
    return pd.DataFrame(table)
