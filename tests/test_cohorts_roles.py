"""Roles of a data plan: what each may read, and that no pair of them shares a patient."""

from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from ecglib.cohorts import roles
from ecglib.cohorts.split import FRACTIONS, assign
from ecglib.labels.label_set import LABELS, column
from ecglib.run import profiles

PLANS = sorted((Path(__file__).parents[1] / "notebooks" / "data").glob("*.yaml"))
PAIRS = [pair for pair in combinations(roles.PART, 2) if pair != roles.TOGETHER]
ALL = {"tokenizer_train": ["a", "b"], "train": ["a"], "validation": ["a"], "test": ["a"]}


def table(*rows: tuple[str, str, str, str]) -> pd.DataFrame:
    """Records from (cohort, source, patient, split)."""
    return pd.DataFrame(rows, columns=["cohort", "source", "patient_id", "split"])


def cohort(name: str, source: str, patients: int = 40, seed: int = 0) -> pd.DataFrame:
    """One or two ECGs a patient, split as a cohort is."""
    rng = np.random.default_rng([seed, 11])
    who = np.repeat([f"p{i}" for i in range(patients)], 1 + rng.integers(2, size=patients))
    labels = (rng.random((len(who), len(LABELS))) < 0.2).astype(int)
    frame = pd.DataFrame(labels, columns=[column(i) for i in range(len(LABELS))])
    frame.insert(0, "patient_id", who)
    frame["split"] = assign(frame, seed)
    return frame.assign(cohort=name, source=source)


PARTS = [(f"{split}-{i}", split) for split in FRACTIONS for i in range(2)]
FOUR = table(*[(*cohort, *part) for cohort in (("a", "s"), ("b", "t")) for part in PARTS])


def test_a_role_reads_one_part_of_its_cohorts():
    roles.check(FOUR, ALL)
    expected = {"tokenizer_train": [0, 1, 6, 7], "train": [0, 1], "validation": [2, 3]}
    expected |= {"test": [4, 5], "transfer": []}
    assert {role: roles.rows(FOUR, ALL, role).tolist() for role in expected} == expected


def test_transfer_is_the_test_part_of_a_cohort_without_another_role():
    plan = {"train": ["a"], "test": ["a"], "transfer": ["b"]}
    roles.check(FOUR, plan)
    assert roles.rows(FOUR, plan, "transfer").tolist() == [10, 11]
    for role in ("tokenizer_train", "train", "validation", "test"):
        with pytest.raises(ValueError, match=f"cohort b has the roles transfer and {role}"):
            roles.check(FOUR, {**plan, role: [*plan.get(role, []), "b"]})


def test_same_patient_number_in_two_sources_is_two_people():
    """FOUR has the same patient_id in sources s and t; as one source they are the same people."""
    roles.check(FOUR, {"train": ["a"], "test": ["b"]})
    same = FOUR.assign(source="s")
    roles.check(same, {"train": ["a", "b"], "test": ["a", "b"]})  # each has one split: no leak
    crossed = same.assign(split=[*same["split"][:6], *same["split"].tolist()[:5:-1]])
    with pytest.raises(ValueError, match=r"train \(a\) and test \(b\) share 2 patients"):
        roles.check(crossed, {"train": ["a"], "test": ["b"]})


@pytest.mark.parametrize("role", ["test", "transfer", "validation"])
def test_a_tokenizer_that_would_see_a_scored_patient_is_refused(role):
    """Cohort b is the data of a under another name, split in another way."""
    records = table(
        ("a", "s", "1", "train"), ("a", "s", "2", "test"), ("a", "s", "3", "validation"),
        ("b", "s", "1", "test"), ("b", "s", "1", "validation"),
    )  # fmt: skip
    with pytest.raises(ValueError, match=f"the tokenizer would see 1 {role} patients"):
        roles.check(records, {"tokenizer_train": ["a"], role: ["b"]})


@pytest.mark.parametrize(
    ("faulty", "expected"),
    [
        ({"tune": ["a"]}, "unknown role 'tune'; there are tokenizer_train, train"),
        ({"train": ["c"]}, r"role train names the cohort c, of which .* there are a"),
        ({"test": "a"}, "role test must be a list of cohorts: write"),
    ],
)
def test_faults_of_a_plan_are_one_sentence(faulty, expected):
    with pytest.raises(ValueError, match=expected):
        roles.check(FOUR, faulty)
    with pytest.raises(ValueError, match=expected):
        roles.rows(FOUR, faulty, next(iter(faulty)))


