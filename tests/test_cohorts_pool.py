"""Cohorts pooled by a data plan: one table, one use an ECG, nobody twice."""

import numpy as np
import pytest
from test_cohorts_store import records

from ecglib.cohorts.merge_cohorts import merge_cohorts
from ecglib.cohorts.records import write_cohort
from ecglib.cohorts.store import Cohort
from ecglib.training.device import Machine

MACHINE = Machine("cpu", "float32", 1, "a test")
ROLES = {
    "tokenizer_train": ["one", "two"],
    "train": ["one"],
    "validation": ["one"],
    "test": ["one"],
    "transfer": ["three"],
}


def three_cohorts(folder) -> dict:
    """One, two and three with 20 ECGs each of 10 patients, of three sources."""
    for number, name in enumerate(("one", "two", "three")):
        given = records(20 * (number + 1))[20 * number :]
        write_cohort(folder / name, given, seed=number, source=f"source {name}")
    return {name: folder / name for name in ("one", "two", "three")}


def test_every_ecg_gets_the_one_use_that_the_plan_names(tmp_path):
    inputs = three_cohorts(tmp_path)
    (tmp_path / "pool").mkdir()
    merge_cohorts(tmp_path / "pool", inputs, {"roles": ROLES}, 0, MACHINE)
    pooled = Cohort.open(tmp_path / "pool")
    assert len(pooled) == 60
    of = pooled.records["cohort"].to_numpy()
    for role in ("train", "validation", "test"):
        assert set(of[pooled.rows(role)]) == {"one"}
        assert len(pooled.rows(role)) == len(Cohort.open(inputs["one"]).rows(role))
    assert set(of[pooled.rows("tokenizer_train")]) == {"one", "two"}
    assert set(of[pooled.rows("transfer")]) == {"three"}
    uses = pooled.records["split"]
    assert set(uses[of == "two"]) == {"none"}
    read_by_none = set(pooled.rows("tokenizer_train")) & set(pooled.rows("test"))
    assert not read_by_none
    assert pooled.records["unit"].nunique() == pooled.records["patient_id"].nunique() == 30


def test_signals_are_those_of_the_cohorts_and_cost_no_disk(tmp_path):
    inputs = three_cohorts(tmp_path)
    (tmp_path / "pool").mkdir()
    merge_cohorts(tmp_path / "pool", inputs, {"roles": ROLES}, 0, MACHINE)
    pooled, two = Cohort.open(tmp_path / "pool"), Cohort.open(inputs["two"])
    mine = np.flatnonzero(pooled.records["cohort"] == "two")
    np.testing.assert_array_equal(pooled.signals(mine), two.signals(two.rows()))
    shard = tmp_path / "pool" / "signals_00001.npy"
    assert shard.stat().st_ino == (inputs["two"] / "signals_00000.npy").stat().st_ino


def test_one_source_under_two_names_is_refused(tmp_path):
    for name in ("one", "two"):
        write_cohort(tmp_path / name, records(20), seed=len(name) + ord(name[0]), source="same")
    inputs = {name: tmp_path / name for name in ("one", "two")}
    (tmp_path / "pool").mkdir()
    roles = {"tokenizer_train": ["one"], "train": ["one"], "test": ["two"]}
    with pytest.raises(ValueError, match=r"share|overlap"):
        merge_cohorts(tmp_path / "pool", inputs, {"roles": roles}, 0, MACHINE)


def test_two_cohorts_with_a_common_ecg_are_refused(tmp_path):
    """In one role, so that no two share a patient; of other sources e0 to e11 are other ECGs."""
    for name, given, source in (
        ("a", records(12), "other"),
        ("b", records(20), "same"),
        ("c", records(12), "again"),
        ("d", records(24)[16:], "same"),
        ("e", records(40)[24:], "same"),
    ):
        write_cohort(tmp_path / name, given, seed=0, source=source)
    plan = {"roles": {"train": ["b", "d"]}}
    (tmp_path / "pool").mkdir()
    apart = {name: tmp_path / name for name in ("a", "b", "c", "e")}
    merge_cohorts(tmp_path / "pool", apart, {"roles": {"train": ["b", "e"]}}, 0, MACHINE)
    assert len(Cohort.open(tmp_path / "pool")) == 12 + 20 + 12 + 16
    both = {name: tmp_path / name for name in "abcd"}
    (tmp_path / "again").mkdir()
    with pytest.raises(ValueError, match="cohorts b and d share 4 ECGs of the same source; keep"):
        merge_cohorts(tmp_path / "again", both, plan, 0, MACHINE)
    assert not (tmp_path / "again" / "cohort.json").exists()


def test_a_repeated_signal_is_kept_once_whoever_it_belongs_to(tmp_path):
    given = records(8)
    given[5]["signal"] = given[2]["signal"].copy()
    cohort = write_cohort(tmp_path, given, seed=0)
    assert cohort.records["ecg_id"].tolist() == [f"e{n}" for n in (0, 1, 2, 3, 4, 6, 7)]
    rejected = cohort.quarantine
    assert rejected[["file", "reason"]].to_numpy().tolist() == [["e5", "repeated record"]]
    assert rejected["value"][0] == "same signal as e2"
    last = cohort.signals(np.array([6]))[0]
    assert np.abs(last - given[7]["signal"]).max() <= 0.0005 + 1e-6
    # p1 (of e2 and e3) and p2 (of e4 and e5) are one person, in one part of the split.
    people = cohort.records.set_index("ecg_id")["patient_id"]
    assert people["e2"] == people["e3"] == people["e4"] == "p1"
    assert cohort.records.groupby("patient_id")["split"].nunique().max() == 1
    assert cohort.manifest["notes"] == [
        "1 patient numbers share a signal with another: one person each"
    ]


def test_which_repeated_record_is_kept_does_not_depend_on_their_order(tmp_path):
    given = records(8)
    given[5]["signal"] = given[2]["signal"].copy()
    for name, order in (("forth", given), ("back", given[::-1])):
        write_cohort(tmp_path / name, order, seed=0)
    forth, back = (
        Cohort.open(tmp_path / name).records.set_index("ecg_id").sort_index()
        for name in ("forth", "back")
    )
    same = ["patient_id", "unit", "ecg", "split"]
    assert forth[same].equals(back[same])
