"""MIMIC-IV-ECG as a cohort: statements joined to a report, labels read from it."""

from types import SimpleNamespace

import fake_mimic
import numpy as np
import pandas as pd
import pytest

from ecglib.cohorts.build import build
from ecglib.cohorts.store import Cohort
from ecglib.labels.label_set import ABSENT, NOT_ASSESSABLE, PRESENT, UNCERTAIN
from ecglib.labels.rules import MACHINE_LEAVES_OUT
from ecglib.sources import mimic
from ecglib.sources.mimic_files import MEASUREMENTS

MACHINE = SimpleNamespace(device="cpu", dtype="float32", threads=1, reason="test")


@pytest.fixture
def tree(tmp_path):
    root = tmp_path / "mimic"
    root.mkdir()
    fake_mimic.write_tree(root)
    return root


def test_statements_become_report_and_labels(tree):
    (first, second, third), _ = mimic.records(tree)
    assert first["report"] == "Sinus rhythm. Left bundle branch block."
    assert (first["device"], first["site"]) == ("6848296", "BIDMC")
    labels = mimic.labels(first, tree)
    assert (labels[0], labels[6], labels[15], labels[67]) == (PRESENT, PRESENT, ABSENT, ABSENT)
    assert (labels[1], labels[16]) == (PRESENT, ABSENT)  # a sinus rhythm is regular
    left_out = [label for label in MACHINE_LEAVES_OUT if label not in (1, 2, 16, 38)]
    assert (labels[left_out] == NOT_ASSESSABLE).all()
    assert set(np.flatnonzero(labels == NOT_ASSESSABLE)) == set(left_out)
    for record in (second, third):  # a row without statements, and no row
        assert (record["report"], record["report_source"]) == ("", "")
        assert (mimic.labels(record, tree) == NOT_ASSESSABLE).all()


@pytest.mark.parametrize(
    ("report", "labels"),
    [
        ("Pacemaker rhythm - no further analysis.", {23: UNCERTAIN, 6: NOT_ASSESSABLE}),
        ("LBBB. Words that no rule knows.", {6: PRESENT, 15: NOT_ASSESSABLE}),
        ("LBBB. Lateral T wave changes.", {6: PRESENT, 15: ABSENT, 9: NOT_ASSESSABLE, 5: ABSENT}),
    ],
)
def test_what_a_report_leaves_out_is_absent_only_where_it_was_read_whole(report, labels):
    states = mimic.labels({"report": report}, None)
    assert {label: states[label] for label in labels} == labels


def test_the_carts_measurements_come_with_the_record(tree):
    (first, second, third), _ = mimic.records(tree)
    measured = fake_mimic.MEASURED[40000001]
    assert first["machine"] == dict(zip(MEASUREMENTS, measured, strict=True))
    assert np.isnan(second["machine"]["p_onset"])
    assert second["machine"]["qrs_axis"] == 30.0
    assert third["machine"] == {}


def test_notes_count_what_has_no_report(tree):
    _, (lists, lacks) = mimic.records(tree)
    assert lists.startswith("record_list.csv lists 3 ECGs")
    assert lacks.startswith("1 of them have no row")
    assert lacks.endswith("0 rows there belong to no listed ECG")
    assert mimic.records(tree, reports=False)[1] == [lists]


def test_a_build_reads_each_table_once(tree, tmp_path, monkeypatch):
    """At full size a second reading of the two tables would take half a minute."""
    read, names = pd.read_csv, []
    monkeypatch.setattr(pd, "read_csv", lambda p, **known: names.append(p.name) or read(p, **known))
    build(tmp_path / "out", {"data": tree}, {"source": "mimic"}, 0, MACHINE)
    assert names == ["record_list.csv", "machine_measurements.csv"]
    notes = Cohort.open(tmp_path / "out").manifest["notes"]
    assert notes == mimic.records(tree)[1]


def test_build_with_and_without_reports(tree, tmp_path):
    build(tmp_path / "a", {"data": tree}, {"source": "mimic"}, 0, MACHINE)
    cohort = Cohort.open(tmp_path / "a")
    assert cohort.records["patient_id"].tolist() == ["10000001"] * 2 + ["10000002"]
    assert np.isnan(cohort.records["age"]).all()
    (tree / "machine_measurements.csv").unlink()
    with pytest.raises(FileNotFoundError, match=r"machine_measurements\.csv is missing"):
        build(tmp_path / "b", {"data": tree}, {"source": "mimic"}, 0, MACHINE)
    build(tmp_path / "b", {"data": tree}, {"source": "mimic", "reports": False}, 0, MACHINE)
    assert (Cohort.open(tmp_path / "b").labels == NOT_ASSESSABLE).all()
