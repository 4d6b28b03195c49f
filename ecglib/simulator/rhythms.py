"""Rhythm: the times at which atria and ventricles fire.

A rhythm is a list of events in time. The name of an event is the group of waves that it sets off: a
"beat" is P, QRS and T at a fixed PR interval. If atria and ventricles are independent, the events
are "p" and "qrs" (with its T). The shapes of the waves are in other modules.
"""

from itertools import count
from typing import NamedTuple

import numpy as np

from ecglib.simulator.heart import HeartState

SECONDS = 10.0
PREMATURE = ("premature", "premature 2", "premature 3")  # ventricular, by shape
# The time of these is the onset of a QRS; that of other events is a P wave's onset or the spike.
QRS_EVENTS = ("beat", "qrs", *PREMATURE)
# Wenckebach: the PR grows by less each time, so the RR shortens until a beat is dropped.
_GROWTH = (0.0, 0.075, 0.115, 0.135, 0.145)  # s
SHORTEST = 0.4  # s; a premature beat is put into a shorter interval only if no other is left
ATRIAL_LEAD, VENTRICULAR_LEAD = 0.008, 0.015  # s from a pacemaker's spike to the chamber's wave

Moments = list[tuple[float, str]]


class Events(NamedTuple):
    """Times of the events (k,) in s, ascending, and their names."""

    time: np.ndarray
    names: list[str]

    def of(self, *names: str) -> np.ndarray:
        """Times of the events of these names."""
        return self.time[[name in names for name in self.names]]


def events(state: HeartState, rng: np.random.Generator) -> Events:
    """The events of a recording, from shortly before it to its end."""
    if state.paced:
        moments = _paced(state, rng)
    elif state.rhythm == "flutter":
        moments = _flutter(state, rng)
    elif state.rhythm in ("junctional", "svt", "ventricular"):
        moments = _without_atria(state, rng)
    elif state.rhythm == "standstill" or state.av == "complete":
        moments = [(t, "p") for t in _steady(state.pp, state, rng)]
        if state.rhythm != "standstill":  # atria and ventricles are independent
            moments += [(t, "qrs") for t in _steady(state.rr, state, rng)]
    elif state.av != "conducted":
        moments = _second_degree(state, rng)
    elif state.premature_atrial or state.every:
        moments = _with_ectopy(state, rng)
    else:
        times, premature = _compensated(state, rng)
        moments = [(t, "premature" if e else "beat") for t, e in zip(times, premature, strict=True)]
    if state.premature and not any(name in PREMATURE for _, name in moments):
        moments = _with_premature(sorted(moments), state, rng)
    moments = _vary_shapes(sorted(moments), state.shapes)
    return Events(np.array([time for time, _ in moments]), [name for _, name in moments])


