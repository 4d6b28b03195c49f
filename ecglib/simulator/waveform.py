"""The simulated 12-lead ECG of a heart state.

state -> events in time (`rhythms`) -> source (5, n) = sum of bumps (`morphology`) -> nine
electrodes -> twelve leads
"""

import numpy as np

from ecglib.signals.leads import ELECTRODES, from_electrodes
from ecglib.simulator import atria, beats, morphology, rhythms
from ecglib.simulator.beats import Bumps
from ecglib.simulator.heart import HeartState

beat_times = rhythms.beat_times
_BEFORE, _AFTER = 0.42, 0.90  # s around a QRS onset in which its beat is not zero
_REACH = 5.0  # widths of a bump, beyond which it is below 4e-6 of its size


def simulate(state: HeartState, rate: int, rng: np.random.Generator) -> np.ndarray:
    """The ECG of a heart without noise: float32 (12, 10 * rate) mV in the order of `LEADS`.
    `rng` draws the times of beats, breathing and fibrillatory waves."""
    count = round(rate * rhythms.SECONDS)
    time = np.arange(count) / rate
    matrix = beats.electrode_matrix(state.anatomy.placement)
    events = rhythms.events(state, rng)
    source = np.zeros((5, count))
    if state.rhythm == "afib":
        source += atria.fibrillation(state, time, rng)
    elif state.rhythm == "flutter":
        source += atria.flutter(state, time, events.of("qrs")[0])
    breath, phase = rng.uniform(0.18, 0.32), rng.random()
    waves = {name: morphology.waves_of(name, state, matrix) for name in dict.fromkeys(events.names)}
    reach = {name: _reach(name, group) for name, group in waves.items()}
    for onset, name in zip(*events, strict=True):
        before, after = reach[name]
        low = max(0, int((onset - before) * rate))
        high = min(count, int((onset + after) * rate))
        if high <= low:
            continue
        # Breathing moves the heart and changes the size by 4 per cent.
        swing = 1 + 0.04 * np.sin(2 * np.pi * (breath * onset + phase))
        source[:, low:high] += swing * waves[name].at(time[low:high] - onset)
    return from_electrodes(exchange(matrix @ source, state.exchanged))


def exchange(potential: np.ndarray, exchanged: tuple[str, ...]) -> np.ndarray:
    """Potentials (9, ...) as recorded with two cables exchanged; () exchanges none."""
    if not exchanged:
        return potential
    pair = [ELECTRODES.index(name) for name in exchanged]
    out = potential.copy()
    out[pair] = potential[pair[::-1]]
    return out


def _reach(name: str, group: Bumps) -> tuple[float, float]:
    """Seconds before and after an event in which its waves are not zero."""
    if name == "beat" or name.startswith("premature"):
        return _BEFORE, _AFTER
    first = (group.centre - _REACH * group.before).min()
    return -float(first), float((group.centre + _REACH * group.after).max())
