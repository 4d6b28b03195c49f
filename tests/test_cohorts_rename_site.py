"""A cohort in which one hospital's name stands for all."""

import numpy as np
from builds import build_cohort, refused

from ecglib.cohorts import rename_site
from ecglib.cohorts.store import Cohort
from ecglib.training.device import Machine

MACHINE = Machine("cpu", "float32", 1, "test")


def test_only_the_name_changes(tmp_path):
    whole = build_cohort(tmp_path / "whole", patients=12)
    (tmp_path / "one").mkdir()
    call = {"cohort": whole.folder}, {"site": "B"}, 0, MACHINE
    rename_site.rename_site(tmp_path / "one", *call)
    one = Cohort.open(tmp_path / "one")
    assert set(whole.records["site"]) == {"A", "B"} and set(one.records["site"]) == {"B"}
    rest = whole.records.columns.drop("site")
    assert one.records[rest].equals(whole.records[rest])
    np.testing.assert_array_equal(one.signals(one.rows()), whole.signals(whole.rows()))
    assert one.manifest["notes"][-1] == "all ECGs have the name of hospital 'B'"
    nobody = {"site": "C"}
    refused("got 'C'", rename_site.rename_site, tmp_path / "one", call[0], nobody, 0, MACHINE)
