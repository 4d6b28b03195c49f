"""Which ECGs of a data plan may be used for what, and the proof that no role leaks into another.

A plan names cohorts for each role; every cohort is split by patient on its own. A role takes one
part of each of its cohorts:

    tokenizer_train   train         what tokenizers, codebooks and normalisation are fitted on
    train             train         what classifiers and language models are fitted on
    validation        validation    what may be looked at while choosing
    test              test          scored once
    transfer          test          scored once, of a cohort that nothing was fitted or chosen on

A tokenizer reads only the train part, even of a cohort without any other role. A split depends on
the seed and the cohort's patients and labels, not on the plan: where another plan describes the
cohort alike and tests on it, the tokenizer has not seen its test patients either.

Transfer is HeartLLM's zero-shot: trained on MIMIC-IV-ECG, asked about PTB-XL without adaptation. It
takes the test part, not all ECGs, because the paper scores zero-shot and in-domain models on one
test set: the number with and the number without training on that cohort then differ by the
training, not by the patients.
"""

from collections.abc import Mapping
from itertools import combinations

import numpy as np
import pandas as pd

from ecglib.cohorts.split import persons

Roles = Mapping[str, list[str]]
"""Names of cohorts by role; a role that is left out has none."""

PART = {
    "tokenizer_train": "train",
    "train": "train",
    "validation": "validation",
    "test": "test",
    "transfer": "test",
}
TOGETHER = ("tokenizer_train", "train")  # the only two roles that may share patients


def rows(records: pd.DataFrame, roles: Roles, role: str) -> np.ndarray:
    """Row numbers of the ECGs that a role may use, in the order of the table.

    Args:
        records: columns ``cohort`` (its name in the plan) and ``split`` (train, validation or test
            within the cohort), one row an ECG.
        roles: the plan's roles.
        role: one of `PART`.

    Raises:
        ValueError: for an unknown role, or one with a cohort that the table lacks.
    """
    names = _cohorts(records, roles, role)
    chosen = records["cohort"].isin(names) & (records["split"] == PART[role])
    return np.flatnonzero(chosen.to_numpy())


def check(records: pd.DataFrame, roles: Roles) -> None:
    """Refuse a plan in which somebody's ECGs would be used twice.

    Args:
        records: columns ``cohort``, ``source``, ``patient_id`` and ``split``, one row an ECG.
            Source and patient identify a person, whatever names the plan gives to cohorts.
        roles: the plan's roles.

    Raises:
        ValueError: for an unknown role, a role with an unknown cohort, a cohort with the role
            transfer and another one, two roles that share patients (but for `TOGETHER`, which
            should), and a record without a patient.
    """
    names = {role: _cohorts(records, roles, role) for role in roles}
    for role, cohorts in names.items():
        both = sorted(set(cohorts) & set(names.get("transfer", ())))
        if role != "transfer" and both:
            raise ValueError(
                f"the cohort {both[0]} has the roles transfer and {role}; transfer means that "
                "nothing was fitted or chosen on it, so take it out of one of the two"
            )
    people = persons(records)
    members = {role: np.zeros(people.max(initial=-1) + 1, bool) for role in PART}
    for role, present in members.items():
        present[people[rows(records, roles, role)]] = True
    for one, two in combinations(PART, 2):
        shared = int((members[one] & members[two]).sum())
        if shared and (one, two) != TOGETHER:
            raise ValueError(_overlap(one, two, names, shared))


def _cohorts(records: pd.DataFrame, roles: Roles, role: str) -> list[str]:
    """The cohorts of a role, checked."""
    if role not in PART:
        raise ValueError(f"unknown role {role!r}; there are {', '.join(PART)}")
    names = roles.get(role, [])
    if isinstance(names, str):
        raise ValueError(f"the role {role} must be a list of cohorts: write [{names}]")
    there = set(records["cohort"].unique())
    for name in names:
        if name not in there:
            raise ValueError(
                f"the role {role} names the cohort {name}, of which there is no ECG; there are "
                f"{', '.join(sorted(there))}"
            )
    return list(names)


def _overlap(one: str, two: str, names: dict[str, list[str]], shared: int) -> str:
    """One sentence on two roles with common patients."""
    where = [f"{role} ({', '.join(names[role])})" for role in (one, two)]
    what = f"the roles {where[0]} and {where[1]} share {shared} patients"
    if one == "tokenizer_train":
        what = f"the tokenizer would see {shared} {two} patients: {where[0]} and {where[1]} overlap"
    return f"{what}; give a data set one name and one split in the plan"
