"""ECGs whose first seconds stand twice."""

import numpy as np
from builds import build_cohort, refused

from ecglib.cohorts import repeated_start
from ecglib.cohorts.store import Cohort
from ecglib.training.device import Machine

MACHINE = Machine("cpu", "float32", 1, "test")


def test_the_first_seconds_stand_twice_and_all_else_stays(tmp_path, monkeypatch):
    monkeypatch.setattr(repeated_start, "SHARD", 4)  # more than one
    plain = build_cohort(tmp_path / "plain", patients=8)
    (tmp_path / "twice").mkdir()
    only = {"cohort": plain.folder}
    repeated_start.repeat(tmp_path / "twice", only, {"seconds": 0.4}, 0, MACHINE)
    twice = Cohort.open(tmp_path / "twice")
    same = plain.records.columns.drop("place")
    assert twice.records[same].equals(plain.records[same])
    before, now = (cohort.signals(plain.rows()) for cohort in (plain, twice))
    np.testing.assert_array_equal(now[..., 100:200], before[..., :100])
    for part in (slice(0, 100), slice(200, None)):
        np.testing.assert_array_equal(now[..., part], before[..., part])
    for seconds in (0.0, 0.401, 6.0):
        given = only, {"seconds": seconds}, 0, MACHINE
        refused(f"got {seconds}", repeated_start.repeat, tmp_path / "x", *given)
