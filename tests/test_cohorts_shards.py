"""Chunks of a build: whole or absent after a kill, and a rerun makes only the missing ones."""

import hashlib
import json
import multiprocessing
import os
import signal
import sys
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
from builds import raises, refused

from ecglib.cohorts import shards
from ecglib.cohorts.store import microvolts

CHUNKS, ECGS = 4, 3
# The children of a process without threads are safe to fork, and need no import of their own.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["pytest", "ecglib.cohorts.shards"])


def chunk(number: int) -> tuple[list[dict], list[dict], list[np.ndarray]]:
    """Records, rejected files and signals of chunk `number`; chunk 1 keeps nothing."""
    rng = np.random.default_rng([number, 3])
    rejected = [{"file": f"bad{number}", "reason": "flat lead", "value": "V1: 0.0000 mV"}]
    if number == 1:
        return [], rejected, []
    signals = list(rng.normal(0, 0.4, (ECGS, 12, 2500)).astype(np.float32))
    plain = {"report": "Vorhofflimmern, möglich", "age": float("nan")}
    numpy = {"labels": rng.integers(-1, 4, 77).astype(np.int8), "quality": np.float32(0.25)}
    record = plain | numpy | {"verified": np.bool_(True)}
    kept = [{"ecg_id": f"e{number}-{place}"} | record for place in range(ECGS)]
    return kept, rejected, signals


def build(folder: Path) -> list[int]:
    """Make CHUNKS chunks as the builder does; returns the numbers of those that were missing."""
    scratch, chunks, missing = folder / "checkpoint", [], []
    scratch.mkdir(parents=True, exist_ok=True)
    for number in range(CHUNKS):
        task = shards.task_key({"ecgs": ECGS}, number)
        done = shards.read_chunk(scratch, number, task)
        if done is None:
            done = shards.write_chunk(scratch, number, task, *chunk(number))
            missing.append(number)
        chunks.append(done)
    shards.link_shards(scratch, folder, [done["shard"] for done in chunks])
    return missing


def build_until(folder: Path, limit: int) -> int:
    """Build, with a SIGKILL when shards.py runs its line number `limit`; returns the lines run."""
    count = 0

    def trace(frame, event, argument):
        nonlocal count
        if frame.f_code.co_filename != shards.__file__:
            return None
        count += event == "line"
        if count == limit:
            os.kill(os.getpid(), signal.SIGKILL)
        return trace

    sys.settrace(trace)
    build(folder)
    sys.settrace(None)
    return count


def contents(folder: Path) -> dict[str, bytes]:
    """The files of a cohort, the checkpoint folder left out."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_a_kill_at_any_line_leaves_nothing_half_and_a_rerun_gives_the_same(tmp_path):
    lines = build_until(tmp_path / "reference", -1)
    reference = contents(tmp_path / "reference")
    assert sorted(reference) == [f"signals_0000{n}.npy" for n in range(3)]
    for limit in np.random.default_rng(0).integers(1, lines, 12):
        folder = tmp_path / str(limit)
        process = PROCESSES.Process(target=build_until, args=(folder, int(limit)))
        process.start()
        process.join()
        assert process.exitcode == -signal.SIGKILL
        for path in folder.rglob("signals_*.npy"):
            assert np.load(path, mmap_mode="r").shape == (ECGS, 12, 2500)
        for path in folder.rglob("*.json"):
            assert json.loads(path.read_text())["rejected"]
        build(folder)
        assert contents(folder) == reference, limit


def test_a_rerun_makes_only_chunks_that_are_missing_damaged_or_of_another_task(tmp_path):
    assert build(tmp_path) == [0, 1, 2, 3]
    assert build(tmp_path) == []  # nothing is lost by a kill after the shards are linked
    scratch = tmp_path / "checkpoint"
    (scratch / "signals_00002.json").unlink()
    damaged = (scratch / "signals_00003.npy").read_bytes()[:-2] + b"xx"
    (scratch / "signals_00003.npy").write_bytes(damaged)
    assert build(tmp_path) == [2, 3]
    (scratch / "signals_00000.npy").unlink()
    task = shards.task_key({"ecgs": ECGS}, 1)
    assert shards.read_chunk(scratch, 1, task) is not None  # kept nothing, so needs no shard
    assert shards.read_chunk(scratch, 1, shards.task_key({"ecgs": ECGS + 1}, 1)) is None
    assert build(tmp_path) == [0]


def test_a_chunk_is_read_as_it_was_written_and_impossible_ones_leave_no_file(tmp_path, monkeypatch):
    kept, rejected, signals = chunk(0)
    with pytest.raises(ValueError, match=r"expected ECGs of \(12, 2500\), got \(12, 100\)"):
        shards.write_shard(tmp_path, 0, [signals[0][:, :100]])
    refused("got none", shards.write_shard, tmp_path, 0, [])
    with pytest.raises(TypeError, match="a set cannot be stored with a chunk"):
        shards.write_chunk(tmp_path, 0, "t", [kept[0] | {"codes": {1}}], [], signals[:1])
    assert [path.name for path in tmp_path.iterdir()] == ["signals_00000.npy"]
    task = shards.task_key("a")
    written = shards.write_chunk(tmp_path, 0, task, kept, rejected, signals)
    np.testing.assert_equal(shards.read_chunk(tmp_path, 0, task), written)
    assert written["rejected"] == rejected and written["shard"]["records"] == ECGS
    for record, given in zip(written["kept"], kept, strict=True):
        np.testing.assert_equal(record, given | {"labels": given["labels"].tolist()})
        assert type(record["verified"]) is bool
    path = tmp_path / written["shard"]["file"]
    np.testing.assert_array_equal(np.load(path), microvolts(np.stack(signals)))
    assert hashlib.sha256(path.read_bytes()).hexdigest() == written["shard"]["sha256"]
    before = contents(tmp_path)
    monkeypatch.setattr(os, "fsync", Mock(side_effect=OSError("no space left")))
    raises(OSError, "no space", shards.write_shard, tmp_path, 0, signals[:1])
    assert contents(tmp_path) == before  # the old file stays, and no part of the new one


def test_shards_are_linked_without_gaps_or_copied(tmp_path, monkeypatch):
    scratch = tmp_path / "checkpoint"
    scratch.mkdir()
    entry = shards.write_shard(scratch, 5, chunk(0)[2])
    lost = entry | {"file": "signals_00006.npy"}
    with pytest.raises(FileNotFoundError, match=r"signals_00006\.npy is missing; all workers"):
        shards.link_shards(scratch, tmp_path, [None, entry, lost])
    linked = tmp_path / "signals_00000.npy"
    assert linked.samefile(scratch / "signals_00005.npy")
    monkeypatch.setattr(Path, "hardlink_to", Mock(side_effect=PermissionError("no hard links")))
    assert shards.link_shards(scratch, tmp_path, [entry]) == [entry | {"file": linked.name}]
    assert list(contents(tmp_path)) == [linked.name] and linked.stat().st_nlink == 1
