"""Waves that are small or short, and so are the first to be lost: P, Q, delta wave, pacing spike.

Each is looked for in one ECG alone, by criteria of a reader, and needs no label. A spike of a
reconstruction is looked for where the original has one. The limits for delta waves and spikes were
chosen on validation patients.
"""

import numpy as np
import pandas as pd
from scipy.ndimage import maximum_filter1d

from ecglib.signals.delineate import Waves
from ecglib.signals.heartbeats import INDEPENDENT, MedianBeat
from ecglib.signals.leads import LEADS
from ecglib.signals.measure import usual_beat

TERRITORY = {  # leads in which a Q wave is looked for
    "inferior": ("II", "III", "aVF"),
    "lateral": ("I", "aVL", "V5", "V6"),
    "anterior": ("V3", "V4"),
    "septal": ("V1", "V2"),
}
LIMB = slice(0, 6)
SMALL_P = 0.1  # mV in the limb leads; a P wave of at most that is small
Q_VISIBLE, Q_DEPTH, Q_SECONDS, Q_SHARE = 0.03, 0.1, 0.03, 0.2  # mV, mV, s, share of the next R
Q_LEADS = 2  # of a territory
DELTA_SECONDS = 0.044  # s from the onset of the QRS until it moves at half of its speed
SPIKE_BEFORE = 0.36  # s before the middle of the QRS in which a spike is looked for
SPIKE_AFTER = 0.024  # s by which the spike may follow the onset of the QRS, which it may hide
SPIKE_ALONE = 0.02  # s on both sides in which a spike has no equal
SPIKE_HEIGHT = 0.15  # mV; lower ones are noise or QRS
SPIKE_REACH = 0.01  # s from the spike of the original
SPIKE_SHARE = 0.5  # of the original's height that a spike keeps if it is still one


def find_waves(x: np.ndarray, rate: float) -> dict[str, float]:
    """Small waves of the usual beat of an ECG (12, n) in mV, without padding.

    Returns:
        `p`, the height of P in the limb lead where it is largest, mV, 0 without a P wave; `delta`,
        s from the onset of the QRS until its spatial velocity is half of the largest; `q_inferior`,
        `q_lateral`, `q_anterior`, `q_septal`, the leads of the territory with a pathological Q
        wave, which is 30 ms long, 0.1 mV deep and a fifth of the R that follows. All are NaN where
        no beats are alike.
    """
    names = ("p", "delta", *(f"q_{territory}" for territory in TERRITORY))
    if (detected := usual_beat(x, rate)) is None:
        return dict.fromkeys(names, float("nan"))
    beat, waves = detected
    onset, end = int(waves.qrs_onset), int(np.ceil(waves.qrs_end))
    level = beat.wave[:, max(0, onset - round(0.02 * rate)) : onset + 1].mean(1, keepdims=True)
    qrs = (beat.wave - level)[:, onset : end + 1]
    q = {lead: _has_q(qrs[place], rate) for place, lead in enumerate(LEADS)}
    counts = [float(sum(q[lead] for lead in leads)) for leads in TERRITORY.values()]
    return dict(zip(names, [_p_height(beat, waves), _slow_start(qrs, rate), *counts], strict=True))


def _p_height(beat: MedianBeat, waves: Waves) -> float:
    """Largest distance of P from the line between its ends in a limb lead, mV."""
    if not np.isfinite(waves.p_onset):
        return 0.0
    part = beat.wave[LIMB, int(waves.p_onset) : int(np.ceil(waves.p_end)) + 1]
    line = np.linspace(part[:, 0], part[:, -1], part.shape[1], axis=1)
    return float(np.abs(part - line).max())


def _slow_start(qrs: np.ndarray, rate: float) -> float:
    """Seconds until the spatial velocity of the QRS (12, m) reaches half of its maximum."""
    speed = np.linalg.norm(np.gradient(qrs, axis=1)[INDEPENDENT], axis=0)
    return float((speed >= 0.5 * speed.max()).argmax() / rate)


def _has_q(qrs: np.ndarray, rate: float) -> bool:
    """Whether the QRS of a lead (m,) begins with a pathological Q wave."""
    sign = np.sign(qrs) * (np.abs(qrs) >= Q_VISIBLE)
    seen = np.flatnonzero(sign)
    if not len(seen) or sign[seen[0]] > 0:
        return False
    turns = np.flatnonzero(sign[seen] > 0)
    q = seen[: turns[0]] if len(turns) else seen
    follows = max(qrs[q[-1] :].max(), 0.0)
    depth = -qrs[q].min()
    return bool(len(q) >= Q_SECONDS * rate - 1 and depth >= max(Q_DEPTH, Q_SHARE * follows))


def are_seen(waves: pd.DataFrame) -> pd.DataFrame:
    """Which waves an ECG shows, from the rows of `find_waves`: p, delta, q_inferior, ... (bool).
    An ECG without alike beats shows none."""
    limits = {"p": 1e-9, "delta": DELTA_SECONDS} | {f"q_{t}": Q_LEADS for t in TERRITORY}
    return pd.DataFrame({name: waves[name] >= limit for name, limit in limits.items()})


def spike_heights(x: np.ndarray, y: np.ndarray, rate: float) -> tuple[float, float]:
    """Heights (mV) of the pacing spike of an ECG x (12, n), and of y at the same place.

    The height is how far `sharpness` rises above that of 20 ms earlier and later, median over the
    usual beats of x. The spike is the highest such point before or at the onset of the QRS. In y
    the highest one within 10 ms of it counts. NaN where no beats are alike.
    """
    if (detected := usual_beat(x, rate)) is None:
        return float("nan"), float("nan")
    beat, waves = detected
    before, alone = round(SPIKE_BEFORE * rate), round(SPIKE_ALONE * rate)
    after = int(waves.qrs_onset - beat.centre + SPIKE_AFTER * rate)
    peaks = beat.peaks[beat.usual]
    peaks = peaks[(peaks >= before + alone) & (peaks < x.shape[1] - max(after, 0) - alone)]
    windows = peaks[:, None] + np.arange(-before, after)
    height, other = (_rise(sharpness(signal), windows, alone) for signal in (x, y))
    place, reach = int(height.argmax()), int(SPIKE_REACH * rate)
    return float(height[place]), float(other[max(0, place - reach) : place + reach + 1].max())


def _rise(sharp: np.ndarray, windows: np.ndarray, alone: int) -> np.ndarray:
    """How far the median over beats rises above that of `alone` samples before and after."""
    sharp = maximum_filter1d(sharp, 3)  # beats are aligned to a sample or two only
    shifted = (np.median(sharp[windows + shift], axis=0) for shift in (0, -alone, alone))
    middle, before, after = shifted
    return middle - np.maximum(before, after)


def sharpness(signal: np.ndarray) -> np.ndarray:
    """Distance of each sample from the mean of its neighbours, all leads together: (n,) mV."""
    leads = signal[INDEPENDENT].astype(np.float64)
    middle = leads[:, 1:-1] - (leads[:, :-2] + leads[:, 2:]) / 2
    return np.pad(np.linalg.norm(middle, axis=0), 1)
