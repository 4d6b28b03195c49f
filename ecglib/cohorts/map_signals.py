"""The same function of every signal of a cohort, its padding cut off, by all workers."""

import os
from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from ecglib.cohorts.store import Cohort
from ecglib.cohorts.workers import DASK, run_chunks

if TYPE_CHECKING:
    from ecglib.training.device import Machine

R = TypeVar("R")
CHUNK = 256  # ECGs that a worker reads at a time


def map_signals(
    folder: Path, rows: np.ndarray, function: Callable[[np.ndarray], R], machine: "Machine"
) -> Iterator[R]:
    """Call ``function`` on the signals of some rows; yields the results in their order.

    Args:
        folder: of a finished cohort.
        rows: (n,) places in its table.
        function: a module-level function (or ``functools.partial`` of one) of one signal, float32
            (12, n_valid) in mV at 250 Hz.
        machine: ``machine.threads`` workers, or those of the Dask cluster whose address the
            environment variable ``ECGLIB_DASK`` holds.
    """
    chunks = [rows[start : start + CHUNK] for start in range(0, len(rows), CHUNK)]
    work = partial(_chunk, str(Path(folder).resolve()), function)
    return chain.from_iterable(run_chunks(work, chunks, machine.threads, os.environ.get(DASK)))


@lru_cache(maxsize=1)
def _opened(folder: str) -> Cohort:
    """The cohort, opened once by each worker."""
    return Cohort.open(Path(folder))


def _chunk(folder: str, function: Callable[[np.ndarray], R], rows: np.ndarray) -> list[R]:
    cohort = _opened(folder)
    n_valid = cohort.records["n_valid"].to_numpy()[rows]
    signals = cohort.signals(rows)
    return [function(x[:, :n]) for x, n in zip(signals, n_valid, strict=True)]
