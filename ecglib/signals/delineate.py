"""Onsets and ends of the waves of a median beat, for all leads together.

The QRS begins and ends where the spatial velocity, sqrt(sum over leads of (dx/dt)^2), rises from
rest and returns to it. T end and P onset are where the tangent to the steepest part of the wave
meets the baseline, on the combination of leads that shows the wave largest (first singular vector).
"""

from typing import NamedTuple

import numpy as np
from scipy.ndimage import uniform_filter1d
from scipy.signal import find_peaks

from ecglib.signals.heartbeats import INDEPENDENT, MedianBeat

_MOVING = 0.05  # share of the QRS's velocity above rest that counts as QRS
_NOISE = 2.5  # times the velocity of noise that counts as well
_REST = 0.012  # s of rest that end the search
_AWAY = 0.6  # share of the largest distance from the baseline beyond which no rest is assumed
_QRS_REACH = 0.18  # s from the middle of the QRS to its ends at most
_LONGEST_PR = 0.42  # s
_LATEST_T = 0.5  # s from QRS onset to the peak of the T wave at 60 beats per minute, by Bazett
_FLANK = 0.14  # s from a peak of the T wave to its next, or to its end
_LAST_PHASE = 0.4  # share of the largest phase of a T wave that its last phase has
_LARGEST_QT = 0.85  # share of RR
_LONGEST_P = 0.18  # s
_T_TAIL = 0.08  # s after the T end in which the least moving moment starts the search for P
# mV over the leads; smaller waves cannot be separated from noise.
_SMALLEST_T, _SMALLEST_P = 0.04, 0.025
_LOCKED = 0.6  # share of the P window's power that repeats from beat to beat


class Waves(NamedTuple):
    """Sample positions within the median beat; NaN where a wave was not detected.

    They are floats, because a tangent meets its baseline between samples.
    """

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
    leads = beat.wave[INDEPENDENT]
    speed = np.sqrt((np.gradient(leads, axis=1) ** 2).sum(axis=0))
    noise = _noise(beat.beats[:, INDEPENDENT])
    onset, end = _qrs(leads, speed, noise, beat.centre, rate)
    level = leads[:, max(0, onset - round(0.02 * rate)) : onset + 1].mean(axis=1, keepdims=True)
    t_end = _t_end(leads - level, onset, end, rr, rate)
    p_onset, p_end = _p_wave(beat, onset, t_end, rr, speed, rate)
    return Waves(onset, end, t_end, p_onset, p_end)


def _noise(beats: np.ndarray) -> float:
    """Spatial velocity of the noise that remains in the median of (k, leads, m) beats."""
    slope = np.gradient(beats, axis=2)
    # Median over time: where waves are steep, beats differ by more than noise.
    apart = np.median(slope.var(axis=0, ddof=1).sum(axis=0))
    return float(np.sqrt(apart * np.pi / 2 / len(beats)))  # pi/2: a median's variance over a mean's


def _qrs(
    leads: np.ndarray, speed: np.ndarray, noise: float, centre: int, rate: float
) -> tuple[int, int]:
    """First and last sample of the QRS."""
    reach = round(_QRS_REACH * rate)
    low, high = max(0, centre - reach), min(len(speed), centre + reach)
    fastest = low + 1 + int(speed[low + 1 : high].argmax())  # one sample on each side at least
    away = np.linalg.norm(leads - np.median(leads, axis=1, keepdims=True), axis=0)
    # At the crest of a broad QRS the heart's vector does not move either, but is far from rest.
    crest = away > _AWAY * away[low:high].max()
    ends = []
    for side in (slice(fastest - 1, low - 1 if low else None, -1), slice(fastest, high)):
        quiet = speed[side].min()
        moving = speed[side] > quiet + max(_MOVING * (speed[fastest] - quiet), _NOISE * noise)
        still = np.convolve(moving | crest[side], np.ones(round(_REST * rate)), mode="valid") == 0
        ends.append(int(still.argmax()) if still.any() else len(moving) - 1)
    return fastest - ends[0], fastest + ends[1]


