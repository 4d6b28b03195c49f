"""Power-line interference: detection and removal of lines at 50 and 60 Hz and their harmonics.

ECG-Tok (section 2.1) looks for spectral peaks more than two standard deviations above the local
mean and flattens them with a LOESS fit of the spectrum. The phase is kept here, as in the released
code; the paper does not say so. The paper's rule suits a spectrum averaged over thousands of
recordings. In the spectrum of one recording noise alone passes it almost always, in one lead or
another. So a peak must meet more here, in the power over the fit,

    power(f) = |X(f)|^2 / fit(f)^2   in one lead, or averaged over the leads,

because mains reach all electrodes at one frequency while noise peaks at random ones. The peak must
be high, and several times as high as any peak of the same record 1 to 5 Hz away, where no mains can
be. This second condition assumes nothing about the noise: a regular rhythm has peaks at all
multiples of the heart rate, and none of them exceeds its neighbours by much.

Flattening: a line between two bins of the transform leaks into all others. The sinusoid at its own
frequency gives that leakage, which is subtracted outside the line's band of +-0.5 Hz. Inside, every
peak is multiplied down to the fit. The six limb leads get one linear filter (the smallest factor
that any of them needs), so their identities hold.
"""

from typing import NamedTuple

import numpy as np

from ecglib.signals import loess
from ecglib.signals.leads import RATE

FUNDAMENTALS = (50.0, 60.0)
BAND = 0.5  # Hz to either side of a line that belong to it
AWAY = (1.0, 5.0)  # Hz from the line to the frequencies that it is compared with
LOCAL = 2.5  # Hz to either side for the local mean and standard deviation
DEVIATIONS = 2.0
# The power that a line must reach, also as a multiple of the highest power nearby.
HEIGHT, RATIO = 5.0, 2.25  # averaged over the leads
HEIGHT_ALONE, RATIO_ALONE = 16.0, 4.0  # in a single lead
SPAN = 9.5  # Hz, the LOESS window
MIN_SECONDS = 2.0  # shorter recordings resolve no line
LIMB = slice(0, 6)
_EDGE = 1e-6  # Hz, so that rounding does not decide whether a bin is in a band


class Line(NamedTuple):
    """A mains line of one recording.

    Attributes:
        hertz: its frequency, between the bins.
        leads: bool (12,), those in which it is flattened.
        certainty: factor by which it exceeds the conditions, 1 or more.
    """

    hertz: float
    leads: np.ndarray
    certainty: float


def line_frequencies(below: float) -> tuple[float, ...]:
    """50 and 60 Hz and their harmonics below a frequency (Hz), in rising order."""
    times = range(1, int(below / min(FUNDAMENTALS)) + 1)
    return tuple(sorted({k * f for f in FUNDAMENTALS for k in times if k * f < below}))


def frequencies(samples: int) -> np.ndarray:
    """Frequencies (Hz) of the spectrum of a recording at the working rate."""
    return np.fft.rfftfreq(samples, 1 / RATE)


def fit_background(magnitude: np.ndarray, samples: int) -> np.ndarray:
    """Fit magnitude spectra by LOESS over a window of `SPAN` Hz.

    Args:
        magnitude: (..., samples // 2 + 1).
        samples: length of the recording.

    Returns the same shape. For ten seconds the window has 95 bins.
    """
    half = int(SPAN / 2 * samples / RATE)
    return loess.smooth(magnitude, 2 * half + 1)


