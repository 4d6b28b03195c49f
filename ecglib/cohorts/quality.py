"""Which recordings cannot be used, and why: the tests that send a file to the quarantine.

All tests read the arranged signal in millivolts, at the rate of the file. They reject what no
method could use; noisy but readable ECGs stay.
"""

from typing import NamedTuple

import numpy as np

from ecglib.signals.leads import LEADS, limb_identities

MIN_SECONDS = 5.0
FLAT_MV = 0.02  # peak to peak; four steps of MIMIC-IV-ECG's 5 uV resolution
IDENTITY_MV = 0.1
LARGEST_MV = 32.767  # what int16 microvolts can hold


class Problem(NamedTuple):
    """Why a recording is rejected: the reason, and the value that decided."""

    reason: str
    value: str


def problem(signal: np.ndarray, rate: float, min_seconds: float = MIN_SECONDS) -> Problem | None:
    """Name the first defect of a recording, or None.

    Args:
        signal: (12, n) in mV, leads in the order of ``LEADS``.
        rate: samples per second.
        min_seconds: shorter recordings are rejected.
    """
    if signal.ndim != 2 or signal.shape[0] != len(LEADS):
        return Problem("wrong shape", str(signal.shape))
    if signal.shape[1] < min_seconds * rate:
        return Problem("too short", f"{signal.shape[1] / rate:.3f} s")
    finite = np.isfinite(signal)
    if not finite.all():
        return Problem("missing samples", f"{int((~finite).sum())} samples")
    spans = signal.max(axis=1) - signal.min(axis=1)
    if spans.min() < FLAT_MV:
        lead = int(spans.argmin())
        return Problem("flat lead", f"{LEADS[lead]}: {spans[lead]:.4f} mV peak to peak")
    if np.abs(signal).max() > LARGEST_MV:
        return Problem("amplitude beyond int16 microvolts", f"{np.abs(signal).max():.1f} mV")
    identity, violation = max(limb_identities(signal).items(), key=lambda item: item[1])
    if violation > IDENTITY_MV:
        return Problem("limb identities violated", f"{identity}: {violation:.3f} mV")
    return None