def beat_times(state: HeartState, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Times at which the ventricles are activated. Returns (k,) QRS onsets in s, from before the
    recording to its end; (k,) bool, premature beats of the ventricles."""
    times, names = events(state, rng)
    of_qrs = [i for i, name in enumerate(names) if name in QRS_EVENTS]
    premature = [names[i] in PREMATURE for i in of_qrs]
    return times[of_qrs], np.array(premature, dtype=bool)


def _compensated(state: HeartState, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Sinus rhythm, an atrial focus or atrial fibrillation: QRS onsets, and which are premature.

    A premature beat replaces a conducted one and comes at 55 to 75 % of its interval. The next
    conducted beat is not shifted, so there is a full compensatory pause.
    """
    number = int(SECONDS / state.rr) + 4
    spread = state.variability
    if state.rhythm == "afib":
        # Gamma intervals, none shorter than the refractory period of the AV node.
        floor = max(0.33, 0.5 * state.rr)
        free = state.rr - floor
        shape = (free / (spread * state.rr)) ** 2
        interval = floor + rng.gamma(shape, free / shape, number)
        interval *= state.rr / interval[1:-2].mean()
    else:
        breath = 2 * np.pi * (np.arange(number) * state.rr * 0.25 + rng.random())
        noise = rng.standard_normal(number)
        interval = state.rr * (1 + spread * np.clip(np.sin(breath) + 0.4 * noise, -2, 2))
    start = -state.rr * (1 + rng.random())
    times = start + np.cumsum(interval) - interval[0]
    premature = np.zeros(len(times), dtype=bool)
    inside = np.flatnonzero((times > 1.0) & (times < SECONDS - 1.2))
    for _ in range(state.premature):
        if not (free := [i for i in inside if not premature[i - 1 : i + 2].any()]):
            break
        i = int(rng.choice(free))
        premature[i] = True
        gap = times[i] - times[i - 1]
        coupling = max(rng.uniform(0.55, 0.65) * state.rr, state.qt + 0.03)
        times[i] = times[i - 1] + min(coupling, 0.80 * gap)
        if state.rhythm == "afib":
            times[i + 1 :] += max(0.0, times[i] + 1.1 * state.rr - times[i + 1])
    return times, premature


def _steady(interval: float, state: HeartState, rng: np.random.Generator) -> np.ndarray:
    """Times of a regular source, with half the variability of the state."""
    number = int(SECONDS / interval) + 5
    gaps = interval * (1 + 0.5 * state.variability * rng.standard_normal(number).clip(-2, 2))
    return -interval * (1 + rng.random()) + np.cumsum(gaps)


def _with_ectopy(state: HeartState, rng: np.random.Generator) -> Moments:
    """Sinus beats with premature ones, at random places or every second or third.

    A premature atrial complex resets the sinus node, so the next beat comes about one interval
    later. A premature ventricular complex does not reset it. Not all may find a place in a slow
    rhythm. Where there are both kinds, one atrial complex and every ventricular shape do.
    """
    number = int(SECONDS / state.rr) + 5
    kinds = ["beat"] * number
    for i in range(number if state.every else 0):
        if i % state.every == state.every - 1:
            kinds[i] = "premature" if state.premature else "early"
    atrial, ventricular = state.premature_atrial, state.premature
    first = ["early", *["premature"] * min(ventricular, state.shapes)]
    if state.every or not (atrial and ventricular):
        first = []
    places = rng.permutation(range(3, number - 3, 2))[: len(first)] if first else ()
    for kind, place in zip(first, places, strict=False):
        kinds[int(place)] = kind
    wanted = ["early"] * (atrial - first.count("early"))
    wanted += ["premature"] * (ventricular - first.count("premature"))
    for kind in () if state.every else rng.permutation(wanted):
        if free := [i for i in range(3, number - 4) if kinds[i - 1 : i + 2] == ["beat"] * 3]:
            kinds[int(rng.choice(free))] = str(kind)
    moments, clock, last = [], -state.rr * (1 + rng.random()), 0.0
    for i, kind in enumerate(kinds):
        gap = state.rr * (1 + state.variability * float(rng.standard_normal()) * 0.5)
        coupling = max(rng.uniform(0.55, 0.65) * state.rr, state.qt + 0.03)
        if kind == "beat" or i == 0:
            moments.append((clock, "beat"))
        elif kind == "premature":
            moments.append((last + min(coupling, 0.8 * (clock - last)), "premature"))
        else:
            early = last + min(coupling + 0.04, 0.8 * (clock - last))
            moments += [(early - state.pr, "early p"), (early, "qrs")]
            clock = early + 0.04 * state.rr
        last, clock = moments[-1][0], clock + gap
    return moments


def _without_atria(state: HeartState, rng: np.random.Generator) -> Moments:
    """AV node or ventricles set the rate; the atria are reached backwards or are independent."""
    onsets = _steady(state.rr, state, rng)
    moments = [(t, "qrs") for t in onsets]
    if state.retrograde is not None:
        moments += [(t + state.retrograde, "retrograde p") for t in onsets]
    if state.atrial_rate:
        moments += [(t, "p") for t in _steady(state.pp, state, rng)]
    return moments


def _flutter(state: HeartState, rng: np.random.Generator) -> Moments:
    """A QRS for every second, third or fourth flutter wave, at a fixed phase of the wave."""
    waves = rng.choice(state.ratios, int(SECONDS / (state.pp * min(state.ratios))) + 5)
    return [(t, "qrs") for t in -state.rr * (1 + rng.random()) + state.pp * np.cumsum(waves)]


def _second_degree(state: HeartState, rng: np.random.Generator) -> Moments:
    """Every `drop`-th P wave has no QRS: after a growing PR (Mobitz I) or a constant one (II)."""
    moments: Moments = []
    place = int(rng.integers(state.drop))
    for i, onset in enumerate(_steady(state.pp, state, rng)):
        step = (i + place) % state.drop
        if step == state.drop - 1:
            moments.append((onset, "p"))
        elif state.av == "mobitz2":
            moments.append((onset + state.pr, "beat"))
        else:
            growth = _GROWTH[min(step, len(_GROWTH) - 1)]
            moments += [(onset, "p"), (onset + state.pr + growth, "qrs")]
    return moments


def _paced(state: HeartState, rng: np.random.Generator) -> Moments:
    """A pacemaker's spike before the P wave, before the QRS, or before both."""
    onsets = _steady(state.rr, state, rng)
    driven = state.paced != "ventricular" or state.follows
    moments = [(t, "beat" if driven else "qrs") for t in onsets]
    if state.paced != "ventricular":
        moments += [(t - state.pr - ATRIAL_LEAD, "spike") for t in onsets]
    elif state.atrial_rate:
        moments += [(t, "p") for t in _steady(state.pp, state, rng)]
    if state.paced != "atrial":
        moments += [(t - VENTRICULAR_LEAD, "spike") for t in onsets]
    return moments


def _with_premature(moments: Moments, state: HeartState, rng: np.random.Generator) -> Moments:
    """Any other rhythm with premature ventricular beats, which replace beats of its own.

    The rhythm goes on underneath, so the pause is compensatory; P waves that are independent of the
    ventricles stay, and a pacemaker withholds its stimulus.
    """
    onsets = [t for t, name in moments if name in ("beat", "qrs")]
    inside = [i for i, t in enumerate(onsets) if i and 1.0 < t < SECONDS - 1.2]
    gaps = np.diff(onsets, prepend=np.nan)
    replaced: dict[int, float] = {}
    for i in sorted(rng.permutation(inside), key=lambda i: gaps[i] <= SHORTEST):
        gap = gaps[i]
        if len(replaced) < state.premature and not {i - 1, i + 1} & set(replaced):
            coupling = max(rng.uniform(0.55, 0.65) * gap, state.qt + 0.03)
            replaced[int(i)] = onsets[i - 1] + min(coupling, 0.8 * gap)
    gone = [onsets[i] for i in replaced]
    kept = [
        (t, name)
        for t, name in moments
        if name == "p" or not any(-0.28 < t - onset < 0.11 for onset in gone)
    ]
    return kept + [(t, "premature") for t in replaced.values()]


def _vary_shapes(moments: Moments, shapes: int) -> Moments:
    """Premature beats alternate between `shapes` shapes."""
    in_turn = (PREMATURE[number % shapes] for number in count())
    return [(t, next(in_turn) if name == "premature" else name) for t, name in moments]
