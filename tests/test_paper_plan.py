"""The plan of the papers, from files to roles: four small data sets, built and pooled."""

from pathlib import Path
from typing import NamedTuple

import fake_code15
import fake_mhi
import fake_mimic
import fake_ptbxl
import numpy as np
import pytest

from ecglib.cohorts.build import SETTINGS, build
from ecglib.cohorts.merge_cohorts import merge_cohorts
from ecglib.cohorts.store import Cohort
from ecglib.run import roots
from ecglib.run.paths import Paths
from ecglib.run.profiles import load_plan
from ecglib.training.device import Machine

REPO = Path(__file__).parents[1]
MACHINE = Machine("cpu", "float32", 1, "a test")
# Two ECGs a patient: enough for a patient in each part of the split.
LISTED = {"mimic": 24, "mhi": 54, "code15": 24, "ptbxl": 24}
LEFT_OUT = {"mimic": 0, "mhi": 18, "code15": 1, "ptbxl": 0}  # not verified; zero throughout
FIRST = 100  # MIMIC's patients get the numbers that PTB-XL's have in the fake
SHORT = 2934  # samples at 400 Hz, 7.3 s


class Pooled(NamedTuple):
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
def pooled(tmp_path_factory: pytest.TempPathFactory) -> Pooled:
    """The cohorts of paper.yaml and their pool, made as notebook 01 makes them."""
    trees, made = tmp_path_factory.mktemp("trees"), tmp_path_factory.mktemp("made")
    plan = load_plan(Paths(REPO, made, made), "paper")
    with pytest.MonkeyPatch.context() as patch:
        write_trees(trees, patch)
    for name, entry in plan["cohorts"].items():
        roots.check_root(name, trees / name, entry)
        settings = {key: entry[key] for key in SETTINGS if key in entry}
        (made / name).mkdir()
        build(made / name, {"data": trees / name}, settings, 0, MACHINE)
    folders = {name: made / name for name in plan["cohorts"]}
    (made / "pool").mkdir()
    merge_cohorts(made / "pool", folders, {"roles": plan["roles"]}, 0, MACHINE)
    parts = {name: Cohort.open(folder) for name, folder in folders.items()}
    return Pooled(plan, parts, Cohort.open(made / "pool"))


def names(cohort: Cohort, rows: np.ndarray) -> list[str]:
    """The ecg_id of these rows."""
    return cohort.records["ecg_id"].iloc[rows].tolist()


def test_every_data_set_is_read_whole(pooled: Pooled):
    for name, cohort in pooled.parts.items():
        assert len(cohort) == LISTED[name] - LEFT_OUT[name]
        assert set(cohort.records["split"]) == {"train", "validation", "test"}
    assert len(pooled.whole) == sum(LISTED.values()) - sum(LEFT_OUT.values())
    assert pooled.whole.quarantine["value"].str.contains("zero throughout").tolist() == [True]


def test_roles_have_the_cohorts_and_the_part_that_the_plan_names(pooled: Pooled):
    part = {"tokenizer_train": "train", "transfer": "test"}
    cohort = pooled.whole.records["cohort"].to_numpy()
    for role, members in pooled.plan["roles"].items():
        rows = pooled.whole.rows(role)
        assert set(cohort[rows]) == set(members), role
        for name in members:
            one = pooled.parts[name]
            expected = names(one, one.rows(part.get(role, role)))
            assert names(pooled.whole, rows[cohort[rows] == name]) == expected, (role, name)


def test_transfer_is_the_test_part_of_ptbxl(pooled: Pooled):
    rows = pooled.whole.rows("transfer")
    assert set(pooled.whole.records["source"].iloc[rows]) == {"ptbxl"}
    alone = pooled.parts["ptbxl"]
    assert names(pooled.whole, rows) == names(alone, alone.rows("test"))
    others = pooled.whole.records.query("cohort == 'ptbxl' and split != 'transfer'")
    assert set(others["split"]) == {"none"}
    assert not others["tokenizer_train"].any()


def test_nobody_has_two_roles_but_of_tokenizer_and_model(pooled: Pooled):
    """A person is a source and a number: MIMIC and PTB-XL have the same numbers here."""
    records = pooled.whole.records
    numbers = records.groupby("source")["patient_id"].agg(set)
    assert numbers["mimic"] == numbers["ptbxl"]
    person = (records["source"] + "/" + records["patient_id"]).to_numpy()
    people = {role: set(person[pooled.whole.rows(role)]) for role in pooled.plan["roles"]}
    assert people["train"] < people["tokenizer_train"]
    for one in people:
        for two in set(people) - {one}:
            assert {one, two} == {"train", "tokenizer_train"} or not people[one] & people[two]
    assert records["unit"].nunique() == len(set(person))


def test_an_exam_of_7_3_s_keeps_its_length(pooled: Pooled):
    """2934 samples at 400 Hz are 1834 at 250 Hz (1833.75 rounded up); zeros follow."""
    records = pooled.whole.records
    mine = (records["cohort"] == "code15").to_numpy()
    short = mine & (records["ecg_id"].astype(str).str[-1].isin(list("02468"))).to_numpy()
    assert set(records["n_valid"][short]) == {1834}
    assert set(records["n_valid"][~short]) == {2500}
    signals = pooled.whole.signals(np.flatnonzero(short))
    assert not signals[:, :, 1834:].any()
    assert signals[:, :, :1834].any(axis=2).all()


def test_signals_are_those_of_the_cohorts(pooled: Pooled):
    for name, cohort in pooled.parts.items():
        mine = np.flatnonzero(pooled.whole.records["cohort"] == name)
        assert names(pooled.whole, mine) == names(cohort, cohort.rows())
        np.testing.assert_array_equal(pooled.whole.signals(mine), cohort.signals(cohort.rows()))


def test_notes_say_whose_they_are(pooled: Pooled):
    notes = pooled.whole.manifest["notes"]
    parts = pooled.parts.items()
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
