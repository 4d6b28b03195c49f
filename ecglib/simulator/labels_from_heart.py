"""Labels of a heart: a function of its state alone, true in its waveform.

What drives the heart and how it is conducted is read off the state. Voltages, Q waves, ST and T are
measured in its noiseless beat (`signals.criteria`), as a reader would with callipers. Where one
finding hides another, the hidden one is -1: nobody could tell.
"""

import numpy as np

from ecglib.labels.label_set import ABSENT, LABELS, NOT_ASSESSABLE, PRESENT
from ecglib.simulator import criteria
from ecglib.simulator.heart import WIDE, HeartState

PHASIC = 0.08  # share of RR by which sinus arrhythmia swings at least
T_INVERTED = {"inferior": 5, "lateral": 9, "anterior": 10, "septal": 21}
Q_WAVES = {"inferior": 14, "lateral": 49, "septal": 60, "anterior": 61, "posterior": 71}
ST_RAISED = {"anterior": 24, "septal": 25, "inferior": 36, "lateral": 41, "posterior": 65}
ST_LOWERED = {"inferior": 34, "anterior": 47, "lateral": 52, "septal": 59}
VOLTAGES = {
    "QS in V1-V3": 3,
    "R in V5-V6": 4,
    "RaVL > 11 mm": 7,
    "SV1 + RV5 or RV6 > 35 mm": 8,
    "rSR' in V1-V2": 29,
    "qRS in V5-V6-I, aVL": 30,
    "low voltage": 37,
    "QRS negative in III": 48,
    "R/S > 1 in V1-V2": 55,
    "RV1 + SV6 > 11 mm": 56,
}
_FROM_A_PLACE = ("paced", "lv_paced", "ventricular")


def labels_of(state: HeartState) -> np.ndarray:
    """int8 (77,) label states.

    Findings that a wide QRS or exchanged cables hide are -1.
    """
    labels = np.full(len(LABELS), NOT_ASSESSABLE, dtype=np.int8)
    facts = _rhythm(state) | _conduction(state)
    if state.rhythm != "standstill" and not state.exchanged:
        facts |= _shape(state)
    facts |= {67: bool(state.exchanged), 76: state.rhythm == "standstill"}
    for label, fact in facts.items():
        labels[label] = PRESENT if fact else ABSENT
    return labels


def _rhythm(state: HeartState) -> dict[int, bool]:
    """What drives atria and ventricles, how fast and how regularly."""
    if state.rhythm == "standstill":
        return dict.fromkeys((15, 19, 23, 27, 28, 39, 42, 50, 64, 73, 75), False)
    own_atria = state.paced not in ("atrial", "dual")
    sinus = state.rhythm == "sinus" and own_atria
    narrow_escape = state.av == "complete" and state.qrs_type != "ventricular"
    facts = {
        0: sinus,
        13: state.rate < 60,
        15: state.rhythm == "afib",
        17: state.rhythm == "atrial" and state.rate >= 100,
        19: state.premature > 0,
        20: state.shapes > 1,
        27: state.premature_atrial > 0,
        28: state.rhythm == "flutter",
        39: state.rhythm == "junctional" or narrow_escape,
        50: state.rhythm == "svt",
        64: state.rhythm == "ventricular" and state.rate > 100,
        66: state.rhythm == "atrial" and state.rate < 100,
    }
    if state.qrs_type not in ("paced", "lv_paced"):  # whether pacing is meant too is not known
        facts[75] = state.qrs_type == "ventricular"
    if not state.premature or state.shapes > 1:
        facts[2] = state.shapes == 1  # with extra beats of one shape readers differ
    return facts | _regularity(state)


