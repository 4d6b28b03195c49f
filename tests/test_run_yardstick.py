"""Nominal seconds: the yardstick is frozen and leaves no trace; steps keep what they cost."""

import hashlib
import inspect
import math
import random
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from toy import Toy

from ecglib.run import keys, manifest, report, steps, yardstick
from ecglib.run.context import Run

FROZEN = "c785c6b4e2e6cfcc"  # of `work` and its sizes; another one needs other reference times


def test_the_yardstick_is_frozen_and_imports_nothing_of_the_library():
    sizes = yardstick.ECGS, yardstick.SAMPLES, yardstick.STRIDE, yardstick.CHANNELS
    text = f"{inspect.getsource(yardstick.work)}{sizes}"
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == FROZEN
    file = Path(yardstick.__file__)
    library = keys.Library(file.parents[1])
    assert library.imports(file.read_text(), file.name) == set()


def test_it_leaves_random_draws_threads_and_number_format_alone(monkeypatch):
    def state() -> list:
        flags = [torch.get_num_threads(), torch.get_default_dtype(), torch.is_grad_enabled()]
        draws = [random.getstate(), np.random.get_state()[1].tobytes()]
        return flags + draws + [torch.get_rng_state().numpy().tobytes()]

    monkeypatch.setattr(yardstick, "ECGS", 1)
    before = state()
    assert 0 < yardstick.measure("cpu") < 60
    assert state() == before


def test_work_is_finite_and_the_same_each_time():
    x = torch.linspace(-1, 1, 2 * 12 * 64).reshape(2, 12, 64)
    weights = [torch.full((3, 12, 8), 0.05, requires_grad=True)]
    (one,), (other,) = (yardstick.work(x, weights) for _ in range(2))
    assert one.isfinite().all() and torch.equal(one, other) and weights[0].grad is None


@pytest.fixture
def speeds(monkeypatch: pytest.MonkeyPatch):
    """A machine that is twice as fast as the reference, then half as fast; a reading stays fresh
    for ever."""
    yardstick._speed.cache_clear()
    monkeypatch.delenv(yardstick.OFF, raising=False)
    monkeypatch.setattr(yardstick, "FRESH_SECONDS", math.inf)
    reference = yardstick.REFERENCE_SECONDS
    times = iter([reference / 2, reference * 2])
    monkeypatch.setattr(yardstick, "measure", lambda device: next(times))
    yield
    yardstick._speed.cache_clear()


def test_a_fresh_reading_is_used_again_and_a_step_counts_by_the_speeds_around_it(
    speeds, monkeypatch
):
    before = yardstick.speed("cpu")
    assert before == yardstick.speed("cpu") == 2.0
    assert yardstick.nominal(10.0, before, before) == 20.0
    monkeypatch.setattr(yardstick, "FRESH_SECONDS", 1e-9)
    after = yardstick.speed("cpu")  # read again
    assert yardstick.nominal(10.0, before, after) == 12.5  # (2 + 0.5) / 2 times 10
    monkeypatch.setenv(yardstick.OFF, "1")
    assert yardstick.speed("cpu") is None
    assert yardstick.nominal(10.0, 2.0, None) is None


def test_a_step_keeps_its_nominal_seconds_and_timings_add_them_up(tmp_path, monkeypatch, speeds):
    """Two stages with one step each, of one key: it counts once."""
    toy = Toy(tmp_path / "toy")
    toy.enter(monkeypatch)
    monkeypatch.delenv(yardstick.OFF)
    from toylib import make
    from toylib.training import device

    run, machine = Run("laptop", "synthetic", 0), device.choose_machine({"device": "cpu"})
    library = keys.Library(run.paths.library)
    parts = steps.step_parts(make.numbers, {"n": 2}, {}, 0, machine, library)
    for number, name in (("01", "cohort"), ("02", "model")):
        place = run.paths.step(run.name, number, name)
        steps.run_step(place, make.numbers, {"n": 2}, {}, parts, machine, "none")
        stage = {"seconds": 3.0, "own_nominal_seconds": 5.0, "peak_memory_mb": 7}
        stage["steps"] = {name: keys.digest(parts)}
        manifest.write(run.paths.stage_manifest(run.name, number), stage)
    path = place / "manifest.json"
    content = manifest.read(path)
    assert content["nominal_seconds"] == pytest.approx(2 * content["seconds"], abs=0.002)
    manifest.write(path, content | {"nominal_seconds": 20.0})  # both links lead here

    run.paths.reports(run.name).mkdir(parents=True)
    report.write_timings(run)
    table = pd.read_csv(run.paths.reports(run.name) / "timings.csv", dtype={"stage": str})
    assert list(table["stage"]) == ["01", "01", "02", "02", "all"]
    assert list(table["nominal_seconds"]) == [25.0, 20.0, 5.0, 20.0, 30.0]
    assert list(table["seconds"].iloc[[0, 2, 4]]) == [3.0, 3.0, 6.0]
    assert report.nominal_sentence(table) == "nominal seconds, with all reused steps: 30.0"

    manifest.write(path, content | {"nominal_seconds": None})  # no yardstick was read
    table = report.timings(run)
    assert table["nominal_seconds"].isna().tolist() == [True, True, False, True, True]
    assert "unknown, because 01, 01/cohort, 02/model (3 in all)" in report.nominal_sentence(table)


def test_a_run_says_how_many_recordings_it_rejected(tmp_path):
    assert report.quarantined(tmp_path) == "", "notebook 01 was not run"
    (tmp_path / "predictions").mkdir()
    pd.DataFrame({"ecg": range(5)}).to_parquet(tmp_path / "predictions" / "01_split.parquet")
    for counts, expected in (
        ([], ""),
        ([1, 0], "5 ECGs are kept, 1 went to the quarantine, most often: flat (1); see page 01"),
        ([3, 101], "warning: 5 ECGs are kept, 104 went to the quarantine, most often: short (101)"),
    ):
        reasons = pd.DataFrame({"reason": ["flat", "short"][: len(counts)], "recordings": counts})
        reasons.to_parquet(tmp_path / "predictions" / "01_quarantine.parquet")
        assert report.quarantined(tmp_path).startswith(expected)
