"""Onsets and ends of the waves of a median beat, over all leads, as a cardiologist means them.

An interval reaches from the first onset to the last end in any lead. Each lead is delineated alone;
of the leads' onsets the lower quartile is taken and of their ends the upper one, about the third of
twelve, so that one or two disturbed leads decide nothing. In a lead the QRS begins and ends where
its slope rises from rest and returns to it; readers set the onset some ms before. T ends where the
tangent to its steepest fall meets the baseline, and 38 % of the way from its peak later, because
readers let the wave run out. P is found in all leads together (`p_wave`).

The constants were tuned on the records of LUDB with even numbers, where the annotators'
second-earliest onset and second-latest end over the leads were the reference. The benchmark
`measure_ludb` scores the odd records.
"""

from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy.signal import find_peaks

from ecglib.signals.heartbeats import MedianBeat
from ecglib.signals.p_wave import OUTER, foot, p_wave

_MOVING = 0.025  # share of a lead's steepest slope that counts as QRS
_NOISE = 3.0  # times the slope of noise that counts as well
_REST = 0.006  # s of rest that end the search in a lead; twice that, in all together
_WHOLE = 0.09  # share of the spatial velocity above its rest that counts as QRS
_BEYOND = 0.03  # s by which the leads may move longer than the spatial velocity
_AWAY = 0.6  # share of the largest distance from the baseline beyond which no rest is assumed
AHEAD = 0.006  # s by which readers set the onset before the first movement
_QRS_REACH = 0.18  # s from the middle of the QRS to its ends at most
_LATEST_T = 0.5  # s from QRS onset to the peak of the T wave at 60 beats per minute, by Bazett
_FLANK = 0.14  # s from a peak of the T wave to its next, or to its end
_LAST_PHASE = 0.4  # share of the largest phase of a T wave that its last phase has
_RUNS_OUT = 1.38  # end of T after its peak, over that of the tangent
_SAME_PEAK = 0.04  # s between the peaks of T in two leads at most
_LARGEST_QT = 0.85  # share of RR
_SMALLEST_T = 0.03  # mV; the end of a flatter one is not used


class Waves(NamedTuple):
    """Sample positions within the median beat; NaN where a wave was not detected.
    They are floats, because a tangent meets its baseline between samples."""

    qrs_onset: float = np.nan
    qrs_end: float = np.nan
    t_end: float = np.nan
    p_onset: float = np.nan
    p_end: float = np.nan


def delineate(beat: MedianBeat, rr: float, rate: float) -> Waves:
    """Find the waves of a beat.

    Args:
        beat: the median beat, leads in the order of `LEADS`, band-limited to 40 Hz.
        rr: usual RR interval in s.
        rate: samples per second.
    """
    used = np.ptp(beat.wave, axis=1) > 0
    leads, beats = beat.wave, beat.beats
    if not used.all():
        leads, beats = leads[used], beats[:, used]
    onset, end = _qrs(leads, _noise(beats), beat.centre, rate)
    level = leads[:, max(0, int(onset - 0.02 * rate)) : int(onset) + 1].mean(axis=1, keepdims=True)
    t_end = _t_end(leads - level, onset, end, rr, rate)
    p_onset, p_end = p_wave(beat, (onset, end), t_end, rr, rate)
    return Waves(onset, end, t_end, p_onset, p_end)


def _noise(beats: np.ndarray) -> np.ndarray:
    """Slope of the noise that remains in the median of (k, leads, m) beats: (leads,)."""
    # Median over time: where waves are steep, beats differ by more than noise.
    apart = np.median(np.gradient(beats, axis=2).var(axis=0, ddof=1), axis=1)
    return np.sqrt(apart * np.pi / 2 / len(beats))  # pi/2: a median's variance over a mean's


