"""Cleaning as in ECG-Tok (section 2.1): one recording in, the same one at 250 Hz out.

    resample -> high-pass where wander outweighs the ECG -> flatten mains lines

The result depends on the recording alone, so its bytes are the same alone or among a million, on
one worker or on many. The paper's last step, scaling to millivolts, is done by the readers.
"""

from typing import NamedTuple

import numpy as np

from ecglib.signals import highpass, mains
from ecglib.signals.leads import LEADS
from ecglib.signals.mains import Line
from ecglib.signals.resample import to_rate


class CleaningSteps(NamedTuple):
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
    """A cleaned recording, float32 (12, m) mV at 250 Hz, not padded, and its changes."""

    signal: np.ndarray
    high_passed: np.ndarray  # bool (12,)
    mains: tuple[float, ...]  # Hz of the lines that were flattened


def clean_stepwise(signal: np.ndarray, rate: float) -> CleaningSteps:
    """Clean a recording and keep the result of every step.

    Args:
        signal: (12, n) mV, leads in the order of `leads.LEADS`.
        rate: samples per second.

    Raises:
        ValueError: the shape is another, there are no samples, a value is not finite, or
            `resample.to_rate` refuses the rate.
    """
    signal = np.asarray(signal)
    if signal.ndim != 2 or len(signal) != len(LEADS) or signal.shape[1] == 0:
        raise ValueError(f"expected a (12, n) signal in mV to clean, got shape {signal.shape}")
    if not np.isfinite(signal).all():
        count = int((~np.isfinite(signal)).sum())
        raise ValueError(
            f"expected finite samples to clean, got {count} that are not; reject the recording "
            "(ecglib.cohorts.quarantine) before"
        )
    resampled = to_rate(signal, rate)
    filtered = highpass.leads_to_filter(resampled)
    high_passed = highpass.high_pass(resampled, filtered)
    lines = mains.find_lines(high_passed, below=rate / 2)
    flattened = mains.flatten(high_passed, lines)
    return CleaningSteps(signal, rate, resampled, high_passed, flattened, filtered, lines)


def clean(signal: np.ndarray, rate: float) -> Cleaned:
    """Clean a recording: resample to 250 Hz, high-pass if needed, flatten mains lines.

    Args and errors are those of `clean_stepwise`, whose last step this is.
    """
    stepwise = clean_stepwise(signal, rate)
    hertz = tuple(line.hertz for line in stepwise.lines)
    return Cleaned(stepwise.flattened, stepwise.filtered, hertz)
