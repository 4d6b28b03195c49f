"""What the waveforms of a cohort measure: intervals, axes and amplitudes, one row an ECG."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from tqdm import tqdm

from ecglib.cohorts.store import Cohort
from ecglib.cohorts.workers import map_signals
from ecglib.signals.leads import RATE
from ecglib.signals.measure import MEASURES, as_row, measure

if TYPE_CHECKING:
    from ecglib.training.device import Machine


def measure_cohort(
    out: Path, inputs: dict[str, Path], config: dict, seed: int, machine: "Machine"
) -> None:
    """Step: `measurements.parquet`, the columns of ``MEASURES`` for every ECG; inputs: `cohort`.

    Measured is the stored signal, so cleaned and at 250 Hz; its padding is left out. An interval
    that cannot be measured is NaN.
    """
    rows = Cohort.open(inputs["cohort"]).rows()
    found = map_signals(inputs["cohort"], rows, _row, machine)
    shown = tqdm(found, total=len(rows), desc="measurements", mininterval=2.0)
    frame = pd.DataFrame(list(shown), columns=list(MEASURES))
    frame.astype(np.float32).to_parquet(out / "measurements.parquet", index=False)


def _row(signal: np.ndarray) -> dict[str, float]:
    return as_row(measure(signal, RATE))
