"""Copies of the training ECGs that begin later."""

import numpy as np
from builds import build_cohort, refused

from ecglib.cohorts import later_starts
from ecglib.cohorts.store import LABEL_COLUMNS, Cohort
from ecglib.training.device import Machine

MACHINE = Machine("cpu", "float32", 1, "test")


def test_copies_of_the_training_ecgs_begin_later_and_the_others_stay(tmp_path, monkeypatch):
    monkeypatch.setattr(later_starts, "SHARD", 4)  # the copies of a shift need more than one
    plain = build_cohort(tmp_path / "plain", patients=12)
    (tmp_path / "later").mkdir()
    only, shifts = {"cohort": plain.folder}, {"shifts": [8, 24]}
    later_starts.write_later_starts(tmp_path / "later", only, shifts, 0, MACHINE)
    later, train, own = Cohort.open(tmp_path / "later"), plain.rows("train"), len(plain)
    assert len(train) > 4 and len(later) == own + 2 * len(train)
    assert later.records[:own].equals(plain.records)
    np.testing.assert_array_equal(later.signals(plain.rows()), plain.signals(plain.rows()))
    for role in ("tokenizer_train", "validation", "test"):
        np.testing.assert_array_equal(later.rows(role), plain.rows(role))
    for number, shift in enumerate(shifts["shifts"]):
        rows = own + number * len(train) + np.arange(len(train))
        signals = later.signals(rows)
        np.testing.assert_array_equal(
            signals[..., :-shift], plain.signals(train)[..., shift:], err_msg=f"{shift} samples"
        )
        assert not signals[..., -shift:].any()
        same = ["unit", "ecg", "split", *LABEL_COLUMNS]
        copied = later.records.loc[rows, same].reset_index(drop=True)
        assert copied.equals(plain.records.loc[train, same].reset_index(drop=True))
        shorter = plain.records["n_valid"].to_numpy()[train] - shift
        np.testing.assert_array_equal(later.records["n_valid"].to_numpy()[rows], shorter)
    too_far = {"shifts": [2500]}
    refused("got 2500", later_starts.write_later_starts, tmp_path / "x", only, too_far, 0, MACHINE)