def _regularity(state: HeartState) -> dict[int, bool]:
    """Regular, in a pattern, or without one; a few extra beats leave it open."""
    alone = (state.premature or state.premature_atrial) and not state.every
    ventricles_paced = state.paced in ("ventricular", "dual")
    chaos = state.rhythm == "afib" and not ventricles_paced
    chaos = chaos or (state.rhythm == "flutter" and len(state.ratios) > 1)
    phasic = state.rhythm == "sinus" and state.variability >= PHASIC
    pattern = bool(state.every) or state.av in ("mobitz1", "mobitz2") or phasic
    if alone and not chaos:
        return {16: False}
    return {1: not chaos and not pattern, 16: chaos, 38: pattern and not chaos}


def _conduction(state: HeartState) -> dict[int, bool]:
    """The way from the sinus node to the last corner of the ventricles."""
    if state.rhythm == "standstill":
        return {}
    kind = state.qrs_type
    facts = {
        6: kind == "lbbb",
        18: kind == "ivcd",
        22: kind == "rbbb",
        23: state.paced in ("ventricular", "dual"),
        33: state.av == "mobitz1",
        42: state.paced in ("atrial", "dual"),
        44: kind == "preexcited",
        45: kind == "preexcited",
        53: state.av == "mobitz2",
        68: state.av == "complete",
        73: kind == "lv_paced",
    }
    if state.av == "conducted" and state.paced != "ventricular":
        facts[26] = state.follows and state.rhythm == "sinus" and state.pr > 0.20
    elif state.av != "conducted":
        facts[26] = False
    if state.qrs_type not in _FROM_A_PLACE:
        facts[46] = state.qtc > 0.47
    return facts


def _shape(state: HeartState) -> dict[int, bool]:
    """Axis, chambers, voltages, Q, ST and T of the usual beat."""
    beat = criteria.usual_beat(state)
    facts = {VOLTAGES[name]: value for name, value in criteria.voltages(beat).items()}
    axis = criteria.axis(beat) if state.qrs_type in _FROM_A_PLACE else state.axis
    facts |= {11: -90 <= axis < -30, 32: 90 < axis <= 180, 63: -180 < axis < -90}
    if state.follows and state.paced in ("", "ventricular") and state.rhythm == "sinus":
        left, right = state.left_atrium > 1.2, state.right_atrium > 1.8
        facts |= {40: left, 58: right, 72: left and right}
    if state.qrs_type in WIDE:
        return facts
    facts |= {
        12: state.sokolow is not None or state.avl is not None,
        31: state.fascicular,
        43: state.right_force > 0,
        57: state.posterior_fascicular,
    }
    facts |= {label: criteria.q_waves(beat, place) for place, label in Q_WAVES.items()}
    # V7 to V9 are not recorded: their Q waves count where V1 and V2 show the mirror image.
    facts[71] &= facts[55]
    facts |= _st_and_t(state, beat)
    if state.qrs_type == "rbbb":  # the block's own T and late force lie in V1 to V3
        hidden = (21, 24, 25, 47, 51, 59, 60, 62, 65, 71)
    elif state.right_force:  # tall R in V1 and V2, and its strain, have their cause
        hidden = (25, 47, 59, 65, 71)
    elif abs(state.axis) > 90:  # I and aVL are negative anyway
        hidden = (49,)
    else:
        hidden = ()
    return {label: fact for label, fact in facts.items() if label not in hidden}


def _st_and_t(state: HeartState, beat: criteria.Beat) -> dict[int, bool]:
    """Repolarisation: by territory, by shape, and what explains it."""
    facts = {label: criteria.t_inverted(beat, place) for place, label in T_INVERTED.items()}
    facts |= {label: criteria.st_raised(beat, place) for place, label in ST_RAISED.items()}
    facts |= {label: criteria.st_lowered(beat, place) for place, label in ST_LOWERED.items()}
    if facts[59] and state.injury.get("posterior", 0.0) <= 0:
        del facts[65]  # depression in V1 and V2 alone may be either
    down, up = criteria.st_slopes(beat)
    return facts | {
        35: state.pericarditis > 0,
        51: down,
        54: state.u_wave > 0,
        62: up,
        69: any(size > 0 for size in state.injury.values()),
        70: state.early_repolarisation > 0,
        74: state.brugada > 0,
    }
