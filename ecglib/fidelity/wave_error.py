"""Errors of a reconstruction where a cardiologist looks: in R, the QRS complex and the ST segment.

Where the waves are is measured once, in the original ECG. A reconstruction is compared there.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd

from ecglib.fidelity.round_trip import CHUNK, SignalSlice, each_ecg
from ecglib.signals.heartbeats import r_peaks
from ecglib.signals.leads import RATE
from ecglib.signals.measure import usual_beat

QRS_REACH = 15  # samples (60 ms) on each side of the middle of a QRS complex
R_LOWEST = 0.2  # mV; a lower R is not compared
LEVEL = 5  # samples (20 ms) before the QRS complex, the reference of the ST level
ST_FROM, ST_TO = 15, 20  # samples after the J point: 60 to 80 ms


class Landmarks(NamedTuple):
    """Where the beats of the usual shape are in an ECG, in samples.

    Attributes:
        peaks: (k,) middles of their QRS complexes.
        onset: from there to the onset of the QRS complex, negative.
        j_point: from there to its end.
    """

    peaks: np.ndarray
    onset: int
    j_point: int


def landmarks(original: SignalSlice, n_valid: np.ndarray) -> list[Landmarks | None]:
    """Of each record; None where no beats of one shape are detected (`signals.measure`)."""
    return [_landmarks(x) for x in each_ecg(original, n_valid)]


def _landmarks(x: np.ndarray) -> Landmarks | None:
    """The same of one ECG x (12, n)."""
    if (detected := usual_beat(x, RATE)) is None:
        return None
    beat, waves = detected
    onset, j_point = (round(end - beat.centre) for end in (waves.qrs_onset, waves.qrs_end))
    peaks = beat.peaks[beat.usual]
    first = np.minimum(onset - LEVEL, -QRS_REACH)
    inside = (peaks + first >= 0) & (peaks + max(j_point + ST_TO, QRS_REACH) < x.shape[1])
    return Landmarks(peaks[inside], onset, j_point) if inside.any() else None


def wave_errors(
    original: SignalSlice,
    reconstruction: SignalSlice,
    n_valid: np.ndarray,
    marks: list[Landmarks | None],
) -> pd.DataFrame:
    """Errors of the QRS complex and of the ST level, one row per record; NaN without landmarks.

    qrs_mv: root mean square error within 60 ms of the middles of the QRS complexes, all leads.
    st_mv: error of the ST level, the mean voltage 60 to 80 ms after the J point less that of the
        20 ms before the QRS complex. The median over beats, absolute, is averaged over leads.
    """
    errors = []
    for start in range(0, len(n_valid), CHUNK):
        part = slice(start, start + CHUNK)
        lost = reconstruction(part) - original(part)
        for e, mark in zip(lost, marks[part], strict=True):
            errors.append((np.nan, np.nan) if mark is None else _of_one(e, mark))
    return pd.DataFrame(errors, columns=["qrs_mv", "st_mv"])


def _of_one(e: np.ndarray, mark: Landmarks) -> tuple[float, float]:
    """QRS and ST error of one difference e (12, n), reconstruction minus original."""

    def around(first: int, last: int) -> np.ndarray:
        """(12, beats, samples) from `first` to before `last`, counted from the peaks."""
        return e[:, mark.peaks[:, None] + np.arange(first, last)]

    qrs = np.sqrt(np.square(around(-QRS_REACH, QRS_REACH + 1), dtype=float).mean())
    level = around(mark.onset - LEVEL, mark.onset).mean(2)
    st = around(mark.j_point + ST_FROM, mark.j_point + ST_TO + 1).mean(2) - level
    return float(qrs), float(np.abs(np.median(st, axis=1)).mean())


def r_amplitude_change(
    original: SignalSlice, reconstruction: SignalSlice, n_valid: np.ndarray
) -> np.ndarray:
    """Median |change| of R as a share of R over the beats and leads of each ECG, (n,).

    Beats are those of the original. R is the highest voltage within 60 ms of a beat, in the
    original and in the reconstruction. It counts where the original has 0.2 mV or more; else NaN.
    """
    pairs = zip(each_ecg(original, n_valid), each_ecg(reconstruction, n_valid), strict=True)
    return np.array([_median_change(x, y) for x, y in pairs])


def _median_change(x: np.ndarray, y: np.ndarray) -> float:
    """The same of one ECG x (12, n) and its reconstruction y."""
    windows = [slice(max(0, beat - QRS_REACH), beat + QRS_REACH + 1) for beat in r_peaks(x, RATE)]
    before, after = (
        np.array([signal[:, window].max(1) for window in windows]).reshape(-1, len(signal))
        for signal in (x, y)
    )
    high = before >= R_LOWEST
    if not high.any():
        return float("nan")
    return float(np.median(np.abs(after[high] / before[high] - 1)))
