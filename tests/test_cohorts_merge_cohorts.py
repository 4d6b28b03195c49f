"""Merged cohorts: the plan of the papers from files to roles, and plans that are refused."""

from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import fake_code15
import fake_mhi
import fake_mimic
import fake_ptbxl
import numpy as np
import pytest
from test_cohorts_store import records

from ecglib.cohorts.build import SETTINGS, build
from ecglib.cohorts.merge_cohorts import merge_cohorts
from ecglib.cohorts.records import write_cohort
from ecglib.cohorts.store import Cohort
from ecglib.run import roots
from ecglib.run.paths import Paths
from ecglib.run.profiles import load_plan

REPO = Path(__file__).parents[1]
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
    plan = load_plan(Paths(REPO, out, out), "paper")
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
    code15 = (table["cohort"] == "code15").to_numpy()
    short = code15 & (table["ecg_id"].astype(str).str[-1].isin(list("02468"))).to_numpy()
    assert set(table["n_valid"][short]) == {1834}
    assert set(table["n_valid"][~short]) == {2500}
    signals = merged.whole.signals(np.flatnonzero(short))
    assert not signals[:, :, 1834:].any()
    assert signals[:, :, :1834].any(axis=2).all()


def test_signals_are_those_of_the_cohorts_and_cost_no_disk(merged: Merged):
    for name, cohort in merged.parts.items():
        rows = np.flatnonzero(merged.whole.records["cohort"] == name)
        assert names(merged.whole, rows) == names(cohort, cohort.rows())
        np.testing.assert_array_equal(merged.whole.signals(rows), cohort.signals(cohort.rows()))
    shards = zip(merged.parts.values(), merged.whole.manifest["shards"], strict=True)
    for cohort, shard in shards:  # one each
        assert (merged.whole.folder / shard["file"]).samefile(cohort.folder / "signals_00000.npy")


def test_notes_say_whose_they_are(merged: Merged):
    notes = merged.whole.manifest["notes"]
    parts = merged.parts.items()
    assert notes == [f"{name}: {note}" for name, one in parts for note in one.manifest["notes"]]
    starts = [
        "mimic: record_list.csv lists 24 ECGs",
        "mimic: 2 of them have no row in machine_measurements.csv",
        "mhi: the table lists 54 ECGs, 18 without",
        "code15: 24 exams of 2 parts are listed",
        "ptbxl: ptbxl_database.csv lists 24 ECGs",
    ]
    for start in starts:
        assert sum(note.startswith(start) for note in notes) == 1, start


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
