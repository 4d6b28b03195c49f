"""The floor of classification: how frequent a label is at the patient's site.

The score depends on label and site only. Pooled over labels (micro-AUC) it profits from frequent
labels scoring above rare ones, so the floor of a micro-AUC is higher than 0.5.
"""

import numpy as np
import pandas as pd

from ecglib.classify.targets import binary_targets, score_table
from ecglib.cohorts.store import Cohort

PSEUDO_COUNT = 10.0  # ECGs at the prevalence of all sites that are added to those of each site


def scores(cohort: Cohort, labels: list[int], rows: np.ndarray) -> pd.DataFrame:
    """Training prevalence of each label at the site of each row.

    (present_site + PSEUDO_COUNT * p) / (known_site + PSEUDO_COUNT), where p is the prevalence over
    all sites. A site without training ECGs gets p.

    Returns columns row, label, score; one line per row and label, ordered by row.
    """
    train = cohort.rows("train")
    present, known = binary_targets(cohort.labels[train][:, labels])
    present = present * known
    overall = present.sum(0) / np.maximum(known.sum(0), 1)
    sites = cohort.records["site"].to_numpy()
    table = np.empty((len(rows), len(labels)))
    for site in np.unique(sites[rows]):
        at_site = sites[train] == site
        positives = present[at_site].sum(0) + PSEUDO_COUNT * overall
        table[sites[rows] == site] = positives / (known[at_site].sum(0) + PSEUDO_COUNT)
    return score_table(rows, labels, table)
