"""Recordings longer than an ECG of the store: cut to the first ten seconds, or into windows.

The recording is cut before it is tested, scored and cleaned, so that the quarantine, the quality
and the digest describe what is stored.
"""

import math

from ecglib.signals.leads import RATE, SAMPLES
from ecglib.signals.resample import can_resample

SECONDS = SAMPLES / RATE  # length of an ECG in the store
WAYS = ("cut", "windows")


def cut(record: dict, way: str) -> list[dict]:
    """Make the ECGs that are stored of one recording.

    Args:
        record: ``signal`` (12, n) in mV, ``rate`` in Hz, ``ecg_id`` and, if it has one, ``file``.
        way: "cut" keeps the first ten seconds. "windows" makes each whole ten seconds an ECG with
            the recording's patient and labels; the ecg_id of a window ends in "@" and its first
            second, and the remainder after the last whole ten seconds is left out.

    Returns:
        the record itself where it is no longer than ten seconds, or where its shape or rate is
        unusable, which the quarantine names. The others have ``recorded``, the seconds of the
        whole recording.
    """
    signal, rate = record["signal"], record["rate"]
    if signal.ndim != 2 or not can_resample(rate):
        return [record]
    length = math.floor(SECONDS * rate + 1e-6)  # samples; the margin is for rounded products
    if signal.shape[1] <= length:
        return [record]
    whole = record | {"recorded": signal.shape[1] / rate}
    if way == "cut":
        return [whole | {"signal": signal[:, :length]}]
    windows = []
    for start in range(0, signal.shape[1] - length + 1, length):
        first = round(start / rate)
        named = {key: f"{record[key]}@{first}" for key in ("ecg_id", "file") if record.get(key)}
        windows.append(whole | named | {"signal": signal[:, start : start + length]})
    return windows


def notes(kept: list[dict], way: str) -> list[str]:
    """Say how many of the stored ECGs are parts of longer recordings; nothing where none is."""
    lengths = [record["recorded"] for record in kept if "recorded" in record]
    if not lengths:
        return []
    if way == "cut":
        what = f"the first {SECONDS:g} s of longer recordings; the rest is not stored"
    else:
        what = (
            f"windows of {SECONDS:g} s of longer recordings and have the labels of the whole "
            "recording; what remains after the last window is not stored"
        )
    return [f"{len(lengths)} ECGs are {what} (the longest lasts {max(lengths):.1f} s)"]
