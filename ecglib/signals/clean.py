"""Cleaning as in ECG-Tok (section 2.1): one recording in, the same one at 250 Hz out.

    resample -> high-pass where wander outweighs the ECG -> flatten mains lines

Nothing but the recording itself enters, so the bytes are the same alone or among a million, on one
worker or on many. Readers give millivolts already; the paper's last step, scaling, is theirs.
"""

from typing import NamedTuple

import numpy as np

from ecglib.signals import highpass, mains
from ecglib.signals.leads import LEADS
from ecglib.signals.mains import Line
from ecglib.signals.resample import to_rate


class Steps(NamedTuple):
    """A recording after each step of the cleaning.

    Attributes:
        original: (12, n) mV, as given, at `rate` Hz.
        resampled, high_passed, flattened: float32 (12, m) mV at 250 Hz.
        filtered: bool (12,), the leads that were high-passed.
        lines: the mains lines that were flattened.
    """

    original: np.ndarray
    rate: float
    resampled: np.ndarray
    high_passed: np.ndarray
    flattened: np.ndarray
    filtered: np.ndarray
    lines: tuple[Line, ...]


class Cleaned(NamedTuple):
    """A cleaned recording: float32 (12, m) mV at 250 Hz, not padded, and what was done to it."""

    signal: np.ndarray
    high_passed: np.ndarray  # bool (12,)
    mains: tuple[float, ...]  # Hz of the lines that were flattened


def steps(signal: np.ndarray, rate: float) -> Steps:
    """Clean a recording and keep what every step made of it.

    Args:
        signal: (12, n) mV, leads in the order of `leads.LEADS`.
        rate: samples per second.

    Raises:
        ValueError: another shape, no samples, values that are not finite, or a rate that
            `resample.to_rate` refuses.
    """
    signal = np.asarray(signal)
    if signal.ndim != 2 or len(signal) != len(LEADS) or signal.shape[1] == 0:
        raise ValueError(f"Cleaning needs a (12, n) signal in mV, not one of shape {signal.shape}.")
    if not np.isfinite(signal).all():
        count = int((~np.isfinite(signal)).sum())
        raise ValueError(
            f"{count} samples are not finite numbers; reject the recording "
            "(ecglib.cohorts.quarantine) before it is cleaned."
        )
    resampled = to_rate(signal, rate)
    filtered = highpass.needed(resampled)
    high_passed = highpass.high_pass(resampled, filtered)
    lines = mains.find(high_passed, below=rate / 2)
    flattened = mains.flatten(high_passed, lines)
    return Steps(signal, rate, resampled, high_passed, flattened, filtered, lines)


def clean(signal: np.ndarray, rate: float) -> Cleaned:
    """Clean a recording: resample to 250 Hz, high-pass if needed, flatten mains lines.

    Args and errors are those of `steps`, whose last step this is.
    """
    done = steps(signal, rate)
    return Cleaned(done.flattened, done.filtered, tuple(line.hertz for line in done.lines))
