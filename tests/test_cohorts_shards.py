"""Shards and their proofs: whole or absent after a kill, and a rerun makes only what is missing."""

import hashlib
import json
import multiprocessing
import os
import signal
import sys
import time
from multiprocessing.synchronize import Event
from pathlib import Path

import numpy as np
import pytest

from ecglib.cohorts import capacity, shards
from ecglib.cohorts.store import microvolts

CHUNKS, ECGS = 4, 3
# The children of a process without threads are safe to fork, and need no import of their own.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["pytest", "ecglib.cohorts.shards"])


def chunk(number: int, ecgs: int = ECGS) -> tuple[list[dict], list[dict], list[np.ndarray]]:
    """Records, rejected files and signals of chunk `number`; chunk 1 keeps nothing."""
    rng = np.random.default_rng([number, 3])
    rejected = [{"file": f"bad{number}", "reason": "flat lead", "value": "V1: 0.0000 mV"}]
    if number == 1:
        return [], rejected, []
    signals = [rng.normal(0, 0.4, (12, 2500)).astype(np.float32) for _ in range(ecgs)]
    kept = [
        {
            "ecg_id": f"e{number}-{place}",
            "age": 50.5 if place else float("nan"),
            "report": "Vorhofflimmern, möglich",
            "labels": rng.integers(-1, 4, 77).astype(np.int8),
            "quality": np.float32(0.25),
            "verified": np.bool_(place == 1),
        }
        for place in range(ecgs)
    ]
    return kept, rejected, signals


def build(folder: Path, ecgs: int = ECGS) -> list[int]:
    """A cohort of CHUNKS chunks as the builder makes it; returns the chunks that it had to make."""
    scratch, found, made = folder / "checkpoint", [], []
    shards.prepare_scratch(scratch, CHUNKS)
    for number in range(CHUNKS):
        task = shards.task({"ecgs": ecgs}, number)
        done = shards.finished(scratch, number, task)
        if done is None:
            done = shards.write_chunk(scratch, number, task, *chunk(number, ecgs))
            made.append(number)
        found.append(done)
    entries = shards.link_shards(scratch, folder, [done.shard for done in found])
    shards.write_whole(folder / "cohort.json", json.dumps(entries).encode())
    return made


def lines_until(limit: int) -> list[int]:
    """Count the lines of shards.py that this process runs, and kill it with SIGKILL at `limit`."""
    count = [0]

    def trace(frame, event, argument):
        if frame.f_code.co_filename != shards.__file__:
            return None
        if event == "line":
            count[0] += 1
            if count[0] == limit:
                os.kill(os.getpid(), signal.SIGKILL)
        return trace

    sys.settrace(trace)
    return count


def build_until(folder: Path, limit: int) -> None:
    lines_until(limit)
    build(folder)


def build_big(folder: Path, ready: Event) -> None:
    ready.set()
    build(folder, 60)


