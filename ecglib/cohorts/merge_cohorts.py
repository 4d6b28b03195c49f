"""Merge all cohorts of a data plan into one, with the use of every ECG.

A plan names cohorts for each role, and every cohort is split by patient on its own. A role takes
one part of each of its cohorts:

    tokenizer_train   train         tokenizers, codebooks and normalisation are fitted on it
    train             train         classifiers and language models are fitted on it
    validation        validation    settings may be chosen on it
    test              test          scored once
    transfer          test          scored once, of a cohort that nothing was fitted or chosen on

The column `split` of the merged cohort is the one use of an ECG: train, validation, test, transfer,
or none for no model but, where `tokenizer_train` is set, a tokenizer.

A tokenizer reads only the train part, even of a cohort without any other role. A split depends on
the seed and the cohort's patients and labels, not on the plan. If another plan describes the cohort
alike and tests on it, the tokenizer has therefore not seen its test patients.

Transfer is HeartLLM's zero-shot evaluation: a model trained on MIMIC-IV-ECG answers questions about
PTB-XL without adaptation. It takes the test part, not all ECGs, because the paper scores zero-shot
and in-domain models on one test set. The two scores then differ by the training, not the patients.
"""

from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ecglib.cohorts.records import pseudonymise, write_manifest
from ecglib.cohorts.shards import hardlink_or_copy, shard_name
from ecglib.cohorts.split import persons
from ecglib.cohorts.store import ROLES, Cohort

if TYPE_CHECKING:
    from ecglib.training.device import Machine

PART = {role: role for role in ROLES} | {"tokenizer_train": "train", "transfer": "test"}
TOGETHER = ("tokenizer_train", "train")  # the only two roles that may share patients
UNUSED = "none"


def merge_cohorts(
    out: Path, inputs: dict[str, Path], config: dict, seed: int, machine: "Machine"
) -> None:
    """Step: write one cohort that holds those of a plan.

    The seed draws the public numbers of patients and ECGs. The shards are linked, not copied, so a
    merged cohort needs no disk space.

    Inputs: COHORT (each by its name in the plan).

    Config:
        roles: a list of cohort names for each role.

    Raises ValueError: roles that would let a model see a patient of its own test, a role without
    any ECG, or two cohorts that hold the same ECG.
    """
    cohorts = {name: Cohort.open(folder) for name, folder in inputs.items()}
    parts, shards, stored = [], [], 0
    for name, cohort in cohorts.items():
        part = cohort.records.assign(cohort=name)
        part["place"] += stored
        for shard in cohort.manifest["shards"]:
            shards.append(shard | {"file": f"{shard_name(len(shards))}.npy"})
            hardlink_or_copy(cohort.folder / shard["file"], out / shards[-1]["file"])
        stored += sum(len(shard) for shard in cohort.shards)
        parts.append(part)
    records = pd.concat(parts, ignore_index=True)
    check_roles(records, config["roles"])
    _check_once(records)
    use = np.full(len(records), UNUSED, dtype=object)
    for role in ("train", "validation", "test", "transfer"):
        rows = role_rows(records, config["roles"], role)
        if config["roles"].get(role) and not len(rows):
            given = records[records["cohort"].isin(config["roles"][role])]
            of = f"{len(given)} ECGs of {len(np.unique(persons(given)))} people"
            text = f"of {of} in {', '.join(config['roles'][role])} none is left for the role {role}"
            raise ValueError(f"{text}; give data of more people, some twenty at least")
        use[rows] = role
    tokenizer = np.zeros(len(records), dtype=bool)
    tokenizer[role_rows(records, config["roles"], "tokenizer_train")] = True
    records = pseudonymise(records.assign(split=use, tokenizer_train=tokenizer), seed)
    rejected = pd.concat(
        c.quarantine.assign(file=f"{name}: " + c.quarantine["file"]) for name, c in cohorts.items()
    )
    notes = [f"{name}: {n}" for name, c in cohorts.items() for n in c.manifest["notes"]]
    write_manifest(out, records, rejected.to_dict("records"), shards, "+".join(cohorts), notes)


def role_rows(records: pd.DataFrame, roles: dict[str, list[str]], role: str) -> np.ndarray:
    """Record numbers of the ECGs that a role may use, in the order of the table.

    Args:
        records: columns ``cohort`` (its name in the plan) and ``split`` (within the cohort).
        roles: names of cohorts by role; an absent role has none.
        role: one of `PART`.
    """
    chosen = records["cohort"].isin(roles.get(role, ())) & (records["split"] == PART[role])
    return np.flatnonzero(chosen.to_numpy())


def check_roles(records: pd.DataFrame, roles: dict[str, list[str]]) -> None:
    """Refuse a plan that would use the ECGs of a patient twice.

    Args:
        records: as for `role_rows`; columns ``source`` and ``patient_id`` identify a person,
            whatever the plan names the cohorts.
        roles: names of cohorts by role, checked by ``ecglib.run.profiles.load_plan``.

    Raises ValueError: two roles other than `TOGETHER` share patients, or a record has no patient.
    """
    people = persons(records)
    members = {role: people[role_rows(records, roles, role)] for role in PART}
    for one, two in combinations(PART, 2):
        shared = len(np.intersect1d(members[one], members[two]))
        if not shared or (one, two) == TOGETHER:
            continue
        a, b = (f"{role} ({', '.join(roles[role])})" for role in (one, two))
        text = f"the roles {a} and {b} share {shared} patients"
        if one == "tokenizer_train":
            text = f"the tokenizer would see {shared} {two} patients, because {a} and {b} overlap"
        raise ValueError(f"{text}; give a data set one name and one split in the plan")


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
