"""Run one function over many chunks, or over all signals of a cohort, on cores or a Dask cluster.

Results come in the order of the chunks. The function depends on its chunk alone, so they are the
same for any number of workers on either of the two.
"""

import gc
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from concurrent.futures.process import BrokenProcessPool
from functools import lru_cache, partial
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from joblib import Parallel, delayed

from ecglib.cohorts.store import Cohort

if TYPE_CHECKING:
    from distributed import Client

    from ecglib.training.device import Machine

C = TypeVar("C")
R = TypeVar("R")

DASK = "ECGLIB_DASK"  # address of a scheduler: how work is done, so no part of any settings
CONNECT_SECONDS = 10
WORKER_SECONDS = 60  # a queue may start workers later than the scheduler
AHEAD = 4  # chunks per thread of a cluster that are handed out at once
READ = 256  # ECGs that a worker reads at a time


def run_chunks(function: Callable[[C], R], chunks: Sequence[C], workers: int) -> Iterator[R]:
    """Call ``function`` on every chunk; yields the results in order.

    The environment variable ``ECGLIB_DASK`` may hold the address of a running scheduler, such as
    ``tcp://127.0.0.1:8786``. Its workers need the same packages, and the same folders under the
    same names. They execute whatever the scheduler receives: use one on a trusted network only.

    Args:
        function: a module-level function (or ``functools.partial`` of one) of one chunk.
        chunks: its arguments, plain data.
        workers: processes on this machine; not used where a scheduler is named.

    Raises:
        ValueError: no scheduler answers at the address, or it has no workers.
        RuntimeError: a worker process died, or the scheduler went away. Chunks that were finished
            stay finished. An error of ``function`` itself is raised as it is.
    """
    address, client, done = os.environ.get(DASK), None, 0
    where, died = "", BrokenProcessPool
    if address:
        from distributed import KilledWorker  # here: it takes a second, and few runs need it

        client, where, died = _connect(address), f" of the scheduler at {address}", KilledWorker
        results = _submit(client, function, chunks)
    else:
        parallel = Parallel(n_jobs=max(1, min(workers, len(chunks))), return_as="generator")
        results = parallel(delayed(function)(chunk) for chunk in chunks)
    try:
        for result in results:
            done += 1
            yield result
    except died as error:
        raise RuntimeError(
            f"a worker process{where} died after {done} of {len(chunks)} chunks, probably for want "
            "of memory; finished chunks are kept, so run again with fewer workers or more memory"
        ) from error
    except CancelledError as error:  # nothing here cancels: the connection was lost
        raise RuntimeError(
            f"the Dask scheduler at {address} went away after {done} of {len(chunks)} chunks; "
            "finished chunks are kept, so start it and run again"
        ) from error
    finally:
        if client is not None:
            client.close()


def map_signals(
    folder: Path, rows: np.ndarray, function: Callable[[np.ndarray], R], machine: "Machine"
) -> Iterator[R]:
    """Call ``function`` on the signals of some records; yields the results in their order.

    Args:
        rows: (n,) record numbers.
        function: as for `run_chunks`, of one signal, float32 (12, n_valid) in mV at 250 Hz, its
            padding cut off.
        machine: `run_chunks` uses its ``threads`` workers.
    """
    chunks = [rows[start : start + READ].tolist() for start in range(0, len(rows), READ)]
    work = partial(_map_chunk, Path(folder).resolve(), function)
    return chain.from_iterable(run_chunks(work, chunks, machine.threads))


_open = lru_cache(maxsize=1)(Cohort.open)  # once by each worker


def _map_chunk(folder: Path, function: Callable[[np.ndarray], R], rows: list[int]) -> list[R]:
    cohort = _open(folder)
    n_valid = cohort.records["n_valid"].to_numpy()[rows]
    signals = cohort.signals(rows)
    return [function(x[:, :n]) for x, n in zip(signals, n_valid, strict=True)]


def _submit(client: "Client", function: Callable[[C], R], chunks: Sequence[C]) -> Iterator[R]:
    """Results from a cluster, in order; joblib's Dask backend hangs where a chunk kills workers."""
    ahead = AHEAD * sum(client.nthreads().values())
    waiting, running = iter(chunks), deque()
    for _ in range(len(chunks)):
        for chunk in islice(waiting, ahead - len(running)):
            running.append(client.submit(function, chunk, pure=False))
        yield running.popleft().result()


def _connect(address: str) -> "Client":
    """A client of a scheduler that has at least one worker."""
    from distributed import Client

    client, reason = None, ""
    try:
        client = Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
        client.wait_for_workers(1, timeout=WORKER_SECONDS)
    except (OSError, ValueError, TypeError) as error:  # TimeoutError is an OSError
        reason = str(error) or type(error).__name__
    if not reason:
        return client
    if client is not None:
        client.close()
        text = f"the Dask scheduler at {address} has no workers after {WORKER_SECONDS} s"
        raise ValueError(f"{text}; start some with `dask worker {address}`")
    # The half-made client closes itself when it is collected. That takes a lock of Dask's, which a
    # later start of a client or cluster holds: collected during such a start, it would block for
    # ever. It is collected now; the error that kept it alive is gone here.
    gc.collect()
    raise ValueError(
        f"no Dask scheduler answers at {address} ({reason}); start one with `dask scheduler` and "
        "`dask worker`, or leave --dask out"
    )
