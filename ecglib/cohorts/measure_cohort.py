"""Measurements of all ECGs of a cohort: intervals, axes and amplitudes, one row per ECG."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from tqdm import tqdm

from ecglib.cohorts.store import Cohort
from ecglib.cohorts.workers import map_signals
from ecglib.signals.leads import RATE
from ecglib.signals.measure import MEASURES, measure

if TYPE_CHECKING:
    from ecglib.training.device import Machine


def measure_cohort(
    out: Path, inputs: dict[str, Path], config: dict, seed: int, machine: "Machine"
) -> None:
    """Step: write `measurements.parquet`, the columns of ``MEASURES`` for every ECG.

    The stored signal is measured, which is cleaned and has 250 Hz, without its padding. An interval
    that cannot be measured is NaN.

    Inputs: cohort.

    Config: none.
    """
    rows = Cohort.open(inputs["cohort"]).rows()
    measured = map_signals(inputs["cohort"], rows, partial(measure, rate=RATE), machine)
    progress = tqdm(measured, total=len(rows), desc="measurements", mininterval=2.0)
    frame = pd.DataFrame(list(progress), columns=list(MEASURES))
    frame.astype(np.float32).to_parquet(out / "measurements.parquet", index=False)
