"""Power-line interference: lines at 50 and 60 Hz and their harmonics, found and flattened.

ECG-Tok (section 2.1) looks for spectral peaks more than two standard deviations above the local
mean and flattens them with a LOESS fit of the spectrum, keeping the phase. That rule suits a
spectrum averaged over thousands of recordings. In the spectrum of one recording noise alone passes
it almost always, in some lead. So a peak must meet more here, in the power over the LOESS fit,

    power(f) = |X(f)|^2 / fit(f)^2   in one lead, or averaged over the leads,

because mains reach all electrodes at one frequency while noise peaks here and there. It must be
high, and several times as high as anything that the same record has 1 to 5 Hz away, where no mains
can be. This second condition assumes nothing about the noise: a regular rhythm has peaks at all
multiples of the heart rate, and none of them stands out from its neighbours by much.

Flattening: a line between two bins of the transform leaks into all others. The sinusoid at its own
frequency gives that leakage, which is subtracted outside the line's band of +-0.5 Hz. Inside, every
peak is multiplied down to the fit. What is done to the six limb leads is one linear filter for all
of them (the smallest factor that any of them needs), so their identities survive.
"""

from typing import NamedTuple

import numpy as np

from ecglib.signals import loess
from ecglib.signals.leads import RATE

FUNDAMENTALS = (50.0, 60.0)
BAND = 0.5  # Hz to either side of a line that belong to it
AWAY = (1.0, 5.0)  # Hz from the line: what it is compared with
LOCAL = 2.5  # Hz to either side for the local mean and standard deviation
DEVIATIONS = 2.0
# What the power must reach, and how many times the highest nearby.
HEIGHT, RATIO = 5.0, 2.25  # averaged over the leads
HEIGHT_ALONE, RATIO_ALONE = 16.0, 4.0  # in a single lead
SPAN = 9.5  # Hz, the LOESS window
MIN_SECONDS = 2.0  # shorter recordings resolve no line
LIMB = slice(0, 6)
_EDGE = 1e-6  # Hz, so that rounding does not decide what lies in a band


class Line(NamedTuple):
    """A mains line of one recording.

    Attributes:
        hertz: its frequency, between the bins.
        leads: bool (12,), where it is flattened.
        certainty: how many times over it meets the conditions, 1 or more.
    """

    hertz: float
    leads: np.ndarray
    certainty: float


def expected(below: float) -> tuple[float, ...]:
    """50 and 60 Hz and their harmonics below a frequency (Hz), in rising order."""
    times = range(1, int(below / min(FUNDAMENTALS)) + 1)
    return tuple(sorted({k * f for f in FUNDAMENTALS for k in times if k * f < below}))


def frequencies(samples: int) -> np.ndarray:
    """Frequencies (Hz) of the spectrum of a recording at the working rate."""
    return np.fft.rfftfreq(samples, 1 / RATE)


def fit(magnitude: np.ndarray, samples: int) -> np.ndarray:
    """LOESS fit of magnitude spectra over a window of `SPAN` Hz.

    Args:
        magnitude: (..., samples // 2 + 1).
        samples: length of the recording.

    Returns:
        The same shape. 95 bins make a window for ten seconds.
    """
    half = int(SPAN / 2 * samples / RATE)
    return loess.smooth(magnitude, 2 * half + 1)


def find(
    signal: np.ndarray, below: float = RATE / 2, nominal: tuple[float, ...] | None = None
) -> tuple[Line, ...]:
    """The mains lines of a recording.

    Args:
        signal: (12, n) at 250 Hz; under `MIN_SECONDS` nothing is found.
        below: Hz, half the rate at which it was recorded.
        nominal: Hz where lines may be; 50 and 60 Hz and harmonics if not given. (Frequencies that
            no mains have show how often chance is taken for a line.)

    Returns:
        Lines by rising frequency, at most one an expected frequency.
    """
    samples = signal.shape[-1]
    if samples < MIN_SECONDS * RATE:
        return ()
    spectrum = np.fft.rfft(np.ascontiguousarray(signal, dtype=np.float64), axis=-1)
    magnitude = np.abs(spectrum)
    background = fit(magnitude, samples)
    power = np.divide(magnitude, background, out=np.zeros_like(magnitude), where=background > 0)
    power **= 2
    hertz = frequencies(samples)
    lines = []
    for centre in expected(min(below, RATE / 2)) if nominal is None else nominal:
        peak, certainty = _candidate(power, hertz, centre)
        stands = _stands_out(magnitude, hertz, peak)
        if certainty >= 1 and stands.any():
            at = (peak + _between_bins(spectrum, background, peak)) * RATE / samples
            stands[LIMB] = stands[LIMB].any()
            lines.append(Line(float(at), stands, certainty))
    return tuple(lines)


