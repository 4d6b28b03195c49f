"""The floor: a finding's frequency at the patient's hospital, whatever the ECG shows.

Within one label and site its scores are constant; pooled over labels (micro-AUC) it profits from
some labels being common and others rare, which is why micro-AUC of 0.5 is not the floor.
"""

import numpy as np
import pandas as pd

from ecglib.classify.targets import targets
from ecglib.cohorts.store import Cohort

PSEUDO = 10.0  # a site's few ECGs are joined by this many at the prevalence of all sites


def scores(cohort: Cohort, labels: list[int], rows: np.ndarray) -> pd.DataFrame:
    """Training prevalence of each label at the site of each row.

    (present_site + PSEUDO * p) / (known_site + PSEUDO) with p the prevalence over all sites; a site
    without training ECGs gets p.

    Returns:
        Columns row, label, score; one line a row and label, rows outermost.
    """
    train = cohort.rows("train")
    present, known = targets(cohort.labels[train][:, labels])
    present = present * known
    overall = present.sum(0) / np.maximum(known.sum(0), 1)
    site = cohort.records["site"].to_numpy()
    table = np.empty((len(rows), len(labels)))
    for name in np.unique(site[rows]):
        here = site[train] == name
        rate = present[here].sum(0) + PSEUDO * overall
        table[site[rows] == name] = rate / (known[here].sum(0) + PSEUDO)
    return long(rows, labels, table)


def long(rows: np.ndarray, labels: list[int], table: np.ndarray) -> pd.DataFrame:
    """Scores (rows, labels) as lines row, label, score."""
    return pd.DataFrame(
        {
            "row": np.repeat(np.asarray(rows, dtype=np.int64), len(labels)),
            "label": np.tile(np.asarray(labels, dtype=np.int64), len(rows)),
            "score": np.asarray(table, dtype=np.float64).ravel(),
        }
    )
