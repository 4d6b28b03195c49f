"""A cohort whose models learn from the patients of one hospital, and are tested on all."""

from pathlib import Path

import numpy as np

from ecglib.cohorts.merge_cohorts import UNUSED
from ecglib.cohorts.records import write_beside
from ecglib.cohorts.store import Cohort
from ecglib.training import seeds
from ecglib.training.device import Machine

LEARNED_FROM = ("train", "validation")  # parts that lose the patients of the other hospitals


def keep_site(out: Path, inputs: dict[str, Path], config: dict, seed: int, machine: Machine):
    """Step: write the cohort without the training and validation patients of other hospitals.

    Their ECGs stay in the table without a role, so record numbers, `unit` and `ecg` are those of
    the whole cohort. The test and transfer parts are whole. The shards are linked, not copied.

    Inputs: cohort.

    Config:
        site: the hospital.
        patients: training patients of it, at most; the seed draws them. 0 for all.

    Raises ValueError: the hospital has no training patient.
    """
    cohort = Cohort.open(inputs["cohort"])
    records = cohort.records.copy()
    train = records["split"] == "train"
    own = np.unique(records.loc[train & (records["site"] == config["site"]), "unit"])
    if not len(own):
        raise ValueError(
            f"expected a hospital of {', '.join(map(repr, np.unique(records['site'])))} that has "
            f"training patients, got {config['site']!r}"
        )
    order = np.random.default_rng(seeds.sub_seed(seed, "site", config["site"])).permutation(own)
    chosen = order[: config["patients"] or len(order)]
    other = records["split"].isin(LEARNED_FROM) & (records["site"] != config["site"])
    records.loc[other | (train & ~records["unit"].isin(chosen)), "split"] = UNUSED
    records["tokenizer_train"] &= records["split"] == "train"
    note = f"models learn from {len(chosen)} training patients of {config['site']!r} only"
    write_beside(out, cohort, records, note)
