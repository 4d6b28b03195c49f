"""Batches for a training: shuffled ECGs in millivolts with label states and masks.

Every epoch visits every row once, in an order drawn from the seed and the number of the epoch
alone. Rows are drawn one by one over all shards: an ECG is 60 kB in one piece, so picking single
ECGs out of memory-mapped shards costs little, and neighbours in a shard (often one patient) do not
end up in one batch. A thread reads the next batches while the model works on this one, so a
training holds a few batches in memory, however large its cohort is.
"""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from ecglib.cohorts.store import Cohort
from ecglib.signals.leads import SAMPLES

AHEAD = 2  # batches read before they are asked for


class Batch(NamedTuple):
    """One batch of B ECGs.

    Attributes:
        rows: int64 (B,), row numbers of the cohort.
        signals: float32 (B, 12, 2500) in mV at 250 Hz, zero where the mask is False.
        labels: int8 (B, 77), the states of ``ecglib.labels.label_set`` (-1 cannot be told).
        mask: bool (B, 2500), True where the recording has samples.
    """

    rows: np.ndarray
    signals: np.ndarray
    labels: np.ndarray
    mask: np.ndarray


class Loader:
    """Shuffled batches of some rows of a cohort, epoch by epoch."""

    def __init__(self, cohort: Cohort, rows: np.ndarray, batch: int, seed: int):
        """Keep labels and lengths in memory; signals stay on the disk.

        Args:
            cohort: an open cohort.
            rows: row numbers, such as ``cohort.rows("train")``.
            batch: ECGs a batch; the last batch of an epoch holds what is left.
            seed: draws the order.

        Raises:
            ValueError: no rows, rows outside the cohort, or a batch below 1.
        """
        self.rows = np.asarray(rows, dtype=np.int64)
        if not len(self.rows):
            raise ValueError(f"no rows of {cohort.folder} to load; is this role empty?")
        if self.rows.min() < 0 or self.rows.max() >= len(cohort):
            raise ValueError(f"row numbers must lie in 0 to {len(cohort) - 1}")
        if batch < 1:
            raise ValueError(f"batch is {batch}; it must be at least 1")
        self.cohort, self.batch, self.seed = cohort, batch, seed
        self._labels = cohort.labels
        self._n_valid = cohort.records["n_valid"].to_numpy()
        self._order: tuple[int, list[np.ndarray]] | None = None  # of the epoch asked for last
        self._ahead: dict[int, Future] = {}  # batches being read, by step
        self._reader = ThreadPoolExecutor(max_workers=1)

    def __len__(self) -> int:
        """Batches in an epoch."""
        return -(-len(self.rows) // self.batch)

    def order(self, number: int) -> list[np.ndarray]:
        """The row numbers of each batch of one epoch, without reading an ECG."""
        shuffled = np.random.default_rng([self.seed, number]).permutation(self.rows)
        return np.split(shuffled, range(self.batch, len(shuffled), self.batch))

    def rows_at(self, step: int) -> np.ndarray:
        """The row numbers of a training step; steps count on from epoch to epoch."""
        number, place = divmod(step, len(self))
        if self._order is None or self._order[0] != number:
            self._order = number, self.order(number)
        return self._order[1][place]

    def at(self, step: int) -> Batch:
        """The batch of a training step, and a start on those of the steps after it.

        It depends on the seed and the step alone, so a training may begin anywhere.
        """
        wanted = range(step, step + 1 + AHEAD)
        self._ahead = {
            one: self._ahead.get(one) or self._reader.submit(self.read, self.rows_at(one))
            for one in wanted
        }
        return self._ahead[step].result()

    def epoch(self, number: int, first: int = 0) -> Iterator[Batch]:
        """Read one epoch.

        Args:
            number: of the epoch, from 0.
            first: batch to begin with, for a training that goes on from a checkpoint.

        Yields:
            Batches; their arrays are new each time, so they may be kept or changed.
        """
        with ThreadPoolExecutor(max_workers=1) as reader:
            todo, reading = iter(self.order(number)[first:]), deque()
            while True:
                while len(reading) < AHEAD and (rows := next(todo, None)) is not None:
                    reading.append(reader.submit(self.read, rows))
                if not reading:
                    return
                yield reading.popleft().result()

    def read(self, rows: np.ndarray) -> Batch:
        """Read the ECGs of these rows of the cohort as one batch, in this order."""
        mask = np.arange(SAMPLES) < self._n_valid[rows, None]
        return Batch(rows, self.cohort.signals(rows), self._labels[rows], mask)
