"""One clean beat from ten seconds: the median of aligned beats of the usual shape.

Noise shrinks with the root of the number of beats. A premature beat has another shape and is not
included.
"""

from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

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


def median_beat(signal: np.ndarray, peaks: np.ndarray, rate: float) -> MedianBeat | None:
    """Select, align and average beats.

    Args:
        signal: (leads, n) mV, finite, without wander.
        peaks: (k,) beats of `ecglib.signals.rpeaks.r_peaks`.
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
