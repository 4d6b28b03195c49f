"""Merge all cohorts of a data plan into one, with the use of every ECG.

The shards are linked, not copied, so a merged cohort needs no disk space. `split` becomes the one
use of an ECG:

    train, validation, test    of the cohorts that the plan names for these roles
    transfer                   of a cohort that nothing was trained on
    none                       for no model but, where `tokenizer_train` is set, a tokenizer
"""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ecglib.cohorts import roles
from ecglib.cohorts.records import pseudonymise, write_manifest
from ecglib.cohorts.shards import hardlink_or_copy, shard_name
from ecglib.cohorts.store import Cohort

if TYPE_CHECKING:
    from ecglib.training.device import Machine

UNUSED = "none"


def merge_cohorts(
    out: Path, inputs: dict[str, Path], config: dict, seed: int, machine: "Machine"
) -> None:
    """Step: write one cohort that holds those of a plan.

    The seed draws the public numbers of patients and ECGs.

    Inputs: COHORT (each by its name in the plan).

    Config:
        roles: a list of cohort names for each role.

    Raises:
        ValueError: roles that would let a model see a patient of its own test, or two cohorts
            that hold the same ECG.
    """
    cohorts = {name: Cohort.open(folder) for name, folder in inputs.items()}
    parts, shards, stored = [], [], 0
    for name, cohort in cohorts.items():
        part = cohort.records.assign(cohort=name)
        part["place"] += stored
        for shard in cohort.manifest["shards"]:
            shards.append(shard | {"file": f"{shard_name(len(shards))}.npy"})
            hardlink_or_copy(cohort.folder / shard["file"], Path(out) / shards[-1]["file"])
        stored += sum(len(shard) for shard in cohort.shards)
        parts.append(part)
    records = pd.concat(parts, ignore_index=True)
    roles.check(records, config["roles"])
    _check_once(records)
    records = pseudonymise(_used(records, config["roles"]), seed)
    rejected = pd.concat(
        c.quarantine.assign(file=f"{name}: " + c.quarantine["file"]) for name, c in cohorts.items()
    )
    notes = [f"{name}: {n}" for name, c in cohorts.items() for n in c.manifest["notes"]]
    write_manifest(
        Path(out), records, rejected.to_dict("records"), shards, "+".join(cohorts), notes
    )


def _check_once(records: pd.DataFrame) -> None:
    """Refuse two cohorts with a common ECG, which would count twice in a common role."""
    name = ["source", "ecg_id"]
    twice = records[records.duplicated(name, keep=False)]
    if twice.empty:
        return
    first = (twice[name] == twice[name].iloc[0]).all(axis=1)
    pair = twice.loc[first, "cohort"].iloc[:2]
    shared = int(twice[twice["cohort"].isin(pair)].duplicated(name).sum())
    raise ValueError(
        f"the cohorts {' and '.join(pair)} share {shared} ECGs of the {twice['source'].iloc[0]} "
        "source; keep one of the two in the plan, or choose parts of that source without a "
        "common ECG"
    )


def _used(records: pd.DataFrame, plan: dict[str, list[str]]) -> pd.DataFrame:
    """The records with their one use in ``split`` and the flag ``tokenizer_train``."""
    use = np.full(len(records), UNUSED, dtype=object)
    for role in ("train", "validation", "test", "transfer"):
        use[roles.rows(records, plan, role)] = role
    tokenizer = np.zeros(len(records), dtype=bool)
    tokenizer[roles.rows(records, plan, "tokenizer_train")] = True
    return records.assign(split=use, tokenizer_train=tokenizer)
