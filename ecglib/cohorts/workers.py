"""The same function over many chunks, by the cores of this machine or by a Dask cluster.

Results come in the order of the chunks. As the function depends on its chunk alone, they are the
same for any number of workers, here or there.
"""

import gc
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from concurrent.futures.process import BrokenProcessPool
from typing import TYPE_CHECKING, TypeVar

from joblib import Parallel, delayed

if TYPE_CHECKING:
    from distributed import Client, Future

C = TypeVar("C")
R = TypeVar("R")

DASK = "ECGLIB_DASK"  # address of a scheduler: how work is done, so no part of any settings
CONNECT_SECONDS = 10
WORKER_SECONDS = 60  # a queue may start workers later than the scheduler
AHEAD = 4  # chunks a thread that are handed out at once: enough to keep it busy, no flood


def run_chunks(
    function: Callable[[C], R], chunks: Sequence[C], workers: int, dask: str | None = None
) -> Iterator[R]:
    """Call ``function`` on every chunk; yields the results in order.

    Args:
        function: a module-level function (or ``functools.partial`` of one) of one chunk.
        chunks: its arguments.
        workers: processes on this machine; not used where ``dask`` is given.
        dask: address of a running scheduler, such as ``tcp://127.0.0.1:8786``. Its workers need
            the same packages and the same folders under the same names. What a scheduler is sent,
            its workers execute: use one on a trusted network only.

    Raises:
        ValueError: no scheduler answers at the address, or it has no workers.
        RuntimeError: a worker process died, or the scheduler went away. Chunks that were finished
            stay finished. An error of ``function`` itself is raised as it is.
    """
    if dask is None:
        return _cores(function, chunks, max(1, min(workers, len(chunks))))
    return _cluster(function, chunks, dask)


def _cores(function: Callable[[C], R], chunks: Sequence[C], workers: int) -> Iterator[R]:
    done = 0
    try:
        for result in Parallel(n_jobs=workers, return_as="generator")(
            delayed(function)(chunk) for chunk in chunks
        ):
            done += 1
            yield result
    except BrokenProcessPool as error:
        raise RuntimeError(
            f"a worker process died after {done} of {len(chunks)} chunks, most often for want of "
            "memory; finished chunks are kept, so run again with fewer threads"
        ) from error


def _cluster(function: Callable[[C], R], chunks: Sequence[C], address: str) -> Iterator[R]:
    client = _connect(address)
    try:
        threads = sum(client.nthreads().values())
        todo, running = iter(enumerate(chunks)), deque()
        for done in range(len(chunks)):
            while len(running) < AHEAD * threads and (following := next(todo, None)):
                number, chunk = following
                running.append(client.submit(function, chunk, pure=False, priority=-number))
            yield _result(running.popleft(), address, done, len(chunks))
    finally:
        client.close()


def _connect(address: str) -> "Client":
    """A client of a scheduler that has at least one worker."""
    from distributed import Client  # here, since it takes a second and few runs need it

    client, reason = None, ""
    try:
        client = Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError, TypeError) as error:
        reason = str(error)
    if client is None:
        # The half-made client closes itself when it is collected, which takes a lock of Dask's that
        # a later start of a client or cluster holds: collected in the midst of one, it would stop
        # there for ever. So it goes now; the error that kept it alive is gone here.
        gc.collect()
        raise ValueError(
            f"no Dask scheduler answers at {address} ({reason}); start one with `dask scheduler` "
            "and `dask worker`, or leave --dask out"
        )
    try:
        client.wait_for_workers(1, timeout=WORKER_SECONDS)
    except TimeoutError:
        client.close()
        raise ValueError(
            f"the Dask scheduler at {address} has no workers after {WORKER_SECONDS} s; start some "
            f"with `dask worker {address}`"
        ) from None
    return client


def _result(future: "Future", address: str, done: int, total: int) -> object:
    from distributed import KilledWorker

    try:
        return future.result()
    except KilledWorker as error:
        raise RuntimeError(
            f"workers of the Dask scheduler at {address} died after {done} of {total} chunks, most "
            "often for want of memory; finished chunks are kept, so run again with more for each"
        ) from error
    except CancelledError as error:  # nothing here cancels: the connection was lost
        raise RuntimeError(
            f"the Dask scheduler at {address} went away after {done} of {total} chunks; finished "
            "chunks are kept, so start it and run again"
        ) from error
