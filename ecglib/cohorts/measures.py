"""What the waveforms of a cohort measure: intervals, axes and amplitudes, one row an ECG."""

import os
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from tqdm import tqdm

from ecglib.cohorts.store import Cohort
from ecglib.cohorts.workers import DASK, run_chunks
from ecglib.signals.leads import RATE
from ecglib.signals.measure import MEASURES, as_row, measure

if TYPE_CHECKING:
    from ecglib.training.device import Machine

CHUNK = 256  # ECGs that a worker measures at a time


def measures(
    out: Path, inputs: dict[str, Path], config: dict, seed: int, machine: "Machine"
) -> None:
    """Step: `measures.parquet`, the columns of ``MEASURES`` for every ECG; inputs: `cohort`.

    Measured is the stored signal, so cleaned and at 250 Hz; its padding is left out. An interval
    that cannot be measured is NaN.
    """
    rows = Cohort.open(inputs["cohort"]).rows()
    chunks = [rows[start : start + CHUNK] for start in range(0, len(rows), CHUNK)]
    work = partial(_chunk, str(Path(inputs["cohort"]).resolve()))
    found = run_chunks(work, chunks, machine.threads, os.environ.get(DASK))
    parts = tqdm(found, total=len(chunks), desc="measures", mininterval=2.0)
    frame = pd.DataFrame([row for part in parts for row in part], columns=list(MEASURES))
    frame.astype(np.float32).to_parquet(out / "measures.parquet", index=False)


@lru_cache(maxsize=1)
def _opened(folder: str) -> Cohort:
    """The cohort, opened once by each worker."""
    return Cohort.open(Path(folder))


def _chunk(folder: str, rows: np.ndarray) -> list[dict]:
    cohort = _opened(folder)
    n_valid = cohort.records["n_valid"].to_numpy()[rows]
    signals = cohort.signals(rows)
    return [as_row(measure(x[:, :n], RATE)) for x, n in zip(signals, n_valid, strict=True)]
