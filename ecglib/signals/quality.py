"""Readability of a recording: a score in [0, 1] for each lead, and one for the record.

Every lead has four defects: lost, wander, noise, disagreement. Each is zero in a perfect lead and
named for its look on paper. A logistic model with weights of one sign turns them into the lead's
score. A physician who judges a record counts the leads that cannot be read, and so does the score
of the record:

    s_lead = sigmoid(b - w . d_lead)        s_record = sigmoid(a - c * sum_lead (1 - s_lead))

Only whole records carry human marks (PhysioNet/CinC Challenge 2011; Silva, Moody, Celi, 2011), so
a, b, c and w are fitted together to those. `quality_model.json` holds them with the facts of the
fit; tests/benchmarks/quality_cinc2011.py writes that file. Violated limb-lead identities are no
part of the score (those recordings obey them all); they are a reason to reject a record.
"""

import json
from functools import cache
from importlib.resources import files
from typing import NamedTuple

import numpy as np
from scipy.fft import irfft, rfft
from scipy.ndimage import uniform_filter1d
from scipy.special import expit

from ecglib.signals.leads import LEADS, RATE

DEFECTS = ("lost", "wander", "noise", "disagreement")
FLAT_MV = 0.02  # peak to peak; four steps of MIMIC-IV-ECG's 5 uV resolution
FLAT_SECONDS = 2.0  # at 30 beats per minute this time holds a beat
CLIP_SECONDS = 0.04  # a rounded T wave stays on one 5 uV step for less
CLIP_MV = 1.0  # plateaus nearer to the median are rest, not the end of the range
CUT_SHARE = 0.05  # of the time; rest is not so long at the very largest or smallest value
WANDER_HZ, NOISE_HZ, QRS_HZ = 0.7, 40.0, (5.0, 25.0)
WANDER_MV, NOISE_MV = 0.1, 0.02  # sizes (standard deviation) from which a defect is visible
MIN_SECONDS = 2.0  # shorter signals allow no measure of flatness or agreement


class Scores(NamedTuple):
    """Readability in [0, 1], 1 is best: of the record, and (12,) of its leads."""

    record: float
    leads: np.ndarray


class QualityModel(NamedTuple):
    """The coefficients a, b, c and w (4,) of the formula above; none is negative."""

    record: float
    lead: float
    count: float
    weights: np.ndarray


def score(signal: np.ndarray, rate: float) -> Scores:
    """Score a recording.

    Mains hum counts as noise; score the cleaned signal where it should not.

    Args:
        signal: (12, n) mV in the order of `LEADS`, without padding.
        rate: samples per second.

    Raises ValueError: as for `defects`.
    """
    return apply_model(defects(signal, rate), load_model())


def apply_model(defect: np.ndarray, model: QualityModel) -> Scores:
    """Compute the formula above from the defects (12, 4) of one recording."""
    leads = expit(model.lead - defect @ model.weights)
    return Scores(float(expit(model.record - model.count * (1 - leads).sum())), leads)


@cache
def load_model() -> QualityModel:
    """Read the coefficients from `quality_model.json`."""
    text = (files("ecglib.signals") / "quality_model.json").read_text(encoding="utf-8")
    stored = json.loads(text)
    weights = np.array([stored["weights"][name] for name in DEFECTS])
    return QualityModel(stored["record"], stored["lead"], stored["count"], weights)


def defects(signal: np.ndarray, rate: float) -> np.ndarray:
    """Measure each defect in each lead.

    lost          share of time flat (two-second windows that span under 0.02 mV) or clipped; 1 if
                  the lead is cut off below its QRS
    wander        log10(1 + standard deviation below 0.7 Hz / 0.1 mV)
    noise         log10(1 + typical standard deviation above 40 Hz / 0.02 mV)
    disagreement  1 - correlation of the QRS envelope with that of the typical lead

    Returns float64 (12, 4), >= 0, columns as `DEFECTS`. `n` and `rate` cancel: one recording at 250
    and at 500 Hz gets nearly the same numbers. Raises ValueError: the signal is not (12, n), is
    shorter than 2 s, or holds NaN or infinity.
    """
    signal = np.asarray(signal, dtype=np.float32)
    if signal.ndim != 2 or signal.shape[0] != len(LEADS):
        raise ValueError(f"expected (12, n) leads to score, got shape {signal.shape}")
    if signal.shape[1] < MIN_SECONDS * rate:
        seconds = signal.shape[1] / rate
        raise ValueError(f"expected {MIN_SECONDS:g} s or more to score, got {seconds:.2f} s")
    if not np.isfinite(signal).all():
        raise ValueError("expected finite samples to score, got NaN or infinity")
    spectrum = rfft(signal - np.median(signal, axis=1, keepdims=True), axis=1)
    wander = _band(spectrum, signal.shape[1], rate, 0.0, WANDER_HZ).std(axis=1)
    lost = flat_share(signal, rate) + clipped_share(signal, rate)
    columns = (
        np.where(cut_share(signal, rate) > 0, 1.0, np.minimum(lost, 1.0)),
        np.log10(1 + wander / WANDER_MV),
        np.log10(1 + _noise(spectrum, signal.shape[1], rate) / NOISE_MV),
        1 - _agreement(_band(spectrum, signal.shape[1], rate, *QRS_HZ)),
    )
    return np.stack(columns, axis=1).astype(np.float64)


