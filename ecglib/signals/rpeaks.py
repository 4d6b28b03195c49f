"""Beat detection: QRS complexes in all leads together.

The method follows Pan and Tompkins (1985, IEEE Trans Biomed Eng 32:230): band-pass, slope, moving
average, threshold. Every lead votes, so noise in one of them adds no beat.
"""

import numpy as np
from scipy.ndimage import uniform_filter1d
from scipy.signal import butter, find_peaks, sosfiltfilt

INDEPENDENT = [0, 1, 6, 7, 8, 9, 10, 11]  # I, II, V1 to V6: the other four follow from I and II
_BAND = (5.0, 20.0)  # Hz, where the QRS is strong and P, T, wander and mains are weak
_AVERAGE = 0.12  # s, about one QRS
_APART = 0.22  # s between two beats at least
_HIGH = 0.3  # share of the usual height that a beat has at least
_LOWEST, _GAP = 0.15, 1.6  # the same in a gap of more than 1.6 usual intervals
_NEAR, _FLATTER = 0.36, 0.6  # within 0.36 s of a peak, one flatter than 0.6 of it is its P or T
_PIECE = 2.0  # s; holds a beat unless the rate is below 30 beats per minute


def r_peaks(signal: np.ndarray, rate: float) -> np.ndarray:
    """Find the beats.

    Args:
        signal: (leads, n) in mV, finite; the order of the leads does not matter.
        rate: samples per second.

    Returns:
        (k,) int sample numbers in the middle of each QRS complex, in order; none where the signal
        is constant. Noise has peaks too; `median_beat` tests whether they are similar.
    """
    votes = qrs_votes(signal, rate)
    typical = _typical(votes[None], rate)[0]
    if typical <= 0:
        return np.empty(0, dtype=np.int64)
    peaks, properties = find_peaks(
        votes, height=_LOWEST * typical, distance=max(1, int(_APART * rate))
    )
    height = properties["peak_heights"]
    certain = height >= _HIGH * typical
    near = np.abs(peaks[:, None] - peaks) < _NEAR * rate
    # The P and T waves of a certain beat are much flatter than it.
    wave = (near & certain & (height[:, None] < _FLATTER * height)).any(axis=1)
    beats = peaks[certain & ~wave]
    return _search_back(beats, peaks[~certain & ~wave], height[~certain & ~wave], _NEAR * rate)


def _search_back(
    beats: np.ndarray, others: np.ndarray, height: np.ndarray, near: float
) -> np.ndarray:
    """Add the highest peak of each gap that a missed (premature, slow) beat may have left."""
    gaps = np.diff(beats)
    more = []
    for start in np.flatnonzero(gaps > _GAP * np.median(gaps)) if len(gaps) > 1 else ():
        inside = (others > beats[start] + near) & (others < beats[start + 1] - near)
        if inside.any():
            more.append(others[inside][height[inside].argmax()])
    return np.sort(np.r_[beats, np.array(more, dtype=beats.dtype)])


def qrs_votes(signal: np.ndarray, rate: float) -> np.ndarray:
    """(n,) mean over leads of the steepness around each sample; a usual QRS has about 1.

    Each lead is divided by its own typical maximum and limited to 2, so the amplitude of a lead has
    no effect and an artefact in one lead has little.
    """
    sos = butter(2, _BAND, "band", fs=rate, output="sos")
    slope = np.abs(np.gradient(sosfiltfilt(sos, signal, axis=-1), axis=-1))
    steep = uniform_filter1d(slope, max(1, round(_AVERAGE * rate)), axis=-1)
    typical = _typical(steep, rate)
    moving = typical > 0
    if not moving.any():
        return np.zeros(signal.shape[-1])
    return np.minimum(steep[moving] / typical[moving, None], 2.0).mean(axis=0)


def _typical(steep: np.ndarray, rate: float) -> np.ndarray:
    """(leads,) median over pieces of two seconds of the largest value in each."""
    pieces = max(1, int(steep.shape[-1] / (_PIECE * rate)))
    tops = [part.max(axis=-1) for part in np.array_split(steep, pieces, axis=-1)]
    return np.median(tops, axis=0)