def _candidate(power: np.ndarray, hertz: np.ndarray, centre: float) -> tuple[int, float]:
    """The likeliest bin of a line, and how many times over it meets our two conditions."""
    rows = np.vstack([power.mean(axis=0), power])
    height = np.array([HEIGHT] + [HEIGHT_ALONE] * len(power))
    ratio = np.array([RATIO] + [RATIO_ALONE] * len(power))
    distance = np.abs(hertz - centre)
    nearby = (distance >= AWAY[0] - _EDGE) & (distance <= AWAY[1] + _EDGE)
    # Towards the end of the spectrum the window is cut off, and a line in it bends the fit away.
    nearby &= hertz <= hertz[-1] - SPAN / 2
    needed = np.maximum(height, ratio * rows[:, nearby].max(axis=1))
    band = np.flatnonzero(distance <= BAND + _EDGE)
    score = rows[:, band] / needed[:, None]
    row, place = np.unravel_index(score.argmax(), score.shape)
    peak = int(band[place])
    # A bin on the flank of something beside the band is no peak.
    top = rows[row, peak] >= max(rows[row, peak - 1], rows[row, peak + 1])
    return peak, float(score[row, place]) if top else 0.0


def _stands_out(magnitude: np.ndarray, hertz: np.ndarray, peak: int) -> np.ndarray:
    """The paper's rule, lead by lead (12,): more than two sd above the local mean."""
    window = magnitude[:, np.abs(hertz - hertz[peak]) <= LOCAL + _EDGE]
    limit = window.mean(axis=1) + DEVIATIONS * window.std(axis=1)
    # A line between two bins may be highest in the next bin in some lead.
    return magnitude[:, peak - 1 : peak + 2].max(axis=1) > limit


def _between_bins(spectrum: np.ndarray, background: np.ndarray, peak: int) -> float:
    """Offset of a line from its highest bin, in bins, by least squares over the leads.

    A sinusoid d bins from bin k has X(k + j) = C / (d - j), whatever its amplitude and phase, so
    X(k-1) - X(k+1) = d (2 X(k) - X(k-1) - X(k+1)).
    """
    safe = np.where(background[:, peak] > 0, background[:, peak], np.inf)
    left, middle, right = (spectrum[:, peak + j] / safe for j in (-1, 0, 1))
    slope, across = left - right, 2 * middle - left - right
    offset = (slope * across.conj()).real.sum() / (np.abs(across) ** 2).sum()
    return float(np.clip(offset, -1, 1))


def _sinusoid(signal: np.ndarray, hertz: float) -> np.ndarray:
    """Least-squares sinusoid of each lead at one frequency; linear in the signal."""
    phase = 2 * np.pi * hertz * np.arange(signal.shape[-1]) / RATE
    waves = np.stack([np.cos(phase), np.sin(phase)])
    gram = np.einsum("it,jt->ij", waves, waves)
    projected = np.einsum("lt,it->li", signal, waves)
    return np.einsum("li,ij,jt->lt", projected, np.linalg.inv(gram), waves)


def without(signal: np.ndarray, lines: tuple[Line, ...]) -> np.ndarray:
    """The recording (12, n) less the sinusoid of each line, in the leads that have it."""
    rest = np.array(signal, dtype=np.float64)
    for line in lines:
        rest[line.leads] -= _sinusoid(rest[line.leads], line.hertz)
    return rest


def flatten(signal: np.ndarray, lines: tuple[Line, ...]) -> np.ndarray:
    """Bring the magnitude at the lines down to the LOESS fit; the phase stays.

    Args:
        signal: (12, n) mV at 250 Hz.
        lines: from `find`; without any the signal comes back as it is.

    Returns:
        A new array, (12, n), same dtype.
    """
    if not lines:
        return np.array(signal)
    samples = signal.shape[-1]
    hertz = frequencies(samples)
    before = np.fft.rfft(np.ascontiguousarray(signal, dtype=np.float64), axis=-1)
    after = np.fft.rfft(without(signal, lines), axis=-1)  # no lines, and none of their leakage
    magnitude = np.abs(after)
    background = fit(magnitude, samples)
    for line in lines:
        distance = np.abs(hertz - line.hertz)
        window = magnitude[:, distance <= LOCAL + _EDGE]
        limit = window.mean(axis=1) + DEVIATIONS * window.std(axis=1)
        band = np.flatnonzero(distance <= BAND + _EDGE)
        seen = np.abs(before[:, band])
        peaks = (seen > limit[:, None]) & line.leads[:, None]
        factor = np.divide(background[:, band], seen, out=np.ones_like(seen), where=peaks)
        factor = np.clip(factor, 0.0, 1.0)  # a fit may dip below 0 or stand above a peak
        factor[LIMB] = factor[LIMB].min(axis=0)
        after[:, band] = before[:, band] * factor
    return np.fft.irfft(after, samples, axis=-1).astype(signal.dtype)
