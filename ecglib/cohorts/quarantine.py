"""Tests that send an unusable recording to the quarantine, with the reason.

All tests read the arranged signal in millivolts, at the rate of the file, before any cleaning.
They reject recordings that no method could use; noisy but readable ECGs stay, with a low score
(`ecglib.signals.quality`). Tests for certain defects come before tests that judge, so the recorded
reason is the plainest.
"""

import hashlib
from typing import NamedTuple

import numpy as np

from ecglib.cohorts.settings import MIN_SECONDS
from ecglib.signals.leads import LEADS, from_limb_and_chest
from ecglib.signals.quality import FLAT_MV, clipped_share, cut_share, flat_share, noise
from ecglib.signals.resample import can_resample

LARGEST_MV = 32.767  # what int16 microvolts can hold
SPIKE_SECONDS = 0.2  # of a lead beyond that range: clipped and marked; with more a beat is lost
IDENTITY_MV = 0.1  # rounding to 5 uV makes 0.01 mV; a tenth is 1 mm on paper
IDENTITY_SHARE = 0.01  # PTB-XL has spikes of 5 samples in single leads; a QRS takes 5 % or more
FLAT_SECONDS = 5.0  # half a standard recording; a heart that pauses so long is no resting ECG
LOST_SHARE = 0.25  # of the time clipped or out of range; with less, most beats can be read
PLAUSIBLE_MV = 10.0  # from the median; the largest QRS complexes of hypertrophy reach some 6 mV
LOUD_MV = 0.5  # noise of 3 mV peak to peak over waves of 1 mV: nothing is left to see


class Problem(NamedTuple):
    """Why a recording is rejected: the reason, and the value that decided."""

    reason: str
    value: str


def problem(signal: np.ndarray, rate: float, min_seconds: float = MIN_SECONDS) -> Problem | None:
    """Name the first defect of a recording, or None.

    Args:
        signal: (12, n) in mV, leads in the order of ``LEADS``, without padding.
        rate: samples per second.
        min_seconds: shorter recordings are rejected.
    """
    if signal.ndim != 2 or signal.shape[0] != len(LEADS):
        return Problem("wrong shape", str(signal.shape))
    if not can_resample(rate):
        return Problem("unusable rate", f"{rate:g} Hz")
    if signal.shape[1] < max(min_seconds * rate, 1):
        return Problem("too short", f"{signal.shape[1] / rate:.3f} s")
    return _missing(signal) or _impossible(signal, rate) or _judged(signal, rate)


def clip_spikes(signal: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    """Clip samples beyond the range of the store, +-``LARGEST_MV``.

    `signal`: (12, n) in mV, accepted by ``problem``, so that at most ``SPIKE_SECONDS`` of a lead
    lie beyond. Returns the signal, itself where nothing does; and the names of the clipped leads.
    """
    beyond = (np.abs(signal) > LARGEST_MV).any(axis=1)
    if not beyond.any():
        return signal, ()
    names = tuple(LEADS[lead] for lead in np.flatnonzero(beyond))
    return np.clip(signal, -LARGEST_MV, LARGEST_MV), names


def digest(signal: np.ndarray) -> str:
    """Name the content of a recording: equal digests are one recording under two names.

    It is the SHA-256 of the int16 microvolts, which the rounding of float32 does not change. The
    name, the patient and the header of a file do not enter.

    `signal`: (12, n) in mV, accepted by ``problem``.
    """
    steps = np.rint(np.asarray(signal, dtype=np.float64) * 1000.0).astype("<i2")
    head = f"{steps.shape[0]}x{steps.shape[1]}:".encode()
    return hashlib.sha256(head + np.ascontiguousarray(steps).tobytes()).hexdigest()


def _missing(signal: np.ndarray) -> Problem | None:
    """Missing or flat leads, and missing samples."""
    finite = np.isfinite(signal)
    absent = np.flatnonzero(~finite.any(axis=1))
    if len(absent):
        return Problem("missing lead", ", ".join(LEADS[lead] for lead in absent))
    if not finite.all():
        return Problem("missing samples", f"{int((~finite).sum())} samples")
    spans = signal.max(axis=1) - signal.min(axis=1)
    if spans.min() < FLAT_MV:
        lead = int(spans.argmin())
        return Problem("flat lead", f"{LEADS[lead]}: {spans[lead]:.4f} mV peak to peak")
    return None


def _impossible(signal: np.ndarray, rate: float) -> Problem | None:
    """Amplitudes beyond the range of the store, and leads under a wrong name."""
    beyond = np.abs(signal) > LARGEST_MV
    seconds = beyond.sum(axis=1) / rate
    if seconds.max() > SPIKE_SECONDS:
        lead = int(seconds.argmax())
        largest = float(np.abs(signal[lead]).max())
        value = f"{LEADS[lead]}: {largest:.1f} mV, {seconds[lead]:.2f} s beyond the range"
        return Problem("amplitude beyond int16 microvolts", value)
    inside = signal[:, ~beyond.any(axis=0)] if beyond.any() else signal
    gaps = np.abs(inside - from_limb_and_chest(inside[0], inside[1], inside[6:]))
    violation = np.quantile(gaps, 1 - IDENTITY_SHARE, axis=1)
    if violation.max() > IDENTITY_MV:
        lead = int(violation.argmax())
        return Problem("limb identities violated", f"{LEADS[lead]}: {violation[lead]:.3f} mV")
    return None


def _judged(signal: np.ndarray, rate: float) -> Problem | None:
    """Leads that show too little of the heart."""
    seconds = signal.shape[1] / rate
    if seconds >= FLAT_SECONDS:
        flat = flat_share(signal, rate, FLAT_SECONDS)
        if flat.max() > 0:
            return Problem("flat stretch", f"{LEADS[flat.argmax()]}: {FLAT_SECONDS:g} s or more")
    clipped = clipped_share(signal, rate)
    if clipped.max() > LOST_SHARE:
        lead = int(clipped.argmax())
        return Problem("clipped", f"{LEADS[lead]}: {100 * clipped[lead]:.0f} % of the time")
    cut = cut_share(signal, rate)
    if cut.max() > 0:
        lead = int(cut.argmax())
        value = f"{LEADS[lead]}: {100 * cut[lead]:.0f} % of the time at its largest or smallest"
        return Problem("cut off below its QRS", value)
    gaps = np.abs(signal - np.median(signal, axis=1, keepdims=True))
    usual = np.quantile(gaps, 1 - LOST_SHARE, axis=1)
    if usual.max() > PLAUSIBLE_MV:
        lead = int(usual.argmax())
        return Problem("implausible amplitude", f"{LEADS[lead]}: {usual[lead]:.1f} mV")
    loud = float(np.median(noise(signal, rate)))
    if loud > LOUD_MV:
        return Problem("high-frequency noise", f"median lead: {loud:.2f} mV above 40 Hz")
    return None
