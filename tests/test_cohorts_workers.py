"""Chunks on cores and on a Dask cluster: the same bytes, and one sentence for a fault."""

import gc
import os
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import dask
import pytest
from builds import build_cohort
from distributed import Client, LocalCluster

from ecglib.cohorts import build, workers
from ecglib.cohorts.workers import DASK, run_chunks


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    """Two worker processes; a chunk may kill one worker, and is given up with the second."""
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 1}),
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as running,
    ):
        yield running


@pytest.fixture
def on_cluster(cluster, monkeypatch):
    monkeypatch.setenv(DASK, cluster.scheduler_address)


def square(value: int) -> int:
    if value < 0:
        raise ValueError(f"{value} lies below zero")
    return value * value


def die_at_three(marker: Path | None, value: int) -> int:
    """Kill the process at value 3; with a marker, only the first time."""
    if value == 3 and not (marker and marker.exists()):
        if marker:
            marker.touch()
        os._exit(1)
    return value


def test_a_cluster_builds_the_same_bytes_as_one_process(tmp_path, monkeypatch, request):
    def built(name: str, threads: int) -> dict[str, bytes]:
        """The files of a small simulated cohort, by name."""
        build_cohort(tmp_path / name, threads=threads, source="synthetic", patients=14)
        return {path.name: path.read_bytes() for path in (tmp_path / name).glob("*.*")}

    monkeypatch.setattr(build, "SHARD", 4)  # 14 patients: chunks of 4, 4, 4 and 2
    one, two = built("one", 1), built("two", 2)
    request.getfixturevalue("on_cluster")
    tables = {"records.parquet", "quarantine.csv", "cohort.json"}
    assert one.keys() == tables | {f"signals_0000{number}.npy" for number in range(4)}
    assert one == two == built("dask", 1)


@pytest.mark.parametrize("place", ["cores", "cluster"])
def test_results_come_in_order_and_errors_as_they_are(place, request):
    if place == "cluster":
        request.getfixturevalue("on_cluster")
    assert list(run_chunks(square, range(40), 2)) == [value * value for value in range(40)]
    assert list(run_chunks(square, [], 2)) == []
    with pytest.raises(ValueError, match="-1 lies below zero"):
        list(run_chunks(square, [1, 2, -1, 4], 2))
    with pytest.raises(RuntimeError, match=r"a worker process.* died after \d of 6 chunks"):
        list(run_chunks(partial(die_at_three, None), range(6), 2))


def test_a_cluster_survives_one_dead_worker(tmp_path, on_cluster):
    work = partial(die_at_three, tmp_path / "died")
    assert list(run_chunks(work, range(6), 1)) == list(range(6))
    assert (tmp_path / "died").exists()


def test_an_address_without_scheduler_is_one_sentence_and_leaves_no_client(monkeypatch):
    """A client collected later, within the start of another client, would wait for ever."""

    def clients() -> set[int]:
        return {id(thing) for thing in gc.get_objects() if isinstance(thing, Client)}

    monkeypatch.setattr(workers, "CONNECT_SECONDS", 0.5)
    gc.disable()
    try:
        before = clients()
        for address in ("tcp://127.0.0.1:1", "nonsense"):
            monkeypatch.setenv(DASK, address)
            with pytest.raises(ValueError, match=f"no Dask scheduler answers at {address}"):
                list(run_chunks(square, [1], 1))
        assert clients() <= before
    finally:
        gc.enable()


def test_a_scheduler_without_workers_or_that_goes_away_is_one_sentence(monkeypatch):
    with LocalCluster(n_workers=1, processes=False, dashboard_address=":0") as leaving:
        monkeypatch.setenv(DASK, leaving.scheduler_address)
        results = run_chunks(time.sleep, [0.2] * 9, 1)
        next(results)
        leaving.close()
        with pytest.raises(RuntimeError, match="went away after 1 of 9 chunks"):
            list(results)
    monkeypatch.setattr(workers, "WORKER_SECONDS", 0.3)
    with LocalCluster(n_workers=0, dashboard_address=":0") as empty:
        monkeypatch.setenv(DASK, empty.scheduler_address)
        with pytest.raises(ValueError, match=r"has no workers after 0\.3 s"):
            list(run_chunks(square, [1], 1))
