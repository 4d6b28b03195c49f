"""Rate, intervals, axes and amplitudes of a 12-lead ECG, from its waveform alone.

Beats are detected in all leads together, and the median of those of the usual shape (`heartbeats`)
is delineated (`delineate`) and measured. A value that cannot be measured is NaN: the PR interval
without a P wave, every value where no three beats are alike. NeuroKit2 delineates single leads and
does not install with pandas 3 (benchmark `measure_ludb` compares); wfdb detects beats only, in one
lead and several times slower (benchmark `measure_simulated`).
"""

import numpy as np
from scipy.signal import butter, sosfiltfilt

from ecglib.signals.delineate import Waves, delineate
from ecglib.signals.heartbeats import INDEPENDENT, MedianBeat, median_beat, r_peaks
from ecglib.signals.leads import LEADS
from ecglib.signals.spikes import remove_spikes

# Kligfield et al. 2007 (Circulation 115:1306): a zero-phase high-pass may reach 0.67 Hz without
# bending the ST segment. 40 Hz leaves the onset of the QRS within a few ms and takes out mains.
BAND = (0.5, 40.0)
SLOWEST = 100.0  # Hz, the lowest rate at which intervals mean anything
SHORTEST = 2.0  # s
ST_AFTER_J = 0.06  # s
SPIKE_AFTER = 0.04  # s from a QRS onset that is set too early to the spike
SMALLEST_R = 0.05  # mV; after a lower one no S is searched
_AVF = 2 / np.sqrt(3)  # aVF is a lead of that fraction of lead I's length

_BY_LEAD = ("r", "s", "st", "t")
# The measurements and their units.
MEASURES: dict[str, str] = {
    "heart_rate": "1/min",
    "rr_sd": "ms",
    "rr_rmssd": "1",
    **dict.fromkeys(("pr", "qrs", "qt", "qtc_bazett", "qtc_fridericia"), "ms"),
    **dict.fromkeys(("p_axis", "qrs_axis", "t_axis"), "degrees"),
    **{f"{kind}_{lead}": "mV" for kind in _BY_LEAD for lead in LEADS},
}


def measure(signal: np.ndarray, rate: float) -> dict[str, float]:
    """Measure one ECG.

    heart_rate: ventricular rate, all beats.
    rr_sd: standard deviation of RR between neighbouring beats of the usual shape (SDNN).
    rr_rmssd: root mean square of the differences of successive such RR, over their mean.
    pr, qrs, qt: from the first onset to the last end over all leads, as a cardiologist means them
        (`delineate`; about the third lead decides), without pacing spikes (`spikes`). NaN for PR
        where no P wave is seen: in atrial fibrillation, nearly all flutter (`p_wave`, `flutter`).
    qtc_bazett, qtc_fridericia: QT / RR^(1/2) and QT / RR^(1/3) with RR in s.
    p_axis, qrs_axis, t_axis: of the net area, in (-180, 180]; 0 = lead I, +90 = aVF.
    r_<lead>: highest point of the QRS over the level before it, 0 where it stays below.
    s_<lead>: lowest point of the QRS after the R peak, or of the whole QRS where there is no R of
        0.05 mV; 0 where there is none below the level.
    st_<lead>: level 60 ms after the end of the QRS (J + 60 ms).
    t_<lead>: T wave where it is farthest from the level before the QRS, with its sign.

    Args:
        signal: (12, n) in mV, leads in the order of `LEADS`, without padding. A lead that is flat
            or has missing samples is not used and its amplitudes are NaN.
        rate: samples per second.

    Returns a value for each of `MEASURES`, in their order; NaN where it could not be measured.
    Raises ValueError: another shape, or a rate below 100 Hz.
    """
    if signal.ndim != 2 or len(signal) != len(LEADS):
        raise ValueError(f"expected a (12, n) ECG in mV to measure, got shape {signal.shape}")
    if not rate >= SLOWEST:
        raise ValueError(f"expected {SLOWEST:g} Hz or more to measure intervals, got {rate} Hz")
    if (detected := usual_beat(signal, rate)) is None:
        return dict.fromkeys(MEASURES, np.nan)
    beat, waves = detected
    rr, rr_sd, rr_rmssd = _rhythm(beat, rate)
    # The level of the 20 ms before the QRS is the reference of all amplitudes.
    before = slice(int(waves.qrs_onset - 0.02 * rate), int(waves.qrs_onset) + 1)
    level = beat.wave[:, before].mean(axis=1, keepdims=True)
    wave = np.where(_used(signal)[:, None], beat.wave - level, np.nan)
    qrs_span = (waves.qrs_onset, waves.qrs_end)
    late = waves.qrs_end + 0.4 * (waves.t_end - waves.qrs_end)  # the T wave, not the ST segment
    t_span = (late, waves.t_end)
    p_span = (waves.p_onset, waves.p_end)
    qt = (waves.t_end - waves.qrs_onset) / rate
    st = wave[:, min(int(waves.qrs_end + ST_AFTER_J * rate), wave.shape[1] - 1)]
    row = {
        "heart_rate": 60 / rr,
        "rr_sd": 1000 * rr_sd,
        "rr_rmssd": rr_rmssd,
        "pr": 1000 * (waves.qrs_onset - waves.p_onset) / rate,
        "qrs": 1000 * (waves.qrs_end - waves.qrs_onset) / rate,
        "qt": 1000 * qt,
        "qtc_bazett": 1000 * qt / np.sqrt(rr),
        "qtc_fridericia": 1000 * qt / np.cbrt(rr),
        "p_axis": _axis(wave, p_span, own_line=True),
        "qrs_axis": _axis(wave, qrs_span),
        "t_axis": _axis(wave, t_span),
    }
    by_lead = (*_r_and_s(wave, qrs_span), st, _farthest(wave, t_span))
    for kind, values in zip(_BY_LEAD, by_lead, strict=True):
        row |= {f"{kind}_{lead}": value for lead, value in zip(LEADS, values, strict=True)}
    return {name: float(row[name]) for name in MEASURES}


