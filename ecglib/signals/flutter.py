"""Whether a wave before the QRS is a P wave or one of a train of flutter waves.

With a constant ratio of conduction a flutter wave stands before every QRS as a P wave does. But
the atria never rest in flutter, and the same wave stands one cycle before it. The limits were set
on simulated hearts and on folds 1 to 8 of PTB-XL; those of steady rhythms on its whole excerpt. Of
120 further simulated hearts with flutter 12 have a PR interval, of 120 with fibrillation one; one
of 120 with sinus tachycardia loses it.
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy.ndimage import uniform_filter1d

_SMOOTH = 0.02  # s
_STILL = 0.2  # share of the wave's largest velocity below which the heart rests
_REST = 0.036  # s of rest between T and the wave, by which it is a P wave
_CYCLE = (0.16, 0.30)  # s, 200 to 375 waves per minute
_STEP = 0.004  # s between the cycles that are tried
_ALIKE = 0.5  # correlation of two waves of a train, all leads together
# In sinus tachycardia, and in steady rhythms, P may follow a T wave like it: more is asked there.
_TACHYCARDIA, _ALIKE_THERE = (0.43, 0.60), 0.7  # RR in s
_UNEVEN = 0.15  # a steady flutter has n cycles to an RR, n a whole number but for so much
_SIZE = (0.5, 1.5)  # size of the one over that of the other; a T wave is larger
_EDGE = 0.01  # s beyond the wave and the QRS


def in_a_train(
    leads: np.ndarray,
    wave: tuple[float, float],
    qrs: tuple[float, float],
    t_end: float,
    rr: float,
    rate: float,
    steady: bool = False,
) -> bool:
    """Whether the wave before the QRS follows an equal one without rest.

    Args:
        leads: (leads, m) mV, the median beat.
        wave: onset and end of the wave, samples.
        qrs: onset and end of the QRS behind it.
        t_end: end of the T wave behind that, or NaN.
        rr: usual RR interval, s.
        rate: samples per second.
        steady: all RR are nearly the same, so that the ratio of conduction is constant.
    """
    start, stop = max(0, int(wave[0])), int(min(wave[1], qrs[0]))
    if stop - start < 3:
        return False
    return not _rests(leads, start, stop, t_end, rr * rate, rate) and _repeats(
        leads, (start, stop), qrs, rr * rate, rate, steady
    )


def _rests(leads: np.ndarray, start: int, stop: int, t_end: float, rr: float, rate: float) -> bool:
    """Whether nothing moves for some time between a T wave and the next onset of the wave."""
    smooth = uniform_filter1d(leads, max(1, round(_SMOOTH * rate)), axis=1)
    speed = np.sqrt((np.gradient(smooth, axis=1) ** 2).sum(axis=0))
    still = speed < _STILL * speed[start:stop].max()
    edge, length = round(_SMOOTH * rate), round(_REST * rate)
    if np.isfinite(t_end):
        gaps = [(t_end - rr, start), (t_end, start + rr)]
    else:
        gaps = [(start - 0.2 * rate, start)]
    for low, high in gaps:
        part = still[max(0, int(low) - edge) : max(0, int(high) + edge // 2)]
        if len(part) >= length and sliding_window_view(part, length).all(axis=1).any():
            return True
    return False


def _repeats(
    leads: np.ndarray,
    wave: tuple[int, int],
    qrs: tuple[float, float],
    rr: float,
    rate: float,
    steady: bool,
) -> bool:
    """Whether the wave stands a second time, one cycle earlier and outside the QRS."""
    edge = round(_EDGE * rate)
    start, stop = wave[0] - edge, min(wave[1] + edge, int(qrs[0]))
    first = _level(leads, max(0, start), stop)
    power, length = (first**2).sum(), first.shape[1]
    fast = _TACHYCARDIA[0] < rr / rate < _TACHYCARDIA[1]
    least = _ALIKE_THERE if steady or fast else _ALIKE
    onset, end = int(qrs[0]), int(qrs[1])
    for cycle in np.arange(_CYCLE[0], _CYCLE[1] + 1e-9, _STEP) * rate:
        if steady and abs(rr / cycle - round(rr / cycle)) > _UNEVEN:
            continue
        # Before this QRS, or before the next one where the T wave lies between.
        for low in (round(start - cycle), round(start - cycle + rr)):
            high = low + length
            in_qrs = low < end + edge and high > onset - edge
            if low < 0 or high > leads.shape[1] or in_qrs or high > onset + rr - edge:
                continue
            other = _level(leads, low, high)
            common = (first * other).sum()
            alike = common > least * np.sqrt(power * (other**2).sum())
            if alike and _SIZE[0] * power < common < _SIZE[1] * power:
                return True
    return False


def _level(leads: np.ndarray, low: int, high: int) -> np.ndarray:
    """A window from which the line through its ends is subtracted."""
    part = leads[:, low:high]
    return part - np.linspace(part[:, 0], part[:, -1], high - low, axis=1)