def _qrs(leads: np.ndarray, noise: np.ndarray, centre: int, rate: float) -> tuple[float, float]:
    """Onset and end of the QRS.

    The leads' quartile may lie up to 30 ms outside the span in which the heart as a whole moves,
    the spatial velocity; where no lead rests, as in a steep ST segment, that span decides.
    """
    reach = round(_QRS_REACH * rate)
    low, high = max(0, centre - reach), min(leads.shape[1], centre + reach)
    slope = np.abs(np.gradient(leads, axis=1))
    usual = np.median(slope, axis=1)  # flutter never rests
    slope = slope[:, low:high]
    away = leads - np.median(leads, axis=1, keepdims=True)
    away = np.abs(away[:, low:high])
    # At the crest of a broad QRS a lead does not move either, but is far from its baseline.
    limit = np.maximum.reduce([_MOVING * slope.max(axis=1), _NOISE * noise, usual])
    moving = (slope > limit[:, None]) | (away > _AWAY * away.max(axis=1, keepdims=True))
    speed, far = np.linalg.norm(slope, axis=0), np.linalg.norm(away, axis=0)
    fastest = 1 + int(speed[1:].argmax())  # one sample on each side at least
    reached = []
    for side in (slice(fastest - 1, None, -1), slice(fastest, None)):
        quiet = speed[side].min()
        limit = max(_WHOLE * (speed[fastest] - quiet), _NOISE * np.linalg.norm(noise))
        whole = (speed[side] > quiet + limit) | (far[side] > _AWAY * far.max())
        least = _until_rest(whole[None], 2 * _REST, rate)[0]
        of_leads = np.quantile(_until_rest(moving[:, side], _REST, rate), 1 - OUTER)
        reached.append(float(np.clip(of_leads, least, least + _BEYOND * rate)))
    onset = low + fastest - reached[0] - AHEAD * rate
    return max(0.0, onset), low + fastest + reached[1]


def _until_rest(moving: np.ndarray, seconds: float, rate: float) -> np.ndarray:
    """(leads,) samples until a lead first rests for so long."""
    rest = min(max(1, round(seconds * rate)), moving.shape[1])
    still = ~sliding_window_view(moving, rest, axis=1).any(axis=2)
    return np.where(still.any(axis=1), still.argmax(axis=1), moving.shape[1] - 1)


def _t_end(leads: np.ndarray, onset: float, end: float, rr: float, rate: float) -> float:
    """End of the T wave; of its last phase, where it has two."""
    low, last = round(end + 0.06 * rate), round(onset + _LATEST_T * np.sqrt(rr) * rate)
    flank = round(_FLANK * rate)
    last = min(last, leads.shape[1] - flank)
    if last - low < 0.05 * rate:
        return np.nan
    phases = [_last_phase(wave, last - low, flank) for wave in leads[:, low : last + flank]]
    peaks, ends = np.array(phases).T
    if np.isnan(ends).all():
        return np.nan
    # A lead that peaks elsewhere than most shows a U wave, the next P or a flutter wave.
    ends[~(np.abs(peaks - np.nanmedian(peaks)) < _SAME_PEAK * rate)] = np.nan
    if np.isnan(ends).all():
        return np.nan
    t_end = low + float(np.nanquantile(ends, 1 - OUTER))
    return t_end if t_end - onset < _LARGEST_QT * rr * rate else np.nan


def _last_phase(wave: np.ndarray, last: int, flank: int) -> tuple[float, float]:
    """Peak (before sample `last`) and end of the last phase of a T wave; NaN without one."""
    # With the zero in front, a T wave that rises from a raised ST segment has a peak above 0.
    tops, properties = find_peaks(np.abs(np.r_[0.0, wave]), prominence=_SMALLEST_T)
    tops, height = tops - 1, properties["prominences"]
    tops, height = tops[tops < last], height[tops < last]
    if not len(tops):
        return np.nan, np.nan
    largest = tops[height.argmax()]
    phases = tops[(height >= _LAST_PHASE * height.max()) & (tops <= largest + flank)]
    peak = int(phases[-1])
    wave = np.sign(wave[peak]) * wave[: peak + flank]
    tangent = foot(wave, peak, 1, wave[peak:].min())
    return float(peak), peak + _RUNS_OUT * (tangent - peak)
