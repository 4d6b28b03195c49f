"""Numbers of an ECG that know nothing of its waves: the input of two floors.

`summary_numbers` are 151 numbers: of each lead the distribution of its samples and of their slopes,
and seven numbers of the RR intervals. `beat_numbers` are the same and the usual beat of each lead,
sampled coarsely. A tokenizer that holds no more than these has lost the order of the waves in time.
`SUMMARY_NAMES` and `BEAT_NAMES` list them.
"""

import numpy as np

from ecglib.signals.heartbeats import median_beat, r_peaks
from ecglib.signals.leads import LEADS, RATE

PERCENTILES = (1, 5, 25, 50, 75, 95, 99)  # of the samples, mV around the mean of the lead
SLOPES = (1, 50, 99)  # percentiles of the steepness |dx/dt|, mV/s
LEAD_NUMBERS = (
    *(f"level_{p}" for p in PERCENTILES),
    "spread",  # standard deviation, mV
    "skewness",
    *(f"slope_{p}" for p in SLOPES),
)
RR_NUMBERS = ("beats", "rr_mean", "rr_sd", "rr_rmssd", "rr_shortest", "rr_median", "rr_longest")
SUMMARY_NAMES = (*(f"{name}_{lead}" for lead in LEADS for name in LEAD_NUMBERS), *RR_NUMBERS)
BEAT_STEP = 0.02  # s between the samples of the usual beat
_BEAT_SECONDS = (-0.36, 0.56)  # around the middle of the QRS
_TIMES = np.arange(*_BEAT_SECONDS, BEAT_STEP)
BEAT_NAMES = tuple(f"beat_{round(1000 * t)}_{lead}" for lead in LEADS for t in _TIMES)


def summary_numbers(signal: np.ndarray) -> np.ndarray:
    """(151,) the numbers of `SUMMARY_NAMES`; `signal` is (12, n) mV at 250 Hz, without padding."""
    return np.concatenate([_of_leads(signal), _of_rhythm(r_peaks(signal, RATE))])


def beat_numbers(signal: np.ndarray) -> np.ndarray:
    """(151 + 552,) `summary_numbers` and those of `BEAT_NAMES`, mV.

    The beat is the median of the beats of the usual shape, each 20 ms the mean of five samples.
    Zeros where no three beats have one shape.
    """
    peaks = r_peaks(signal, RATE)
    numbers = [_of_leads(signal), _of_rhythm(peaks)]
    usual = median_beat(signal, peaks, RATE) if len(peaks) else None
    if usual is None:
        return np.concatenate([*numbers, np.zeros(len(BEAT_NAMES))])
    first = usual.centre + round(_BEAT_SECONDS[0] * RATE)
    step = round(BEAT_STEP * RATE)
    wave = usual.wave[:, first : first + step * len(_TIMES)]
    return np.concatenate([*numbers, wave.reshape(len(LEADS), -1, step).mean(axis=2).ravel()])


def _of_leads(signal: np.ndarray) -> np.ndarray:
    """(144,) `LEAD_NUMBERS` of every lead."""
    around = np.asarray(signal, dtype=np.float64)
    around = around - around.mean(axis=1, keepdims=True)
    spread = around.std(axis=1)
    skewness = (around**3).mean(axis=1) / np.maximum(spread, 1e-6) ** 3
    steepness = np.abs(np.diff(around, axis=1)) * RATE
    levels = np.percentile(around, PERCENTILES, axis=1)
    slopes = np.percentile(steepness, SLOPES, axis=1)
    return np.concatenate([levels, spread[None], skewness[None], slopes]).T.ravel()


def _of_rhythm(peaks: np.ndarray) -> np.ndarray:
    """(7,) `RR_NUMBERS`, s; zeros where there are fewer than three beats."""
    rr = np.diff(peaks) / RATE
    if len(rr) < 2:
        return np.r_[float(len(peaks)), np.zeros(len(RR_NUMBERS) - 1)]
    rmssd = np.sqrt(np.mean(np.diff(rr) ** 2))
    return np.array([len(peaks), rr.mean(), rr.std(), rmssd, rr.min(), np.median(rr), rr.max()])
