"""Batches for a training: shuffled ECGs in millivolts with label states and masks.

Every epoch visits every record once, in an order drawn from the seed and the number of the epoch
alone. Records are drawn one by one over all shards: an ECG is one block of 60 kB, so reading single
ECGs from memory-mapped shards costs little, and neighbours in a shard (often one patient) do not
end up in one batch. A thread reads the next batches while the model works on the current one.
"""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from ecglib.cohorts.store import Cohort
from ecglib.signals.leads import SAMPLES

AHEAD = 2  # batches that are read in advance


class Batch(NamedTuple):
    """One batch of B ECGs.

    Attributes:
        rows: int64 (B,), record numbers of the cohort.
        signals: float32 (B, 12, 2500) in mV at 250 Hz, zero where the mask is False.
        labels: int8 (B, 77), the states of ``ecglib.labels.label_set`` (-1 not assessable).
        mask: bool (B, 2500), True where the recording has samples.
    """

    rows: np.ndarray
    signals: np.ndarray
    labels: np.ndarray
    mask: np.ndarray


class Loader:
    """Shuffled batches of some records of a cohort, epoch by epoch."""

    def __init__(self, cohort: Cohort, rows: np.ndarray, batch: int, seed: int):
        """Keep labels and lengths in memory; signals stay on the disk.

        Args:
            rows: record numbers, such as ``cohort.rows("train")``.
            batch: ECGs per batch; the last batch of an epoch holds the rest.
            seed: draws the order.

        Raises ValueError: no records, or a batch below 1.
        """
        self.rows = np.asarray(rows, dtype=np.int64)
        if not len(self.rows):
            raise ValueError(f"no records of {cohort.folder} to load; is this role empty?")
        if batch < 1:
            raise ValueError(f"expected a batch of at least 1 ECG, got {batch}")
        self.cohort, self.batch, self.seed = cohort, batch, seed
        self._labels = cohort.labels
        self._n_valid = cohort.records["n_valid"].to_numpy()
        self._order: tuple[int, list[np.ndarray]] | None = None  # of the latest epoch
        self._ahead: dict[int, Future] = {}  # batches being read, by step
        self._reader = ThreadPoolExecutor(max_workers=1)

    def __len__(self) -> int:
        """Number of batches per epoch."""
        return -(-len(self.rows) // self.batch)

    def order(self, number: int) -> list[np.ndarray]:
        """The record numbers of each batch of one epoch, without reading an ECG."""
        shuffled = np.random.default_rng([self.seed, number]).permutation(self.rows)
        return np.split(shuffled, range(self.batch, len(shuffled), self.batch))

    def _rows_at(self, step: int) -> np.ndarray:
        number, batch = divmod(step, len(self))
        if self._order is None or self._order[0] != number:
            self._order = number, self.order(number)
        return self._order[1][batch]

    def at(self, step: int) -> Batch:
        """Read the batch of a training step; step numbers continue from epoch to epoch.

        The batches of the next steps are read in the background. A batch depends on the seed and
        the step alone, so a training may begin anywhere. Its arrays are new each time, so they may
        be kept or changed.
        """
        self._ahead = {
            s: self._ahead.get(s) or self._reader.submit(self.read, self._rows_at(s))
            for s in range(step, step + 1 + AHEAD)
        }
        return self._ahead.pop(step).result()

    def epoch(self, number: int) -> Iterator[Batch]:
        """Read one epoch, numbered from 0."""
        for step in range(number * len(self), (number + 1) * len(self)):
            yield self.at(step)

    def read(self, rows: np.ndarray) -> Batch:
        """Read the ECGs of these records as one batch, in this order."""
        mask = np.arange(SAMPLES) < self._n_valid[rows, None]
        return Batch(rows, self.cohort.signals(rows), self._labels[rows], mask)