def find_lines(
    signal: np.ndarray, below: float = RATE / 2, nominal: tuple[float, ...] | None = None
) -> tuple[Line, ...]:
    """Find the mains lines of a recording.

    Args:
        signal: (12, n) at 250 Hz; in less than `MIN_SECONDS` no line is detected.
        below: Hz, half the rate at which it was recorded.
        nominal: Hz where lines may be; 50 and 60 Hz and harmonics if not given. (Frequencies
            without mains give the rate of false detections.)

    Returns lines by rising frequency, at most one per nominal frequency.
    """
    samples = signal.shape[-1]
    if samples < MIN_SECONDS * RATE:
        return ()
    spectrum = np.fft.rfft(np.ascontiguousarray(signal, dtype=np.float64), axis=-1)
    magnitude = np.abs(spectrum)
    background = fit_background(magnitude, samples)
    power = np.divide(magnitude, background, out=np.zeros_like(magnitude), where=background > 0)
    power **= 2
    hertz = frequencies(samples)
    lines = []
    for centre in line_frequencies(min(below, RATE / 2)) if nominal is None else nominal:
        peak, certainty = _candidate(power, hertz, centre)
        leads = _exceeds_local(magnitude, hertz, peak)
        if certainty >= 1 and leads.any():
            frequency = (peak + _between_bins(spectrum, background, peak)) * RATE / samples
            leads[LIMB] = leads[LIMB].any()
            lines.append(Line(float(frequency), leads, certainty))
    return tuple(lines)


def _candidate(power: np.ndarray, hertz: np.ndarray, centre: float) -> tuple[int, float]:
    """The likeliest bin of a line, and the factor by which it exceeds our two conditions."""
    powers = np.vstack([power.mean(axis=0), power])
    height = np.array([HEIGHT] + [HEIGHT_ALONE] * len(power))
    ratio = np.array([RATIO] + [RATIO_ALONE] * len(power))
    distance = np.abs(hertz - centre)
    nearby = (distance >= AWAY[0] - _EDGE) & (distance <= AWAY[1] + _EDGE)
    # Towards the end of the spectrum the window is cut off, and a line in it bends the fit away.
    nearby &= hertz <= hertz[-1] - SPAN / 2
    needed = np.maximum(height, ratio * powers[:, nearby].max(axis=1))
    band = np.flatnonzero(distance <= BAND + _EDGE)
    score = powers[:, band] / needed[:, None]
    lead, place = np.unravel_index(score.argmax(), score.shape)
    peak = int(band[place])
    # A bin on the flank of a peak outside the band is no peak.
    top = powers[lead, peak] >= max(powers[lead, peak - 1], powers[lead, peak + 1])
    return peak, float(score[lead, place]) if top else 0.0


def _exceeds_local(magnitude: np.ndarray, hertz: np.ndarray, peak: int) -> np.ndarray:
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


def subtract_lines(signal: np.ndarray, lines: tuple[Line, ...]) -> np.ndarray:
    """Subtract the sinusoid of each line from (12, n), in the leads that have it."""
    remainder = np.array(signal, dtype=np.float64)
    for line in lines:
        remainder[line.leads] -= _sinusoid(remainder[line.leads], line.hertz)
    return remainder


def flatten(signal: np.ndarray, lines: tuple[Line, ...]) -> np.ndarray:
    """Bring the magnitude at the lines down to the LOESS fit; the phase stays.

    Args:
        signal: (12, n) mV at 250 Hz.
        lines: from `find_lines`; without any the signal comes back as it is.

    Returns a new array, (12, n), same dtype.
    """
    if not lines:
        return np.array(signal)
    samples = signal.shape[-1]
    hertz = frequencies(samples)
    before = np.fft.rfft(np.ascontiguousarray(signal, dtype=np.float64), axis=-1)
    # No lines, and none of their leakage.
    after = np.fft.rfft(subtract_lines(signal, lines), axis=-1)
    magnitude = np.abs(after)
    background = fit_background(magnitude, samples)
    for line in lines:
        distance = np.abs(hertz - line.hertz)
        window = magnitude[:, distance <= LOCAL + _EDGE]
        limit = window.mean(axis=1) + DEVIATIONS * window.std(axis=1)
        band = np.flatnonzero(distance <= BAND + _EDGE)
        original = np.abs(before[:, band])
        peaks = (original > limit[:, None]) & line.leads[:, None]
        factor = np.divide(background[:, band], original, out=np.ones_like(original), where=peaks)
        factor = np.clip(factor, 0.0, 1.0)  # a fit may be below 0 or above a peak
        factor[LIMB] = factor[LIMB].min(axis=0)
        after[:, band] = before[:, band] * factor
    return np.fft.irfft(after, samples, axis=-1).astype(signal.dtype)
