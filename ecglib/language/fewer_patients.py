"""A cohort whose models learn from a share of the training patients, and are tested on all."""

from pathlib import Path

import numpy as np

from ecglib.cohorts.merge_cohorts import UNUSED
from ecglib.cohorts.records import write_beside
from ecglib.cohorts.store import Cohort
from ecglib.training import seeds
from ecglib.training.device import Machine


def keep_share(out: Path, inputs: dict[str, Path], config: dict, seed: int, machine: Machine):
    """Step: write the cohort with a share of its training patients.

    The ECGs of the others stay in the table without a role, so record numbers, `unit` and `ecg` are
    those of the whole cohort. Shares of one seed are nested: a smaller one is part of a larger one.
    The shards are linked, not copied.

    Inputs: cohort.

    Config:
        share: of the training patients, above 0 and at most 1.

    Raises ValueError: another share, or one of less than one patient.
    """
    cohort = Cohort.open(inputs["cohort"])
    records = cohort.records.copy()
    train = records["split"] == "train"
    patients = np.unique(records.loc[train, "unit"])
    kept = round(config["share"] * len(patients))
    if not 0 < kept <= len(patients):
        raise ValueError(
            f"expected a share between 1 / {len(patients)} and 1 of the {len(patients)} training "
            f"patients, got {config['share']}"
        )
    order = np.random.default_rng(seeds.sub_seed(seed, "share")).permutation(patients)
    records.loc[train & ~records["unit"].isin(order[:kept]), "split"] = UNUSED
    records["tokenizer_train"] &= records["split"] == "train"
    note = f"models learn from {kept} of {len(patients)} training patients"
    write_beside(out, cohort, records, note)
