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


class Cleaned(NamedTuple):
    """A cleaned recording and what each step made of it, float32 (12, m) mV at 250 Hz, not padded.

    Attributes:
        resampled, high_passed: after the first and after the second step.
        signal: after the last step.
        filtered: bool (12,), the leads that were high-passed.
        lines: the mains lines that were flattened.
    """

    resampled: np.ndarray
    high_passed: np.ndarray
    signal: np.ndarray
    filtered: np.ndarray
    lines: tuple[Line, ...]


def clean(signal: np.ndarray, rate: float) -> Cleaned:
    """Clean a recording: resample to 250 Hz, high-pass if needed, flatten mains lines.

    Args:
        signal: (12, n) mV, leads in the order of `leads.LEADS`.
        rate: samples per second.

    Raises ValueError: the shape is another, there are no samples, a value is not finite, or
    `resample.to_rate` refuses the rate.
    """
    signal = np.asarray(signal)
    if signal.ndim != 2 or len(signal) != len(LEADS) or signal.shape[1] == 0:
        raise ValueError(f"expected a (12, n) signal in mV to clean, got shape {signal.shape}")
    if not np.isfinite(signal).all():
        count = int((~np.isfinite(signal)).sum())
        text = f"expected finite samples to clean, got {count} that are not"
        raise ValueError(f"{text}; reject the recording (ecglib.cohorts.quarantine) before")
    resampled = to_rate(signal, rate)
    filtered = highpass.leads_to_filter(resampled)
    high_passed = highpass.high_pass(resampled, filtered)
    lines = mains.find_lines(high_passed, below=rate / 2)
    flattened = mains.flatten(high_passed, lines)
    return Cleaned(resampled, high_passed, flattened, filtered, lines)
