"""Baseline wander: a zero-phase 1 Hz high-pass, only where wander outweighs the ECG.

ECG-Tok (section 2.1) filters where the energy below 1 Hz is more than ten times that of 1 to 30 Hz.
A high-pass at 1 Hz also bends ST segments, so most recordings are better left alone. The paper
names neither filter nor order: here a Butterworth of order 2, run forwards and backwards, so waves
keep their place and 1 Hz itself keeps a half (-6 dB). The DC term counts as no energy: an offset is
not wander.

The rule is applied lead by lead. Where it holds in one of the six limb leads, all six are filtered:
the same linear filter on all of them keeps III = II - I and the other identities, while a filter on
a part of them would leave the wander of the others in the difference.
"""

import numpy as np
from scipy.signal import butter, sosfiltfilt

from ecglib.signals.leads import RATE

CUTOFF = 1.0  # Hz
UPPER = 30.0  # Hz, end of the band that the wander is compared with
TIMES = 10.0
ORDER = 2
LIMB = slice(0, 6)
_PADDING = 2.0  # s; by then the filter's own response has decayed to 1e-4


def energy_ratio(signal: np.ndarray) -> np.ndarray:
    """Energy below 1 Hz, without the DC term, over that from 1 to 30 Hz. `signal`: (leads, n) at
    250 Hz. Returns (leads,); 0 where both are 0, inf where only the second is."""
    signal = np.ascontiguousarray(signal, dtype=np.float64)
    centred = signal - signal.mean(axis=-1, keepdims=True)
    energy = np.abs(np.fft.rfft(centred, axis=-1)) ** 2
    hertz = np.fft.rfftfreq(signal.shape[-1], 1 / RATE)
    low = energy[..., (hertz > 0) & (hertz < CUTOFF)].sum(axis=-1)
    high = energy[..., (hertz >= CUTOFF) & (hertz <= UPPER)].sum(axis=-1)
    empty = np.where(low > 0, np.inf, 0.0)
    return np.divide(low, high, out=empty, where=high > 0)


def leads_to_filter(signal: np.ndarray) -> np.ndarray:
    """Choose the leads of a recording to filter.

    `signal`: (12, n) at 250 Hz in the order of `leads.LEADS`. Returns bool (12,): the ten-times
    rule for each chest lead; for the six limb leads together, True where it holds in any of them.
    """
    leads = energy_ratio(signal) > TIMES
    leads[LIMB] = leads[LIMB].any()
    return leads


def high_pass(signal: np.ndarray, leads: np.ndarray) -> np.ndarray:
    """Filter the chosen leads without a shift in time; the others come back unchanged.

    Args:
        signal: (12, n) at 250 Hz.
        leads: bool (12,), those to filter.

    Returns:
        A copy of `signal`, same dtype. Beyond both ends the signal is continued by its reflection
        through the end point, for up to two seconds.
    """
    out = np.array(signal)
    if leads.any():
        sections = butter(ORDER, CUTOFF, "highpass", fs=RATE, output="sos")
        padding = min(round(_PADDING * RATE), signal.shape[-1] - 1)
        wandering = np.ascontiguousarray(signal[leads], dtype=np.float64)
        out[leads] = sosfiltfilt(sections, wandering, axis=-1, padlen=padding)
    return out
