"""A cohort for training at one hospital: who is left, and what does not change."""

import numpy as np
from builds import build_cohort, refused

from ecglib.classify import training_site
from ecglib.cohorts.store import Cohort
from ecglib.training.device import Machine

MACHINE = Machine("cpu", "float32", 1, "test")


def test_models_learn_at_one_hospital_and_are_tested_at_all(tmp_path):
    whole = build_cohort(tmp_path / "whole", patients=24)
    call = {"cohort": whole.folder}, {"site": "B", "patients": 4}, 0, MACHINE
    (tmp_path / "site").mkdir()
    training_site.keep_site(tmp_path / "site", *call)
    one = Cohort.open(tmp_path / "site")
    for role in ("train", "validation"):
        assert set(one.records["site"].iloc[one.rows(role)]) <= {"B"}
    train = one.rows("train")
    assert one.records["unit"].iloc[train].nunique() == 4
    assert set(train) <= set(whole.rows("train"))
    assert (one.rows("tokenizer_train") == train).all()
    assert (one.rows("test") == whole.rows("test")).all()
    assert set(one.records["site"].iloc[one.rows("test")]) == {"A", "B"}
    kept = [name for name in whole.records if name not in ("split", "tokenizer_train")]
    assert one.records[kept].equals(whole.records[kept])
    rows = whole.rows()[-3:]
    np.testing.assert_array_equal(one.signals(rows), whole.signals(rows))
    assert (one.folder / "quarantine.csv").read_bytes() == (
        whole.folder / "quarantine.csv"
    ).read_bytes()
    (tmp_path / "again").mkdir()
    training_site.keep_site(tmp_path / "again", *call)
    assert Cohort.open(tmp_path / "again").records.equals(one.records)
    nobody = {"site": "C", "patients": 0}
    refused("got 'C'", training_site.keep_site, tmp_path / "again", call[0], nobody, 0, MACHINE)
