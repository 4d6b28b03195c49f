"""Merged cohorts: what each role may read, no shared patient, the paper's plan from its files."""

from itertools import combinations
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import fake_code15
import fake_mhi
import fake_mimic
import fake_ptbxl
import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from test_cohorts_store import records

from ecglib.cohorts import store
from ecglib.cohorts.build import SETTINGS, build
from ecglib.cohorts.merge_cohorts import PART, TOGETHER, check_roles, merge_cohorts, role_rows
from ecglib.cohorts.records import write_cohort
from ecglib.cohorts.split import FRACTIONS
from ecglib.cohorts.store import Cohort
from ecglib.run import profiles, roots
from ecglib.run.paths import Paths

REPO = Path(__file__).parents[1]
PLANS = sorted((REPO / "notebooks" / "data").glob("*.yaml"))
PAIRS = [pair for pair in combinations(PART, 2) if pair != TOGETHER]
ONE = SimpleNamespace(threads=1)  # all that is read of a machine
# Two ECGs a patient: enough for a patient in each part of the split.
LISTED = {"mimic": 24, "mhi": 54, "code15": 24, "ptbxl": 24}
LEFT_OUT = {"mimic": 0, "mhi": 18, "code15": 1, "ptbxl": 0}  # not verified; zero throughout
FIRST = 100  # MIMIC's patients get the numbers that PTB-XL's have in the fake
SHORT = 2934  # samples at 400 Hz, 7.3 s


class Merged(NamedTuple):
    plan: dict
    parts: dict[str, Cohort]
    whole: Cohort