def flat_share(signal: np.ndarray, rate: float, seconds: float = FLAT_SECONDS) -> np.ndarray:
    """Share (12,) of the windows of `seconds` seconds in which a lead spans less than `FLAT_MV`.
    Windows start every quarter of their length; the signal (12, n) must hold at least one."""
    quarter = int(seconds * rate / 4)
    count = signal.shape[1] // quarter
    blocks = signal[:, : count * quarter].reshape(len(signal), count, quarter)
    windows = np.lib.stride_tricks.sliding_window_view
    high = windows(blocks.max(axis=2), 4, axis=1).max(axis=2)
    low = windows(blocks.min(axis=2), 4, axis=1).min(axis=2)
    return (high - low < FLAT_MV).mean(axis=1)


def clipped_share(signal: np.ndarray, rate: float) -> np.ndarray:
    """Share (12,) of time in plateaus at a lead's largest or smallest value.
    A plateau counts where it lasts `CLIP_SECONDS` and is `CLIP_MV` away from the lead's median."""
    share, far = _plateaus(signal, rate)
    return (share * far).sum(axis=0)


def cut_share(signal: np.ndarray, rate: float) -> np.ndarray:
    """Share (12,) of time in plateaus nearer to the median, where they fill `CUT_SHARE` of it.

    Such a lead is cut off below the height of its QRS. No lead of PTB-XL's excerpt, of half of LUDB
    or of the accepted recordings of the Challenge is.
    """
    share, far = _plateaus(signal, rate)
    return np.where(~far & (share >= CUT_SHARE), share, 0.0).sum(axis=0)


def _plateaus(signal: np.ndarray, rate: float) -> tuple[np.ndarray, np.ndarray]:
    """(2, 12) shares of time in plateaus of `CLIP_SECONDS` at a lead's largest and at its smallest
    value; and whether these are `CLIP_MV` away from its median."""
    length = max(2, int(np.ceil(CLIP_SECONDS * rate)))
    ends = np.stack([signal.max(axis=1), signal.min(axis=1)])
    shares = np.zeros(ends.shape)
    for place, end in np.ndenumerate(ends):
        at_end = signal[place[1]] == end
        if at_end.sum() >= length:
            edges = np.flatnonzero(np.diff(at_end, prepend=False, append=False))
            runs = edges[1::2] - edges[::2]
            shares[place] = runs[runs >= length].sum() / signal.shape[1]
    return shares, np.abs(ends - np.median(signal, axis=1)) >= CLIP_MV


def noise(signal: np.ndarray, rate: float) -> np.ndarray:
    """Typical standard deviation (12,) of each lead above 40 Hz, in mV.

    The typical value is the median over windows of 0.2 s. Fewer than half of them hold a QRS
    complex, whose notches have frequencies above 40 Hz.
    """
    spectrum = rfft(np.asarray(signal, dtype=np.float32), axis=1)
    return _noise(spectrum, signal.shape[1], rate)


def _band(spectrum: np.ndarray, count: int, rate: float, low: float, high: float) -> np.ndarray:
    """The part of a signal of `count` samples from `low` to below `high` Hz, sampled at 250 Hz."""
    seconds = count / rate
    out = round(seconds * RATE)
    bins = np.arange(min(spectrum.shape[1], out // 2 + 1)) / seconds
    kept = spectrum[:, : len(bins)] * ((bins >= low) & (bins < high))
    return irfft(kept, out, axis=1) * (out / count)


def _noise(spectrum: np.ndarray, count: int, rate: float) -> np.ndarray:
    """As `noise`, from the spectrum."""
    above = _band(spectrum, count, rate, NOISE_HZ, RATE / 2)
    window = RATE // 5
    whole = above.shape[1] // window * window
    power = (above[:, :whole].reshape(len(above), -1, window) ** 2).mean(axis=2)
    return np.sqrt(np.median(power, axis=1))


def _agreement(qrs: np.ndarray) -> np.ndarray:
    """Correlation (12,) in [0, 1] of each lead's QRS envelope with the median envelope.

    All leads show the same beats at the same times. Envelopes have mean 1 before the median, so
    that a lead of large amplitude has no larger vote; one without amplitude has none, and gets 0.
    """
    envelope = np.sqrt(uniform_filter1d(qrs.astype(np.float64) ** 2, RATE // 10, axis=1))
    size = envelope.mean(axis=1, keepdims=True)
    alive = size[:, 0] > 1e-4  # mV
    if not alive.any():
        return np.zeros(len(qrs))
    envelope = np.where(alive[:, None], envelope / np.maximum(size, 1e-4), 1.0) - 1.0
    typical = np.median(envelope[alive], axis=0)
    typical -= typical.mean()
    norms = np.linalg.norm(envelope, axis=1) * np.linalg.norm(typical)
    return np.clip(envelope @ typical / np.maximum(norms, 1e-9), 0.0, 1.0)
