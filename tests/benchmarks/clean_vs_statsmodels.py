"""The LOESS step of the cleaning against statsmodels, and the speed of the whole cleaning.

    bash run_all.sh bench clean_vs_statsmodels

Both sides smooth the same twelve magnitude spectra (10 s at 250 Hz: 1251 bins, a window of 95):
statsmodels' `lowess` with it=0 and delta=0 a lead at a time, ours all leads at once. Times are
processor time of this process, which runs on one core; so other work on the machine does not count.
"""

import time
from collections.abc import Callable
from functools import partial

import numpy as np
from _common import write
from statsmodels.nonparametric.smoothers_lowess import lowess

from ecglib.signals import loess, mains
from ecglib.signals.clean import clean
from ecglib.signals.leads import RATE, SAMPLES
from ecglib.signals.resample import to_rate
from ecglib.simulator import patients

RECORDS = 40
ALL = 800_000
SPAN = 2 * int(mains.SPAN / 2 * SAMPLES / RATE) + 1


def best(work: Callable[[], object], repeats: int) -> float:
    """Least processor time of some runs, s."""
    times = []
    for _ in range(repeats):
        begun = time.process_time()
        work()
        times.append(time.process_time() - begun)
    return min(times)


def lead_by_lead(magnitude: np.ndarray, hertz: np.ndarray) -> np.ndarray:
    """The reference: (12, bins) smoothed one spectrum after the other."""
    options = {"frac": SPAN / len(hertz), "it": 0, "delta": 0.0, "return_sorted": False}
    options |= {"is_sorted": True, "missing": "none"}  # spares it work that is not LOESS
    return np.stack([lowess(lead, hertz, **options) for lead in magnitude])


def main() -> None:
    """Measure, print and write reports/benchmarks/clean_vs_statsmodels.json."""
    records = [r for r in patients.patients(2 * RECORDS, seed=3, sites=("A",))][:RECORDS]
    signals = [record["signal"] for record in records]
    magnitude = np.abs(np.fft.rfft(to_rate(signals[0], 500), axis=-1).astype(np.complex128))
    hertz = mains.frequencies(SAMPLES)
    ours = best(lambda: loess.smooth(magnitude, SPAN), 50)
    theirs = best(lambda: lead_by_lead(magnitude, hertz), 3)
    gap = np.abs(loess.smooth(magnitude, SPAN) - lead_by_lead(magnitude, hertz))
    full = gap[:, SPAN // 2 : -(SPAN // 2)].max()
    seconds = float(np.mean([best(partial(clean, signal, 500.0), 7) for signal in signals]))
    result = {
        "value": ours,
        "unit": "processor seconds for the twelve spectra of a record",
        "reference": {
            "what": "statsmodels lowess(it=0, delta=0), a lead at a time",
            "value": theirs,
        },
        "ratio": theirs / ours,
        "largest_difference": float(full),
        "largest_difference_at_the_ends": float(gap.max()),
        "largest_value": float(magnitude.max()),
        "shape": list(magnitude.shape),
        "window": SPAN,
        "pipeline_records_per_second": 1 / seconds,
        "pipeline_input": list(signals[0].shape),
        "pipeline_records_with_mains": sum(bool(clean(s, 500.0).lines) for s in signals),
        "pipeline_records": RECORDS,
        "hours_800000_records": ALL * seconds / 3600,
    }
    write("clean_vs_statsmodels", result, ("numpy", "scipy", "statsmodels"))


if __name__ == "__main__":
    main()