def write_trees(root: Path, patch: pytest.MonkeyPatch) -> None:
    """Write the four data sets, MIMIC and CODE-15 % longer than their fakes are by themselves."""
    studies = range(40000001, 40000001 + LISTED["mimic"])
    subjects = {study: FIRST + place // 2 for place, study in enumerate(studies)}
    reported = list(studies)[:-2]  # the last two have no row
    statements = [{"report_0": "Sinus rhythm"}, {"report_0": "Atrial fibrillation"}]
    patch.setattr(fake_mimic, "SUBJECTS", subjects)
    patch.setattr(fake_mimic, "REPORTS", {s: statements[s % 3 == 0] for s in reported})
    exams, last = {}, LISTED["code15"] - 1
    for place in range(last + 1):
        samples = 0 if place == last else (4096, SHORT)[place % 2]
        exams[1001 + place] = (int(place > last // 2), samples, ((), ("AF",))[place % 3 == 0])
    patch.setattr(fake_code15, "EXAMS", exams)
    for name in LISTED:
        (root / name).mkdir()
    fake_mimic.write_tree(root / "mimic")
    fake_mhi.write_tree(root / "mhi", LISTED["mhi"])
    fake_code15.write_tree(root / "code15")
    fake_ptbxl.write_tree(root / "ptbxl", LISTED["ptbxl"], rates=(500,))


@pytest.fixture(scope="module")
def merged(tmp_path_factory: pytest.TempPathFactory) -> Merged:
    """The cohorts of paper.yaml merged as in notebook 01."""
    trees, out = tmp_path_factory.mktemp("trees"), tmp_path_factory.mktemp("out")
    plan = profiles.load_plan(Paths(REPO, out, out), "paper")
    with pytest.MonkeyPatch.context() as patch:
        write_trees(trees, patch)
    for name, entry in plan["cohorts"].items():
        roots.check_root(name, trees / name, entry)
        settings = {key: entry[key] for key in SETTINGS if key in entry}
        (out / name).mkdir()
        build(out / name, {"data": trees / name}, settings, 0, ONE)
    folders = {name: out / name for name in plan["cohorts"]}
    (out / "merged").mkdir()
    merge_cohorts(out / "merged", folders, {"roles": plan["roles"]}, 0, ONE)
    parts = {name: Cohort.open(folder) for name, folder in folders.items()}
    return Merged(plan, parts, Cohort.open(out / "merged"))


def names(cohort: Cohort, rows: np.ndarray) -> list[str]:
    """The ecg_id of these rows."""
    return cohort.records["ecg_id"].iloc[rows].tolist()


def test_every_data_set_is_read_whole(merged: Merged):
    for name, cohort in merged.parts.items():
        assert len(cohort) == LISTED[name] - LEFT_OUT[name]
        assert set(cohort.records["split"]) == {"train", "validation", "test"}
    assert len(merged.whole) == sum(LISTED.values()) - sum(LEFT_OUT.values())
    assert merged.whole.quarantine["value"].str.contains("zero throughout").tolist() == [True]


def test_roles_have_the_cohorts_and_the_part_that_the_plan_names(merged: Merged):
    part = {"tokenizer_train": "train", "transfer": "test"}
    cohort = merged.whole.records["cohort"].to_numpy()
    for role, members in merged.plan["roles"].items():
        rows = merged.whole.rows(role)
        assert set(cohort[rows]) == set(members), role
        for name in members:
            one = merged.parts[name]
            expected = names(one, one.rows(part.get(role, role)))
            assert names(merged.whole, rows[cohort[rows] == name]) == expected, (role, name)
    assert merged.plan["roles"]["transfer"] == ["ptbxl"]
    unused = merged.whole.records.query("cohort == 'ptbxl' and split != 'transfer'")
    assert set(unused["split"]) == {"none"} and not unused["tokenizer_train"].any()


def test_nobody_has_two_roles_but_of_tokenizer_and_model(merged: Merged):
    """A person is a source and a number: MIMIC and PTB-XL have the same numbers here."""
    table = merged.whole.records
    numbers = table.groupby("source")["patient_id"].agg(set)
    assert numbers["mimic"] == numbers["ptbxl"]
    person = (table["source"] + "/" + table["patient_id"]).to_numpy()
    people = {role: set(person[merged.whole.rows(role)]) for role in merged.plan["roles"]}
    assert people["train"] < people["tokenizer_train"]
    for one in people:
        for two in set(people) - {one}:
            assert {one, two} == {"train", "tokenizer_train"} or not people[one] & people[two]
    assert table["unit"].nunique() == len(set(person))


def test_an_exam_of_7_3_s_keeps_its_length(merged: Merged):
    """2934 samples at 400 Hz are 1834 at 250 Hz (1833.75 rounded up); zeros follow."""
    table = merged.whole.records
    short = np.flatnonzero(table["n_valid"] < 2500)
    assert set(table["cohort"].iloc[short]) == {"code15"} and len(short) == 11
    signals = merged.whole.signals(short)
    assert set(table["n_valid"].iloc[short]) == {1834} and not signals[:, :, 1834:].any()
    assert signals[:, :, :1834].any(axis=2).all()


def test_signals_are_those_of_the_cohorts_and_cost_no_disk(merged: Merged):
    for name, cohort in merged.parts.items():
        rows = np.flatnonzero(merged.whole.records["cohort"] == name)
        assert names(merged.whole, rows) == names(cohort, cohort.rows())
        np.testing.assert_array_equal(merged.whole.signals(rows), cohort.signals(cohort.rows()))
    shards = zip(merged.parts.values(), merged.whole.manifest["shards"], strict=True)
    for cohort, shard in shards:  # one each
        assert (merged.whole.folder / shard["file"]).samefile(cohort.folder / "signals_00000.npy")


def test_notes_name_their_cohort(merged: Merged):
    notes, parts = merged.whole.manifest["notes"], merged.parts.items()
    assert notes == [f"{name}: {note}" for name, one in parts for note in one.manifest["notes"]]
    assert {note.partition(":")[0] for note in notes} == set(LISTED)


def merge(folder: Path, roles: dict[str, list[str]], **cohorts: tuple[slice, str]) -> Cohort:
    """Merge cohorts of some of 40 ECGs (two per patient), each from a named source."""
    inputs = {name: folder / name for name in cohorts}
    for name, (part, source) in cohorts.items():
        write_cohort(folder / name, records(40)[part], seed=ord(name[0]), source=source)
    (folder / "merged").mkdir()
    merge_cohorts(folder / "merged", inputs, {"roles": roles}, 0, ONE)
    return Cohort.open(folder / "merged")


def test_one_source_under_two_names_is_refused(tmp_path: Path):
    roles = {"tokenizer_train": ["a"], "train": ["a"], "test": ["b"]}
    with pytest.raises(ValueError, match=r"share|overlap"):
        merge(tmp_path, roles, a=(slice(20), "same"), b=(slice(20), "same"))
    assert not (tmp_path / "merged" / "cohort.json").exists()


def test_two_cohorts_with_a_common_ecg_are_refused(tmp_path: Path):
    """In one role, so that no two share a patient; of other sources e0 to e11 are other ECGs."""
    parts = {"a": (slice(12), "other"), "b": (slice(20), "same"), "c": (slice(12), "again")}
    (tmp_path / "good").mkdir()
    apart = parts | {"e": (slice(24, 40), "same")}
    assert len(merge(tmp_path / "good", {"train": ["b", "e"]}, **apart)) == 12 + 20 + 12 + 16
    both = parts | {"d": (slice(16, 24), "same")}
    with pytest.raises(ValueError, match="cohorts b and d share 4 ECGs of the same source; keep"):
        merge(tmp_path, {"train": ["b", "d"]}, **both)


def table(*rows: tuple[str, str, str, str]) -> pd.DataFrame:
    """Records from (cohort, source, patient, split)."""
    return pd.DataFrame(rows, columns=["cohort", "source", "patient_id", "split"])


PATIENTS = [(f"{split}-{i}", split) for split in FRACTIONS for i in range(2)]
FOUR = table(*[(*cohort, *who) for cohort in (("a", "s"), ("b", "t")) for who in PATIENTS])


def test_a_role_reads_one_part_of_its_cohorts():
    roles = {"tokenizer_train": ["a", "b"], "train": ["a"], "validation": ["a"], "test": ["a"]}
    check_roles(FOUR, roles)
    expected = {"tokenizer_train": [0, 1, 6, 7], "train": [0, 1], "validation": [2, 3]}
    expected |= {"test": [4, 5], "transfer": []}
    assert {role: role_rows(FOUR, roles, role).tolist() for role in expected} == expected
    assert role_rows(FOUR, {"transfer": ["b"]}, "transfer").tolist() == [10, 11]


def test_same_patient_number_in_two_sources_is_two_people():
    """FOUR has the same patient_id in sources s and t; as one source they are the same people."""
    check_roles(FOUR, {"train": ["a"], "test": ["b"]})
    same = FOUR.assign(source="s")
    check_roles(same, {"train": ["a", "b"], "test": ["a", "b"]})  # each has one split: no leak
    crossed = same.assign(split=[*same["split"][:6], *same["split"].tolist()[:5:-1]])
    with pytest.raises(ValueError, match=r"train \(a\) and test \(b\) share 2 patients") as refusal:
        check_roles(crossed, {"train": ["a"], "test": ["b"]})
    assert not any(patient in str(refusal.value) for patient, _ in PATIENTS)


@pytest.mark.parametrize("role", ["test", "transfer", "validation"])
def test_a_tokenizer_that_would_see_a_scored_patient_is_refused(role):
    """Cohort b is the data of a under another name, split in another way."""
    records = table(
        ("a", "s", "1", "train"), ("b", "s", "1", "test"), ("b", "s", "1", "validation")
    )
    with pytest.raises(ValueError, match=f"the tokenizer would see 1 {role} patients"):
        check_roles(records, {"tokenizer_train": ["a"], role: ["b"]})


row = st.tuples(*map(st.sampled_from, ("abc", "st", "1234", [*FRACTIONS])))
plan = st.dictionaries(
    st.sampled_from([*PART]), st.lists(st.sampled_from("abc"), max_size=3, unique=True)
)


def people(rows: list[tuple[str, ...]], plan: dict[str, list[str]], role: str) -> set:
    """Written out once more: who a role sees."""
    part = "test" if role == "transfer" else role.removeprefix("tokenizer_")
    return {(s, p) for c, s, p, split in rows if c in plan.get(role, []) and split == part}


@settings(max_examples=150, deadline=None)
@given(rows=st.lists(row, min_size=1, max_size=14), plan=plan)
def test_what_passes_has_no_leak_and_what_is_refused_has_one(rows, plan):
    records = table(*rows)
    if any(people(rows, plan, one) & people(rows, plan, two) for one, two in PAIRS):
        with pytest.raises(ValueError, match=r"share|would see"):
            check_roles(records, plan)
        return
    check_roles(records, plan)
    for role in PART:
        members = records.iloc[role_rows(records, plan, role)]
        pairs = zip(members["source"], members["patient_id"], strict=True)
        assert set(pairs) == people(rows, plan, role)


@pytest.mark.parametrize("path", PLANS, ids=lambda path: path.stem)
def test_the_plans_of_the_project(path):
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    cohorts = [(name, entry["source"]) for name, entry in content["cohorts"].items()]
    records = table(*[(*cohort, *who) for cohort in cohorts for who in PATIENTS])
    check_roles(records, content["roles"])
    for role, names in content["roles"].items():
        assert (len(role_rows(records, content["roles"], role)) > 0) == bool(names)


def test_the_plan_of_the_papers():
    roles = profiles.load_plan(Paths(REPO, REPO, REPO), "paper")["roles"]
    assert roles["tokenizer_train"] == ["mimic", "mhi", "code15"]  # ECG-Tok, section 2.1
    assert roles["train"] == roles["validation"] == roles["test"] == ["mimic"]  # its Table 1
    assert roles["transfer"] == ["ptbxl"]  # HeartLLM, zero-shot
    assert tuple(PART) == profiles.ROLES == store.ROLES