def contents(folder: Path) -> dict[str, str]:
    """sha256 of every visible file of a cohort, the scratch folder and open parts left out."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.iterdir()
        if path.is_file() and path.suffix != shards.PART
    }


def assert_whole(folder: Path, ecgs: int = ECGS) -> None:
    """Whatever is visible is whole: proofs, the shards that they prove, and the final manifest."""
    scratch = folder / "checkpoint"
    for path in [*folder.glob("signals_*.npy"), *scratch.glob("signals_*.npy")]:
        assert np.load(path, mmap_mode="r").shape == (ecgs, 12, 2500)
    for path in scratch.glob("*.json"):
        assert json.loads(path.read_text())["rejected"]
    if (folder / "cohort.json").is_file():
        for entry in json.loads((folder / "cohort.json").read_text()):
            assert contents(folder)[entry["file"]] == entry["sha256"]


def test_a_kill_at_any_line_leaves_nothing_half_and_a_rerun_gives_the_same(tmp_path):
    counted = lines_until(-1)
    build(tmp_path / "reference")
    sys.settrace(None)
    reference = contents(tmp_path / "reference")
    assert sorted(reference) == ["cohort.json", *(f"signals_0000{n}.npy" for n in range(3))]
    for limit in np.random.default_rng(0).integers(1, counted[0], 12):
        folder = tmp_path / str(limit)
        process = PROCESSES.Process(target=build_until, args=(folder, int(limit)))
        process.start()
        process.join()
        assert process.exitcode == -signal.SIGKILL
        assert_whole(folder)
        build(folder)
        assert contents(folder) == reference, limit
        assert not list(folder.rglob(f"*{shards.PART}"))


def test_kills_at_random_times_leave_nothing_half(tmp_path):
    build(tmp_path / "reference", 60)
    rng = np.random.default_rng(1)
    for _ in range(6):
        ready = PROCESSES.Event()
        process = PROCESSES.Process(target=build_big, args=(tmp_path / "killed", ready))
        process.start()
        ready.wait()
        time.sleep(rng.uniform(0, 0.1))
        process.kill()
        process.join()
        if (tmp_path / "killed").exists():
            assert_whole(tmp_path / "killed", 60)
    build(tmp_path / "killed", 60)
    assert contents(tmp_path / "killed") == contents(tmp_path / "reference")


def test_a_rerun_makes_only_what_is_missing_or_was_asked_otherwise(tmp_path):
    scratch = tmp_path / "checkpoint"
    scratch.mkdir()
    tasks = [shards.task({"ecgs": ECGS}, number) for number in range(CHUNKS)]
    for number in (0, 1, 3):
        shards.write_chunk(scratch, number, tasks[number], *chunk(number))
    (scratch / f"signals_00002.npy.abc{shards.PART}").write_bytes(b"half")
    (scratch / "signals_00009.npy").write_bytes(b"of a longer cohort")
    proof = (scratch / "signals_00003.npy").read_bytes()
    (scratch / "signals_00003.npy").write_bytes(proof[:-2] + b"xx")
    assert build(tmp_path) == [2, 3]  # 2 was never made, 3 was damaged
    names = [
        *(f"signals_0000{n}.json" for n in range(4)),
        *(f"signals_0000{n}.npy" for n in (0, 2, 3)),
    ]
    assert sorted(path.name for path in scratch.iterdir()) == sorted(names)
    assert build(tmp_path) == []  # nothing is lost by a kill after the shards are shown
    (tmp_path / "other").mkdir()
    (scratch / "signals_00000.npy").unlink()
    assert shards.finished(scratch, 0, tasks[0]) is None
    assert shards.finished(scratch, 1, tasks[1]) is not None  # kept nothing, so needs no shard
    assert shards.finished(scratch, 1, shards.task({"ecgs": ECGS + 1}, 1)) is None
    assert shards.finished(tmp_path / "other", 1, tasks[1]) is None


def test_a_chunk_comes_back_as_it_was_given(tmp_path):
    kept, rejected, signals = chunk(0)
    task = shards.task("a")
    first = shards.write_chunk(tmp_path, 0, task, kept, rejected, signals)
    again = shards.finished(tmp_path, 0, task)
    assert first.shard == again.shard
    assert first.shard["records"] == ECGS
    for found in (first, again):
        assert found.rejected == rejected
        for back, given in zip(found.kept, kept, strict=True):
            assert back.keys() == given.keys()
            np.testing.assert_array_equal(back["labels"], given["labels"])
            assert back["labels"].dtype == np.int8
            assert back["report"] == given["report"]
            assert back["quality"] == 0.25
            assert back["verified"] is bool(given["verified"])
        assert np.isnan(found.kept[0]["age"]) and found.kept[1]["age"] == 50.5
    stored = np.load(tmp_path / first.shard["file"])
    np.testing.assert_array_equal(stored, microvolts(np.stack(signals)))
    digest = hashlib.sha256((tmp_path / first.shard["file"]).read_bytes()).hexdigest()
    assert digest == first.shard["sha256"]


def test_a_new_cohort_ends_the_old_one_before_its_shards_move(tmp_path):
    (tmp_path / "cohort.json").write_text("the old one")
    (tmp_path / "signals_00007.npy").write_bytes(b"old")
    (tmp_path / "checkpoint").mkdir()
    entry = shards.write_shard(tmp_path / "checkpoint", 5, chunk(0)[2])
    with pytest.raises(FileNotFoundError, match=r"signals_00006\.npy is missing; all workers"):
        lost = entry | {"file": "signals_00006.npy"}
        shards.link_shards(tmp_path / "checkpoint", tmp_path, [None, entry, lost])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint", "signals_00000.npy"]


def test_a_disk_without_links_gets_copies(tmp_path, monkeypatch):
    def refuse(self, target):
        raise PermissionError("no hard links here")

    (tmp_path / "checkpoint").mkdir()
    entry = shards.write_shard(tmp_path / "checkpoint", 0, chunk(0)[2])
    monkeypatch.setattr(Path, "hardlink_to", refuse)
    assert shards.link_shards(tmp_path / "checkpoint", tmp_path, [entry]) == [entry]
    assert contents(tmp_path)["signals_00000.npy"] == entry["sha256"]


def test_a_failed_write_leaves_the_old_file_and_no_part(tmp_path):
    shards.write_whole(tmp_path / "table", b"old")
    with pytest.raises(TypeError):
        shards.write_whole(tmp_path / "table", "not bytes")
    assert [path.name for path in tmp_path.iterdir()] == ["table"]
    assert (tmp_path / "table").read_bytes() == b"old"


def test_impossible_chunks_are_refused(tmp_path):
    kept, rejected, signals = chunk(0)
    with pytest.raises(ValueError, match=r"ECGs must be \(12, 2500\), not \(12, 100\)"):
        shards.write_shard(tmp_path, 0, [signals[0][:, :100]])
    with pytest.raises(ValueError, match="not none"):
        shards.write_shard(tmp_path, 0, [])
    with pytest.raises(ValueError, match="chunk 0: 3 records but 2 signals"):
        shards.write_chunk(tmp_path, 0, "t", kept, rejected, signals[:2])
    with pytest.raises(TypeError, match="a set cannot be kept in the proof"):
        shards.write_chunk(tmp_path, 0, "t", [kept[0] | {"codes": {1}}], [], signals[:1])
    assert not list(tmp_path.glob("*.json"))


def test_a_million_ecgs_on_paper():
    """By hand: 1,000,000 / 256 = 3906.25, so 3907 shards; 1,000,000 * 12 * 2500 * 2 bytes and a
    header of 128 bytes a shard; at 20 ECGs a second 50,000 s = 13.89 h on one core."""
    plan = capacity.plan(1_000_000, 20.0, workers=16, table_bytes_per_ecg=500.0)
    value = {(row.quantity, row.unit): row.value for row in plan.itertuples()}
    assert value["shards", "files"] == 3907
    assert value["files in all", "files"] == 3910
    assert value["signals", "bytes"] == 60_000_000_000 + 3907 * 128
    assert value["table", "GB"] == 0.5
    assert round(value["building on 1 core", "hours"], 2) == 13.89
    assert round(value["building on 16 cores", "hours"], 3) == 0.868
    assert value["one chunk, the most that a kill costs a core", "seconds"] == 12.8
    with pytest.raises(ValueError, match="ecgs_per_second is 0"):
        capacity.plan(10, 0.0, 1, 500.0)


def test_the_plan_counts_the_bytes_of_a_real_shard(tmp_path):
    entry = shards.write_shard(tmp_path, 0, chunk(0)[2])
    size = (tmp_path / entry["file"]).stat().st_size
    plan = capacity.plan(ECGS, 1.0, 1, 1.0).set_index(["quantity", "unit"])["value"]
    assert plan["signals", "bytes"] == size
    with pytest.raises(FileNotFoundError, match=r"records\.parquet is missing"):
        capacity.table_bytes(tmp_path)
