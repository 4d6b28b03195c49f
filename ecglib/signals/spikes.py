"""The spikes of a pacemaker, which are no part of the QRS, and their removal from an ECG.

A spike lasts a few ms and is large beside what the leads move just before and just after it. Not
even a narrow R wave is. Its height may change from beat to beat, so each is found by itself.
"""

import numpy as np
from scipy.ndimage import maximum_filter1d, minimum_filter1d
from scipy.signal import find_peaks

_SLOWEST = 200.0  # Hz; in a slower recording a spike is as broad as a notch of the QRS
_WIDTH = 0.012  # s, longer than a spike
_BESIDE = 0.016  # s before and after it
_SMALLEST = 0.06  # mV, mean over the leads
_LARGER = 1.0  # height over what the leads move beside it
_ALONE = 12.0  # height over the usual one, of noise
_FEWEST = 2  # of a recording; a single one is an artefact
_REACH = 0.010  # s on either side of its middle that are replaced


def find_spikes(signal: np.ndarray, rate: float) -> np.ndarray:
    """(k,) sample numbers of the middles of spikes in (leads, n) mV, finite, at `rate` samples per
    second. None where there is a single one, or the rate is below 200 Hz."""
    if rate < _SLOWEST:
        return np.empty(0, dtype=np.int64)
    width, beside = round(_WIDTH * rate) | 1, round(_BESIDE * rate)
    closed = minimum_filter1d(maximum_filter1d(signal, width), width)
    opened = maximum_filter1d(minimum_filter1d(signal, width), width)
    height = np.maximum(closed - signal, signal - opened).mean(axis=0)
    least = max(_SMALLEST, _ALONE * float(np.median(height)))
    tops, _ = find_peaks(height, height=least, distance=beside)
    tops = tops[(tops >= beside) & (tops < signal.shape[1] - beside)]  # ends of filters ring
    larger = [height[top] > _LARGER * _beside(signal, top, width // 2, beside) for top in tops]
    return tops[np.flatnonzero(larger)] if sum(larger) >= _FEWEST else tops[:0]


def _beside(signal: np.ndarray, middle: int, half: int, beside: int) -> float:
    """The larger of what the leads move before and after a spike, mV, mean over the leads."""
    before = signal[:, max(0, middle - half - beside) : max(1, middle - half)]
    after = signal[:, min(middle + half + 1, signal.shape[1] - 1) :][:, :beside]
    return max(np.ptp(part, axis=1).mean() for part in (before, after))


def remove_spikes(signal: np.ndarray, rate: float) -> tuple[np.ndarray, np.ndarray]:
    """The (leads, n) signal with a line in the place of each spike, and `find_spikes`' (k,)."""
    spikes = find_spikes(signal, rate)
    if not len(spikes):
        return signal, spikes
    reach = int(np.ceil(_REACH * rate))
    around = (spikes[:, None] + np.arange(-reach, reach + 1)).ravel()
    places = np.arange(signal.shape[1])
    kept = np.setdiff1d(places, around)
    return np.stack([np.interp(places, kept, lead[kept]) for lead in signal]), spikes
