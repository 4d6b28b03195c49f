"""A simulated 12-lead ECG: rhythm in time, beats in space, leads by projection.

state -> times of beats -> source (5, n) = sum of bumps -> nine electrodes -> twelve leads
"""

import numpy as np

from ecglib.signals import beats, morphology
from ecglib.signals.heart import HeartState
from ecglib.signals.leads import from_electrodes

SECONDS = 10.0
_BEFORE, _AFTER = 0.42, 0.90  # s around a QRS onset in which its beat is not zero


def beat_times(
    state: HeartState, rng: np.random.Generator, seconds: float = SECONDS
) -> tuple[np.ndarray, np.ndarray]:
    """When the ventricles are activated.

    A premature beat takes the place of a conducted one, 55 to 75 % of the way to it, and the next
    conducted beat comes when it would have come anyway: a full compensatory pause.

    Returns:
        (k,) QRS onsets in s, from before the recording to its end; (k,) bool, premature.
    """
    count = int(seconds / state.rr) + 4
    spread = state.variability
    if state.rhythm == "afib":
        # Gamma intervals, none shorter than the refractory period of the AV node.
        floor = max(0.33, 0.5 * state.rr)
        free = state.rr - floor
        shape = (free / (spread * state.rr)) ** 2
        interval = floor + rng.gamma(shape, free / shape, count)
        interval *= state.rr / interval[1:-2].mean()
    else:
        breath = 2 * np.pi * (np.arange(count) * state.rr * 0.25 + rng.random())
        noise = rng.standard_normal(count)
        interval = state.rr * (1 + spread * np.clip(np.sin(breath) + 0.4 * noise, -2, 2))
    start = -state.rr * (1 + rng.random())
    times = start + np.cumsum(interval) - interval[0]
    premature = np.zeros(len(times), dtype=bool)
    inside = np.flatnonzero((times > 1.0) & (times < seconds - 1.2))
    for _ in range(state.premature):
        free = [i for i in inside if not premature[i - 1 : i + 2].any()]
        if not free:
            break
        i = int(rng.choice(free))
        premature[i] = True
        gap = times[i] - times[i - 1]
        coupling = max(rng.uniform(0.55, 0.65) * state.rr, state.qt + 0.03)
        times[i] = times[i - 1] + min(coupling, 0.80 * gap)
        if state.rhythm == "afib":
            times[i + 1 :] += max(0.0, times[i] + 1.1 * state.rr - times[i + 1])
    return times, premature


def _fibrillation(state: HeartState, time: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Fibrillatory waves (5, n): three wandering waves of 4.5 to 8 Hz, largest in V1."""
    out = np.zeros((5, len(time)))
    for share in (1.0, 0.6, 0.4):
        rate = rng.uniform(4.5, 8.0)
        wander = rng.uniform(0.3, 1.0) * np.sin(
            2 * np.pi * (rng.uniform(0.2, 0.7) * time + rng.random())
        )
        phase = 2 * np.pi * (rate * time + rng.random()) + wander
        wave = np.sin(phase) + 0.3 * np.sin(2 * phase + rng.uniform(0, 6.28))
        direction = np.array([-0.20, 0.45, 0.80]) + 0.25 * rng.standard_normal(3)
        out[:3] += 0.6 * share * state.f_size * direction[:, None] * wave
    return out


def simulate(
    state: HeartState, rate: int, rng: np.random.Generator, seconds: float = SECONDS
) -> np.ndarray:
    """The clean ECG of a heart.

    Args:
        state: what the heart does.
        rate: samples per second.
        rng: draws the times of beats, breathing and fibrillatory waves.
        seconds: length.

    Returns:
        float32 (12, rate * seconds) mV in the order of `LEADS`, without noise.
    """
    count = round(rate * seconds)
    time = np.arange(count) / rate
    matrix = beats.electrode_matrix(state.anatomy.placement)
    normal = morphology.sinus_beat(state, matrix)
    ectopic = morphology.premature_beat(state)
    times, premature = beat_times(state, rng, seconds)
    source = np.zeros((5, count))
    if state.rhythm == "afib":
        source += _fibrillation(state, time, rng)
    breath, phase = rng.uniform(0.18, 0.32), rng.random()
    for onset, early in zip(times, premature, strict=True):
        low = max(0, int((onset - _BEFORE) * rate))
        high = min(count, int((onset + _AFTER) * rate))
        if high <= low:
            continue
        # Breathing moves the heart: a few per cent of size.
        swing = 1 + 0.04 * np.sin(2 * np.pi * (breath * onset + phase))
        group = ectopic if early else normal
        source[:, low:high] += swing * group.at(time[low:high] - onset)
    return from_electrodes(matrix @ source)
