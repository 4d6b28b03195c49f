"""The beats of an ECG: their detection in all leads, and the median of those of the usual shape.

The detection follows Pan and Tompkins (1985, IEEE Trans Biomed Eng 32:230): band-pass, slope,
moving average, threshold. Every lead votes, so noise in one of them adds no beat. In the median of
aligned beats noise shrinks with the root of their number. A premature beat differs, and stays out.
"""

from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy.ndimage import maximum_filter1d, minimum_filter1d, uniform_filter1d
from scipy.signal import butter, find_peaks, sosfiltfilt

from ecglib.signals.spikes import remove_spikes

INDEPENDENT = [0, 1, 6, 7, 8, 9, 10, 11]  # I, II, V1 to V6: the other four follow from I and II
_BAND = (5.0, 20.0)  # Hz, where the QRS is strong and P, T, wander and mains are weak
_AVERAGE = 0.12  # s, about one QRS
_APART = 0.22  # s between two beats at least
_HIGH = 0.3  # share of the usual height that a beat has at least
_LOWEST, _GAP = 0.15, 1.6  # the same in a gap of more than 1.6 usual intervals
_SMALL = 0.35  # share of the usual size that a beat has at least; a P wave is smaller
_STEEP = 0.45  # share of the usual height from which a beat may be smaller
_NEAR, _FLATTER = 0.36, 0.6  # within 0.36 s of a peak, one flatter than 0.6 of it is its P or T
_PIECE = 2.0  # s; holds a beat unless the rate is below 30 beats per minute
BEFORE, AFTER = 0.55, 0.75  # s around the middle of the QRS
FEWEST = 3  # beats of one shape; with fewer nothing is measured
_QRS = 0.11  # s on either side of the middle that are compared
_SHIFT = 0.04  # s by which a beat may be moved to fit the others
_ALIKE = 0.88  # correlation of two beats of one shape, all leads together


class MedianBeat(NamedTuple):
    """The usual beat of a recording.

    Attributes:
        wave: (leads, m) mV, from BEFORE s ahead of the middle of its QRS to AFTER s behind it.
        beats: (k, leads, m) mV, the beats whose median it is.
        centre: sample of the middle of the QRS in `wave`.
        peaks: (j,) sample numbers of all beats in the recording, aligned on one another where they
            have the usual shape.
        usual: (j,) bool, which of them have it.
    """

    wave: np.ndarray
    beats: np.ndarray
    centre: int
    peaks: np.ndarray
    usual: np.ndarray


def r_peaks(signal: np.ndarray, rate: float) -> np.ndarray:
    """Find the beats.

    A beat is steep and large, or very steep (a narrow one between broad paced ones). A blocked P
    wave in a pause may be steep, but it is small. Pacing spikes are removed before.

    Args:
        signal: (leads, n) in mV, finite; the order of the leads does not matter.
        rate: samples per second.

    Returns:
        (k,) int sample numbers in the middle of each QRS complex, in order; none where the signal
        is constant. Noise has peaks too; `median_beat` tests whether they are similar.
    """
    signal, _ = remove_spikes(signal, rate)
    votes = qrs_votes(signal, rate)
    typical = _typical(votes[None], rate)[0]
    if typical <= 0:
        return np.empty(0, dtype=np.int64)
    apart = max(1, int(_APART * rate))
    peaks, properties = find_peaks(votes, height=_LOWEST * typical, distance=apart)
    height = properties["peak_heights"]
    seen = (sizes(signal, rate)[peaks] >= _SMALL) | (height >= _STEEP * typical)
    peaks, height = peaks[seen], height[seen]
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


def sizes(signal: np.ndarray, rate: float) -> np.ndarray:
    """(n,) mean over leads of highest less lowest voltage within 60 ms; a usual QRS has about 1."""
    width = max(1, round(_AVERAGE * rate))
    size = maximum_filter1d(signal, width, axis=-1) - minimum_filter1d(signal, width, axis=-1)
    typical = _typical(size, rate)
    moving = typical > 0
    return np.minimum(size[moving] / typical[moving, None], 2.0).mean(axis=0)


def _typical(steep: np.ndarray, rate: float) -> np.ndarray:
    """(leads,) median over pieces of two seconds of the largest value in each."""
    pieces = max(1, int(steep.shape[-1] / (_PIECE * rate)))
    tops = [part.max(axis=-1) for part in np.array_split(steep, pieces, axis=-1)]
    return np.median(tops, axis=0)


def median_beat(signal: np.ndarray, peaks: np.ndarray, rate: float) -> MedianBeat | None:
    """Select, align and average beats.

    Args:
        signal: (leads, n) mV, finite, without wander.
        peaks: (k,) beats of `r_peaks`.
        rate: samples per second.

    Returns:
        None where fewer than FEWEST whole beats, or less than half of them, have one shape: then
        this is no ECG, or none of its beats represents the others.
    """
    half, reach = round(_QRS * rate), round(_SHIFT * rate)
    edge = half + 2 * reach
    peaks = peaks[(peaks >= edge) & (peaks < signal.shape[1] - edge)]
    if len(peaks) < FEWEST:
        return None
    peaks = _align(signal, peaks, np.ones(len(peaks), dtype=bool), half, reach)
    usual = _largest_group(_cut(signal, peaks, half, half))
    peaks = _align(signal, peaks, usual, half, reach)
    shape = _standard(np.median(_cut(signal, peaks[usual], half, half), axis=0)[None])
    usual = _standard(_cut(signal, peaks, half, half)) @ shape[0] > _ALIKE
    before, after = round(BEFORE * rate), round(AFTER * rate)
    whole = usual & (peaks >= before) & (peaks <= signal.shape[1] - after)
    if whole.sum() < FEWEST or 2 * usual.sum() < len(peaks):
        return None
    beats = _cut(signal, peaks[whole], before, after)
    # A wandering level is subtracted where all beats are the same, in the QRS.
    beats = beats - beats[:, :, before - half : before + half].mean(axis=2, keepdims=True)
    return MedianBeat(np.median(beats, axis=0), beats, before, peaks, usual)


def _cut(signal: np.ndarray, peaks: np.ndarray, before: int, after: int) -> np.ndarray:
    """(k, leads, before + after) windows around the peaks."""
    windows = sliding_window_view(signal, before + after, axis=1)
    return windows[:, peaks - before].transpose(1, 0, 2)


def _standard(beats: np.ndarray) -> np.ndarray:
    """(k, leads * m) vectors of length 1; the level of each lead is subtracted."""
    flat = (beats - beats.mean(axis=2, keepdims=True)).reshape(len(beats), -1)
    return flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-12)


def _align(
    signal: np.ndarray, peaks: np.ndarray, usual: np.ndarray, half: int, reach: int
) -> np.ndarray:
    """Move each beat by at most `reach` samples to its best fit with the usual median."""
    shape = np.median(_cut(signal, peaks[usual], half, half), axis=0)
    shape = shape - shape.mean(axis=1, keepdims=True)
    wide = sliding_window_view(_cut(signal, peaks, half + reach, half + reach), 2 * half, axis=2)
    fit = np.einsum("klsm,lm->ks", wide, shape, optimize=True)
    return peaks + fit.argmax(axis=1) - reach


def _largest_group(beats: np.ndarray) -> np.ndarray:
    """(k,) bool: the beats similar to the one that has the most similar beats."""
    vectors = _standard(beats)
    alike = vectors @ vectors.T
    members = (alike > _ALIKE).sum(axis=1) + alike.mean(axis=1)  # the mean decides between equals
    return alike[members.argmax()] > _ALIKE
