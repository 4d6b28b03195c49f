"""The ECGs that each role of a data plan may use, and the check that no role leaks into another.

A plan names cohorts for each role, and every cohort is split by patient on its own. A role takes
one part of each of its cohorts:

    tokenizer_train   train         tokenizers, codebooks and normalisation are fitted on it
    train             train         classifiers and language models are fitted on it
    validation        validation    settings may be chosen on it
    test              test          scored once
    transfer          test          scored once, of a cohort that nothing was fitted or chosen on

A tokenizer reads only the train part, even of a cohort without any other role. A split depends on
the seed and the cohort's patients and labels, not on the plan. If another plan describes the cohort
alike and tests on it, the tokenizer has therefore not seen its test patients.

Transfer is HeartLLM's zero-shot evaluation: a model trained on MIMIC-IV-ECG answers questions about
PTB-XL without adaptation. It takes the test part, not all ECGs, because the paper scores zero-shot
and in-domain models on one test set. The two scores then differ by the training, not the patients.
"""

from collections.abc import Mapping
from itertools import combinations

import numpy as np
import pandas as pd

from ecglib.cohorts.split import persons

Roles = Mapping[str, list[str]]
"""Names of cohorts by role; an absent role has none."""

PART = {
    "tokenizer_train": "train",
    "train": "train",
    "validation": "validation",
    "test": "test",
    "transfer": "test",
}
TOGETHER = ("tokenizer_train", "train")  # the only two roles that may share patients


def rows(records: pd.DataFrame, roles: Roles, role: str) -> np.ndarray:
    """Record numbers of the ECGs that a role may use, in the order of the table.

    Args:
        records: columns ``cohort`` (its name in the plan) and ``split`` (train, validation or test
            within the cohort), one row per ECG.
        roles: the plan's roles.
        role: one of `PART`.

    Raises:
        ValueError: an unknown role, or a role with a cohort that the table lacks.
    """
    names = _cohorts(records, roles, role)
    chosen = records["cohort"].isin(names) & (records["split"] == PART[role])
    return np.flatnonzero(chosen.to_numpy())


def check(records: pd.DataFrame, roles: Roles) -> None:
    """Refuse a plan that would use the ECGs of a patient twice.

    Args:
        records: columns ``cohort``, ``source``, ``patient_id`` and ``split``, one row per ECG.
            Source and patient identify a person, whatever the plan names the cohorts.
        roles: the plan's roles.

    Raises:
        ValueError: an unknown role, a role with an unknown cohort, a cohort with the role transfer
            and another role, two roles other than `TOGETHER` that share patients, or a record
            without a patient.
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
    known = set(records["cohort"].unique())
    for name in names:
        if name not in known:
            raise ValueError(
                f"the role {role} names the cohort {name}, of which there is no ECG; there are "
                f"{', '.join(sorted(known))}"
            )
    return list(names)


def _overlap(one: str, two: str, names: dict[str, list[str]], shared: int) -> str:
    """The message about two roles with common patients."""
    a, b = (f"{role} ({', '.join(names[role])})" for role in (one, two))
    text = f"the roles {a} and {b} share {shared} patients"
    if one == "tokenizer_train":
        text = f"the tokenizer would see {shared} {two} patients, because {a} and {b} overlap"
    return f"{text}; give a data set one name and one split in the plan"
