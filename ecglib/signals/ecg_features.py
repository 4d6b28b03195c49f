"""Named numbers that describe an ECG, whatever its finding.

Three views of each lead: its amplitudes (percentiles of its samples), its spectrum (power by
frequency) and its disturbances (the defects of the quality score). They need no detected beat, so
they exist for every recording.
"""

import numpy as np

from ecglib.signals import quality
from ecglib.signals.leads import LEADS

PERCENTILES = (1, 5, 25, 75, 95, 99)
# Half octaves from 0.5 to 90.5 Hz; the outermost edges are 0.42 and 108 Hz.
HERTZ = tuple(float(f) for f in (0.5 * 2 ** (np.arange(16) / 2)).round(2))
DEFECTS = quality.DEFECTS[1:]  # the percentiles already describe a lost lead


def amplitudes(signal: np.ndarray) -> np.ndarray:
    """(12, 6) mV: percentiles of the samples of each lead, counted from the lead's median.
    `signal`: (12, n) mV, without padding."""
    around = signal - np.median(signal, axis=1, keepdims=True)
    return np.percentile(around, PERCENTILES, axis=1).T


def spectrum(signal: np.ndarray, rate: float) -> np.ndarray:
    """(12, 16) log10 of the power density (mV^2/Hz) of each lead in half octaves around `HERTZ`.

    One Hann window covers the whole recording, so its length sets the resolution. NaN where a band
    holds no frequency, in a short recording or above half the rate.
    """
    count = signal.shape[1]
    window = np.hanning(count + 2)[1:-1]
    # Without the mean under the window, which would leak into the lowest band.
    level = (signal * window).sum(axis=1, keepdims=True) / window.sum()
    power = np.abs(np.fft.rfft((signal - level) * window)) ** 2 * 2 / (rate * (window**2).sum())
    hertz = np.fft.rfftfreq(count, 1 / rate)
    out = np.full((len(signal), len(HERTZ)), np.nan)
    for place, middle in enumerate(HERTZ):
        inside = (hertz >= middle * 2**-0.25) & (hertz < middle * 2**0.25)
        if inside.any():
            out[:, place] = np.log10(np.maximum(power[:, inside].mean(axis=1), 1e-14))
    return out


def ecg_features(signal: np.ndarray, rate: float) -> dict[str, float]:
    """Compute one row of numbers: the columns of `feature_names`, in their order.

    Args:
        signal: (12, n) mV in the order of `LEADS`, at least 2 s, without padding.
        rate: samples per second.

    Raises ValueError: as for `quality.defects`.
    """
    disturbed = quality.defects(signal, rate)[:, 1:]
    signal = np.asarray(signal, dtype=np.float64)
    views = (amplitudes(signal), spectrum(signal, rate), disturbed)
    values = np.concatenate([view.ravel() for view in views])
    return dict(zip(feature_names(), values.tolist(), strict=True))


def feature_names() -> tuple[str, ...]:
    """Names of the features: amplitude_99_V5, power_8_V5, noise_V5, ..."""
    named = {"amplitude": PERCENTILES, "power": HERTZ}
    names = [f"{kind}_{x:g}_{lead}" for kind, of in named.items() for lead in LEADS for x in of]
    return (*names, *(f"{defect}_{lead}" for lead in LEADS for defect in DEFECTS))
