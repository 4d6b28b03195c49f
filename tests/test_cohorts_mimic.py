"""MIMIC-IV-ECG as a cohort: statements joined to a report, labels read from it."""

from types import SimpleNamespace

import fake_ptbxl
import numpy as np
import pandas as pd
import pytest

from ecglib.cohorts import mimic
from ecglib.cohorts.build import build
from ecglib.cohorts.findings import FINDINGS
from ecglib.cohorts.labels import ABSENT, NOT_ASSESSABLE, PRESENT
from ecglib.cohorts.store import Cohort

MACHINE = SimpleNamespace(device="cpu", dtype="float32", threads=1, reason="test")


@pytest.fixture
def tree(tmp_path):
    root = tmp_path / "mimic"
    paths = []
    for study in (40000001, 40000002):
        folder = f"files/p1000/p10000001/s{study}"
        x = fake_ptbxl.signal(study, 5000)
        fake_ptbxl.write_record(root / folder, str(study), x, 500, study)
        paths.append(f"{folder}/{study}")
    rows = {"subject_id": [10000001] * 2, "study_id": [40000001, 40000002], "path": paths}
    pd.DataFrame(rows).to_csv(root / "record_list.csv", index=False)
    statements = {f"report_{number}": ["", ""] for number in range(18)}
    statements |= {"report_0": ["Sinus rhythm", ""], "report_2": ["Left bundle branch block.", ""]}
    rows = {"study_id": [40000001, 40000002], "cart_id": [6848296] * 2, **statements}
    pd.DataFrame(rows).to_csv(root / "machine_measurements.csv", index=False)
    return root


def test_statements_become_report_and_labels(tree):
    first, second = mimic.records(tree)
    assert first["report"] == "Sinus rhythm. Left bundle branch block."
    assert (first["device"], first["site"]) == ("6848296", "BIDMC")
    labels = mimic.labels(first, tree)
    assert (labels[0], labels[6], labels[15]) == (PRESENT, PRESENT, ABSENT)
    unread = [label for label in range(77) if label not in FINDINGS]
    assert (labels[unread] == NOT_ASSESSABLE).all()
    assert second["report"] == ""
    assert (mimic.labels(second, tree) == NOT_ASSESSABLE).all()


def test_build_with_and_without_reports(tree, tmp_path):
    build(tmp_path / "a", {"data": tree}, {"source": "mimic"}, 0, MACHINE)
    cohort = Cohort.open(tmp_path / "a")
    assert cohort.records["patient_id"].tolist() == ["10000001"] * 2
    assert np.isnan(cohort.records["age"]).all()
    (tree / "machine_measurements.csv").unlink()
    with pytest.raises(FileNotFoundError, match=r"machine_measurements\.csv is missing"):
        build(tmp_path / "b", {"data": tree}, {"source": "mimic"}, 0, MACHINE)
    build(tmp_path / "b", {"data": tree}, {"source": "mimic", "reports": False}, 0, MACHINE)
    assert (Cohort.open(tmp_path / "b").labels == NOT_ASSESSABLE).all()