def test_no_patient_is_nameless_and_none_is_named_in_a_refusal():
    with pytest.raises(ValueError, match="without patient_id"):
        roles.check(table(("a", "s", "", "train")), {"train": ["a"]})
    records = table(("a", "s", "Jane", "train"), ("a", "s", "Jane", "test"))
    with pytest.raises(ValueError, match="share 1 patients") as refusal:
        roles.check(records, {"train": ["a"], "test": ["a"]})
    assert "Jane" not in str(refusal.value)


row = st.tuples(*map(st.sampled_from, ("abc", "st", "1234", [*FRACTIONS])))
plan = st.dictionaries(
    st.sampled_from([*roles.PART]), st.lists(st.sampled_from("abc"), max_size=3, unique=True)
)


def people(rows: list[tuple[str, ...]], plan: dict[str, list[str]], role: str) -> set:
    """Written out once more: who a role sees."""
    part = "test" if role == "transfer" else role.removeprefix("tokenizer_")
    return {(s, p) for c, s, p, split in rows if c in plan.get(role, []) and split == part}


@settings(max_examples=150, deadline=None)
@given(rows=st.lists(row, min_size=1, max_size=14), plan=plan)
def test_what_passes_has_no_leak_and_what_is_refused_has_one(rows, plan):
    records = table(*rows)
    leaks = [(one, two) for one, two in PAIRS if people(rows, plan, one) & people(rows, plan, two)]
    unknown = [c for names in plan.values() for c in names if c not in {row[0] for row in rows}]
    others = {c for role, names in plan.items() if role != "transfer" for c in names}
    adapted = others & set(plan.get("transfer", []))
    if leaks or unknown or adapted:
        with pytest.raises(ValueError, match=r"share|would see|there is no ECG|has the roles"):
            roles.check(records, plan)
        return
    roles.check(records, plan)
    for role in roles.PART:
        members = records.iloc[roles.rows(records, plan, role)]
        assert set(zip(members["source"], members["patient_id"], strict=True)) == people(
            rows, plan, role
        )


@settings(max_examples=10, deadline=None)
@given(plan=plan, seed=st.integers(0, 3))
def test_cohorts_split_by_patient_leak_under_no_plan(plan, seed):
    """However roles are dealt to cohorts of different data sets, no two share a patient."""
    plan["transfer"] = [
        name
        for name in plan.get("transfer", [])
        if not any(name in names for role, names in plan.items() if role != "transfer")
    ]
    records = pd.concat([cohort(name, f"source of {name}", 25, seed) for name in "abc"])
    records = records.sample(frac=1, random_state=seed, ignore_index=True)
    roles.check(records, plan)
    who = records["source"] + records["patient_id"]
    for one, two in PAIRS:
        a, b = (set(who.iloc[roles.rows(records, plan, role)]) for role in (one, two))
        assert not a & b


@pytest.mark.parametrize("path", PLANS, ids=lambda path: path.stem)
def test_the_plans_of_the_project(path):
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    parts = [cohort(name, entry["source"]) for name, entry in content["cohorts"].items()]
    records = pd.concat(parts, ignore_index=True)
    roles.check(records, content["roles"])
    for role, names in content["roles"].items():
        assert (len(roles.rows(records, content["roles"], role)) > 0) == bool(names)


def test_paper_plan_has_the_faultyof_the_papers():
    path = next(path for path in PLANS if path.stem == "paper")
    plan = yaml.safe_load(path.read_text(encoding="utf-8"))["roles"]
    assert plan["tokenizer_train"] == ["mimic", "mhi", "code15"]  # ECG-Tok, section 2.1
    assert plan["train"] == plan["validation"] == plan["test"] == ["mimic"]  # its Table 1
    assert plan["transfer"] == ["ptbxl"]  # HeartLLM, zero-shot


def test_faultyare_those_that_a_plan_may_name():
    assert set(roles.PART) == set(profiles.ROLES)
