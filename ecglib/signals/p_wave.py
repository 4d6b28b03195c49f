"""The P wave of a median beat: whether there is one, and its onset and end over all leads.

A P wave repeats from beat to beat at the same distance from the QRS; the waves of fibrillation do
not. Flutter waves may, and are told by their train (`flutter`).
"""

import numpy as np
from scipy.ndimage import uniform_filter1d

from ecglib.signals.flutter import in_a_train
from ecglib.signals.heartbeats import INDEPENDENT, MedianBeat

_LONGEST_PR = 0.42  # s
_USUAL_P, _LONGEST_P = 0.14, 0.18  # s
_FAST = 0.5  # s, RR below which P is not told from T and flutter waves unless the T wave is found
_STEADY = (
    0.1  # s between the shortest and the longest RR of a steady rhythm; less than a flutter wave
)
_T_TAIL = 0.08  # s after the T end in which the least moving moment starts the search for P
# mV over the leads; a smaller wave cannot be separated from noise. In a lead.
_SMALLEST, _SMALLEST_IN_LEAD = 0.025, 0.02
_LOCKED = 0.6  # share of the P window's power that repeats from beat to beat
_AROUND = 0.02  # s on both sides of the common wave in which a lead's peak is searched
_FLANK = 0.11  # s from the peak to the baseline before it at most
_FLANK_IN_LEAD = 0.07
_BEFORE = 0.04  # s by which the leads may begin before the common wave
_OTHER_PHASE = 0.5  # share of a lead's largest phase that one before it has
_RUNS_OUT = 1.25  # onset of P before its peak, over that of the tangent
OUTER = 0.25  # quantile of the leads' onsets; of their ends it is 1 - OUTER


def p_wave(
    beat: MedianBeat, qrs: tuple[float, float], t_end: float, rr: float, rate: float
) -> tuple[float, float]:
    """Onset and end of the P wave between the T wave before it and the QRS.

    Args:
        beat: the median beat, leads in the order of `LEADS`.
        qrs: onset and end of the QRS, samples.
        t_end: end of its T wave, sample; or NaN.
        rr: usual RR interval in s.
        rate: samples per second.

    Returns NaN, NaN where no P wave is seen.
    """
    nothing, onset = (np.nan, np.nan), qrs[0]
    if np.isnan(t_end) and rr < _FAST:
        return nothing
    low = max(0, int(onset - min(_LONGEST_PR, 0.6 * rr) * rate))
    if np.isfinite(t_end):
        low = _after_t(beat, max(low, int(t_end - rr * rate)), rate)
    high = int(onset - 0.002 * rate)
    if high - low < 0.07 * rate:
        return nothing
    beats = beat.beats[:, :, low:high]
    # The wave lies on a line from the T wave to the QRS; where it runs into the QRS, on a level.
    tilted = beats - np.linspace(beats[..., 0], beats[..., -1], high - low, axis=-1)
    level = beats - beats[..., :1]
    for flat, longest in ((tilted, _USUAL_P), (level, _USUAL_P), (tilted, _LONGEST_P)):
        leads = np.median(flat, axis=0)
        rise, fall = _common(flat[:, INDEPENDENT], leads[INDEPENDENT], rate)
        if fall - rise < longest * rate:  # a longer one is the tail of a T wave
            break
        if np.isnan(fall - rise):
            return nothing
    else:
        return nothing
    wave = (low + _onset(leads, rise, fall, rate), low + fall)
    steady = bool(np.ptp(np.diff(beat.peaks)) < _STEADY * rate)
    train = in_a_train(beat.wave[INDEPENDENT], wave, qrs, t_end, rr, rate, steady)
    return nothing if train else wave


def _common(beats: np.ndarray, leads: np.ndarray, rate: float) -> tuple[float, float]:
    """Onset and end by tangents of the wave that all leads together show best; NaN without one.
    `beats` (k, leads, m) mV have the median `leads`."""
    view = _view(beats, leads)
    wave = view @ leads
    peak = int(np.abs(wave).argmax())
    wave = np.sign(wave[peak]) * wave
    if wave[peak] < _SMALLEST or _locked(view @ beats) < _LOCKED:
        return np.nan, np.nan
    start = max(0, peak - round(_FLANK * rate))  # a U wave may come before
    rise = start + foot(wave[start:], peak - start, -1, wave[start : peak + 1].min())
    return rise, foot(wave, peak, 1, wave[peak:].min())


def _after_t(beat: MedianBeat, low: int, rate: float) -> int:
    """The least moving sample soon after `low`, because a tail of the T wave follows its end."""
    leads = beat.wave[INDEPENDENT, low : low + round((_T_TAIL + 0.01) * rate)]
    speed = np.sqrt((np.gradient(leads, axis=1) ** 2).sum(axis=0))
    return low + int(uniform_filter1d(speed, round(0.02 * rate))[: round(_T_TAIL * rate)].argmin())


def _view(beats: np.ndarray, leads: np.ndarray) -> np.ndarray:
    """(leads,) weights, of norm 1, of the combination of leads that shows a wave largest."""
    noise = beats.std(axis=0, ddof=1).mean(axis=1) + 0.01  # mV; limits the weight of a noisy lead
    scaled = leads / noise[:, None]
    view = np.linalg.svd(scaled @ scaled.T)[0][:, 0] / noise
    return view / np.linalg.norm(view)


def _onset(leads: np.ndarray, rise: float, fall: float, rate: float) -> float:
    """First onset over the leads of a wave that all of them together show from `rise` to `fall`."""
    first = max(0, int(rise - _AROUND * rate))
    last = min(leads.shape[1], int(fall + _AROUND * rate) + 1)
    onsets = []
    for wave in leads:
        peak = first + int(np.abs(wave[first:last]).argmax())
        wave = np.sign(wave[peak]) * wave
        if wave[peak] < _SMALLEST_IN_LEAD:
            continue
        if peak > first and -wave[first:peak].min() > _OTHER_PHASE * wave[peak]:
            peak, wave = first + int(wave[first:peak].argmin()), -wave
        start = max(0, peak - round(_FLANK_IN_LEAD * rate))
        tangent = start + foot(wave[start:], peak - start, -1, wave[start : peak + 1].min())
        if np.isfinite(tangent):
            onsets.append(peak - _RUNS_OUT * (peak - tangent))
    return max(float(np.quantile(onsets, OUTER)), rise - _BEFORE * rate) if onsets else rise


def foot(wave: np.ndarray, peak: int, way: int, level: float) -> float:
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
