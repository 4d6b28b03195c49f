"""Baseline wander: a zero-phase 1 Hz high-pass, only where wander outweighs the ECG.

ECG-Tok (section 2.1) filters where the energy below 1 Hz is more than ten times that of 1 to 30 Hz.
A high-pass at 1 Hz also bends ST segments, so most recordings are better left alone. The paper
names neither filter nor order: here a Butterworth of order 2, run forwards and backwards, so waves
keep their place and 1 Hz itself keeps a half (-6 dB). The DC term counts as no energy: an offset is
not wander.

The rule is asked lead by lead. Where one of the six limb leads answers yes, all six are filtered:
the same linear filter on all of them keeps III = II - I and the other identities, while a filter on
some of them would leave the others' wander in the difference.
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


def energy_ratio(signal: np.ndarray, rate: float = RATE) -> np.ndarray:
    """Energy below 1 Hz, without the DC term, over that from 1 to 30 Hz.

    Args:
        signal: (leads, n) at `rate` Hz.

    Returns:
        (leads,); 0 where both are 0, inf where only the second is.
    """
    signal = np.ascontiguousarray(signal, dtype=np.float64)
    centred = signal - signal.mean(axis=-1, keepdims=True)
    energy = np.abs(np.fft.rfft(centred, axis=-1)) ** 2
    hertz = np.fft.rfftfreq(signal.shape[-1], 1 / rate)
    low = energy[..., (hertz > 0) & (hertz < CUTOFF)].sum(axis=-1)
    high = energy[..., (hertz >= CUTOFF) & (hertz <= UPPER)].sum(axis=-1)
    empty = np.where(low > 0, np.inf, 0.0)
    return np.divide(low, high, out=empty, where=high > 0)


def needed(signal: np.ndarray, rate: float = RATE) -> np.ndarray:
    """Which leads of a recording are to be filtered.

    Args:
        signal: (12, n) in the order of `leads.LEADS`.

    Returns:
        bool (12,): the ten-times rule for each chest lead; for the six limb leads together, yes
        where it holds in any of them.
    """
    leads = energy_ratio(signal, rate) > TIMES
    leads[LIMB] = leads[LIMB].any()
    return leads


def high_pass(signal: np.ndarray, leads: np.ndarray, rate: float = RATE) -> np.ndarray:
    """Filter some leads without a shift in time; the others come back unchanged.

    Args:
        signal: (12, n).
        leads: bool (12,), those to filter.

    Returns:
        A copy of `signal`, same dtype. Beyond both ends the signal is continued by its reflection
        through the end point, for up to two seconds.
    """
    out = np.array(signal)
    if leads.any():
        sections = butter(ORDER, CUTOFF, "highpass", fs=rate, output="sos")
        padding = min(round(_PADDING * rate), signal.shape[-1] - 1)
        wandering = np.ascontiguousarray(signal[leads], dtype=np.float64)
        out[leads] = sosfiltfilt(sections, wandering, axis=-1, padlen=padding)
    return out
