"""The training loader against torch's DataLoader with two worker processes, rows one at a time.

    bash run_all.sh bench loader_rate

Both give the same shuffled batches (float32 millivolts, label states, mask) of one cohort whose
shards are in the page cache: the reference is told the loader's order, and `differing_batches`
counts the batches of one epoch that are not equal. An epoch of each is timed in turn, three times;
the best counts.
"""

import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import torch
from _cohort import write_cohort
from _common import write
from torch.utils.data import DataLoader, Dataset

from ecglib.cohorts.loader import Loader
from ecglib.cohorts.store import Cohort

ECGS, BATCH, THREADS = 4096, 64, 2


def make(folder: Path) -> Cohort:
    """A cohort of noise: how fast a file is read does not depend on what it says."""
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 0.3, (12, 2500)).astype(np.float32)
    labels = rng.integers(-1, 2, (ECGS, 77)).astype(np.int8)
    records = (
        {
            "ecg_id": f"e{number:05d}",
            "patient_id": f"p{number:05d}",
            "n_valid": 2500 - number % 500,
            "labels": labels[number],
            "signal": noise * np.float32(1 + number / ECGS),  # no two alike
        }
        for number in range(ECGS)
    )
    return write_cohort(folder, records, seed=0)


class Rows(Dataset):
    """One ECG at a time, as a plain torch data set."""

    def __init__(self, cohort: Cohort):
        self.cohort, self.labels = cohort, cohort.labels.copy()
        self.n_valid = cohort.records["n_valid"].to_numpy()

    def __len__(self) -> int:
        return len(self.cohort)

    def __getitem__(self, row: int) -> tuple[int, np.ndarray, np.ndarray, np.ndarray]:
        mask = np.arange(2500) < self.n_valid[row]
        return row, self.cohort.signals([row])[0], self.labels[row], mask


def rate(epoch: Callable[[int], Iterable], number: int) -> float:
    """ECGs a second after the first batch of an epoch, its batches taken and dropped.

    The clock starts at the first batch, so that the start of the reference's processes is free.
    """
    batches = iter(epoch(number))
    first, ecgs, begun = len(next(batches)[0]), 0, time.perf_counter()
    for batch in batches:
        ecgs += len(batch[0])
    seconds = time.perf_counter() - begun
    if first + ecgs != ECGS:
        raise ValueError(f"an epoch gave {first + ecgs} of {ECGS} ECGs")
    return ecgs / seconds


def main() -> None:
    """Measure, print and write reports/benchmarks/loader_rate.json."""
    torch.set_num_threads(THREADS)
    with tempfile.TemporaryDirectory() as folder:
        cohort = make(Path(folder))
        loader = Loader(cohort, cohort.rows(), BATCH, seed=0)

        def reference(number: int) -> DataLoader:
            order = [rows.tolist() for rows in loader.order(number)]
            return DataLoader(Rows(cohort), batch_sampler=order, num_workers=THREADS)

        differing = sum(
            not all(np.array_equal(one, other.numpy()) for one, other in zip(*pair, strict=True))
            for pair in zip(loader.epoch(9), reference(9), strict=True)
        )  # this epoch also warms the page cache
        ours, theirs = [], []
        for number in range(3):  # in turn, so that a slow moment of the machine meets both
            ours.append(rate(loader.epoch, number))
            theirs.append(rate(reference, number))
    result = {
        "value": max(ours),
        "unit": "ECGs per second",
        "reference": {"what": "torch DataLoader, 2 workers, rows one at a time"},
        "ratio": max(ours) / max(theirs),
        "differing_batches": differing,
        "compared_batches": len(loader),
        "ecgs": ECGS,
        "batch": BATCH,
        "threads": THREADS,
        "slowest": min(ours),
        "target": 2000,
    }
    result["reference"]["value"] = max(theirs)
    write("loader_rate", result, ("numpy", "torch"))


if __name__ == "__main__":
    main()