def usual_beat(signal: np.ndarray, rate: float) -> tuple[MedianBeat, Waves] | None:
    """The median beat of all twelve leads (mV, 0.5 to 40 Hz, no pacing spikes) and its waves.
    Args and errors as for `measure`; None where no beats of one shape are detected."""
    if signal.shape[1] < SHORTEST * rate:
        return None
    used = _used(signal)
    leads = np.where(used[:, None], signal, 0.0).astype(np.float64)
    leads, spikes = remove_spikes(leads, rate)
    beats = r_peaks(leads[INDEPENDENT], rate)
    sos = butter(2, BAND, "band", fs=rate, output="sos")
    smooth = sosfiltfilt(sos, leads, axis=-1, padlen=min(signal.shape[1] - 1, round(rate)))
    if (beat := median_beat(smooth, beats, rate)) is None:
        return None
    waves = delineate(beat, _rhythm(beat, rate)[0], rate)
    return beat, waves._replace(qrs_onset=_not_before_spike(beat, waves.qrs_onset, spikes, rate))


def _not_before_spike(beat: MedianBeat, onset: float, spikes: np.ndarray, rate: float) -> float:
    """The onset of the QRS, not before a spike that half of the usual beats have soon after it."""
    after = spikes - (beat.peaks[beat.usual, None] - beat.centre + onset)
    near = (after > 0) & (after < SPIKE_AFTER * rate)
    return onset + float(np.median(after[near])) if 2 * near.sum() >= len(after) else onset


def _used(signal: np.ndarray) -> np.ndarray:
    """(12,) bool: leads that are not constant and have no missing samples."""
    finite = np.isfinite(signal).all(axis=1)
    return finite & (np.ptp(np.where(finite[:, None], signal, 0.0), axis=1) > 0)


def _rhythm(beat: MedianBeat, rate: float) -> tuple[float, float, float]:
    """Mean RR of all beats (s); SD (s) and RMSSD / mean of RR between usual neighbours."""
    rr = np.diff(beat.peaks) / rate
    usual = beat.usual[1:] & beat.usual[:-1]
    normal = rr[usual]
    steps = np.diff(rr)[usual[1:] & usual[:-1]]
    spread = normal.std(ddof=1) if len(normal) > 1 else np.nan
    rmssd = np.sqrt((steps**2).mean()) / normal.mean() if len(steps) else np.nan
    return float(rr.mean()), float(spread), float(rmssd)


def _cut(wave: np.ndarray, span: tuple[float, float]) -> np.ndarray | None:
    """Samples of a span; None where the span is unknown."""
    if not np.isfinite(span).all():
        return None
    first = max(0, int(np.floor(span[0])))  # a P wave may begin up to a sample before the beat
    return wave[:, first : int(np.ceil(span[1])) + 1]


def _r_and_s(wave: np.ndarray, span: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    part = _cut(wave, span)
    top = part.max(axis=1)
    r = np.where(np.isfinite(top), np.maximum(top, 0.0), np.nan)
    # Without an R of that size the whole complex is one negative wave (QS).
    start = np.where(top > SMALLEST_R, np.argmax(part, axis=1), 0)
    after = np.arange(part.shape[1]) >= start[:, None]
    return r, np.where(after, np.minimum(part, 0.0), 0.0).min(axis=1)


def _farthest(wave: np.ndarray, span: tuple[float, float]) -> np.ndarray:
    if (part := _cut(wave, span)) is None:
        return np.full(len(wave), np.nan)
    places = np.nan_to_num(np.abs(part)).argmax(axis=1)
    return np.take_along_axis(part, places[:, None], axis=1)[:, 0]


def _axis(wave: np.ndarray, span: tuple[float, float], own_line: bool = False) -> float:
    """Frontal axis of the net area over a span, in degrees."""
    if (part := _cut(wave, span)) is None:
        return np.nan
    part = part[[LEADS.index("I"), LEADS.index("aVF")]]
    if own_line:
        part = part - np.linspace(part[:, 0], part[:, -1], part.shape[1], axis=1)
    x, y = part.sum(axis=1) * (1.0, _AVF)
    return float(np.degrees(np.arctan2(y, x)))