def _t_end(leads: np.ndarray, onset: int, end: int, rr: float, rate: float) -> float:
    """End of the T wave; of its last phase, where it has two."""
    low, last = end + round(0.06 * rate), onset + round(_LATEST_T * np.sqrt(rr) * rate)
    flank = round(_FLANK * rate)
    last = min(last, leads.shape[1] - flank)
    if last - low < 0.05 * rate:
        return np.nan
    part = leads[:, low : last + flank]
    wave = _view(part[:, : last - low]) @ part
    # With the zero in front, a T wave that rises from a raised ST segment has a peak above 0.
    tops, properties = find_peaks(np.abs(np.r_[0.0, wave]), prominence=_SMALLEST_T)
    tops, height = tops - 1, properties["prominences"]
    tops, height = tops[tops < last - low], height[tops < last - low]
    if not len(tops):
        return np.nan
    largest = tops[height.argmax()]
    phases = tops[(height >= _LAST_PHASE * height.max()) & (tops <= largest + flank)]
    peak = int(phases[-1])
    t_end = low + _foot(np.sign(wave[peak]) * wave[: peak + flank], peak, 1, 0.0)
    return t_end if t_end - onset < _LARGEST_QT * rr * rate else np.nan


def _p_wave(
    beat: MedianBeat, onset: int, t_end: float, rr: float, speed: np.ndarray, rate: float
) -> tuple[float, float]:
    """Onset and end of the P wave between the T wave before it and the QRS."""
    low = max(0, onset - round(min(_LONGEST_PR, 0.6 * rr) * rate))
    before = t_end - rr * rate
    if np.isfinite(before):  # a tail of the T wave follows the tangent
        low = max(low, int(before))
        tail = uniform_filter1d(speed, round(0.02 * rate))[low : low + round(_T_TAIL * rate)]
        low += int(tail.argmin())
    high = onset - round(0.008 * rate)
    if high - low < 0.07 * rate:
        return np.nan, np.nan
    beats = beat.beats[:, INDEPENDENT, low:high]
    beats = beats - np.linspace(beats[..., 0], beats[..., -1], high - low, axis=-1)
    leads = np.median(beats, axis=0)
    noise = beats.std(axis=0, ddof=1).mean(axis=1) + 0.01  # mV; limits the weight of a noisy lead
    view = _view(leads / noise[:, None]) / noise
    view /= np.linalg.norm(view)
    wave = view @ leads
    peak = int(np.abs(wave).argmax())
    wave = np.sign(wave[peak]) * wave
    if wave[peak] < _SMALLEST_P or _locked(view @ beats) < _LOCKED:
        return np.nan, np.nan
    rise = _foot(wave, peak, -1, wave[: peak + 1].min())
    fall = _foot(wave, peak, 1, wave[peak:].min())
    if not fall - rise < _LONGEST_P * rate:  # the tail of a T wave
        return np.nan, np.nan
    return low + rise, low + fall


def _view(leads: np.ndarray) -> np.ndarray:
    """(leads,) weights, of norm 1, of the combination of leads that shows a wave largest."""
    return np.linalg.svd(leads @ leads.T)[0][:, 0]


def _foot(wave: np.ndarray, peak: int, way: int, level: float) -> float:
    """Sample at which the tangent to the steepest flank of an upright wave meets `level`.

    Args:
        wave: (m,) mV.
        peak: its peak.
        way: 1 for the flank behind the peak, -1 for the one before it.
        level: mV of the baseline.
    """
    flank = wave[peak:] if way > 0 else wave[peak::-1]
    fall = -np.gradient(flank) if len(flank) > 1 else np.zeros(1)
    steepest = int(fall.argmax())
    if fall[steepest] <= 0:
        return np.nan
    gap = steepest + (flank[steepest] - level) / fall[steepest]
    return peak + way * min(gap, len(flank) - 1)


def _locked(beats: np.ndarray) -> float:
    """Share of the power of (k, m) windows that is the same in all k (1 = identical windows).

    Fibrillatory waves and the P waves of a dissociated atrium do not repeat with the QRS. Medians
    are used, so that one disturbed beat has no effect.
    """
    usual = np.median(beats, axis=0)
    apart = np.median(((beats - usual) ** 2).mean(axis=1))
    same = max(0.0, (usual**2).mean() - apart * np.pi / 2 / len(beats))
    return same / max(same + apart, 1e-12)
