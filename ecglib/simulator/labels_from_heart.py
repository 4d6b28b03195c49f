"""The labels of a simulated heart: a function of its state alone, true in its waveform.

Rhythm and conduction follow from the state. Voltages, Q waves, ST and T are measured in its
noiseless beat (`criteria`), as a reader does with callipers. A finding that another one hides is
-1, because no reader could assess it.
"""

from collections.abc import Callable

import numpy as np

from ecglib.labels.label_set import ABSENT, LABELS, NOT_ASSESSABLE, PRESENT, Label, by_territory
from ecglib.simulator import criteria
from ecglib.simulator.heart import FROM_ONE_PLACE, WIDE, HeartState

PHASIC = 0.08  # share of RR by which sinus arrhythmia swings at least
COMPLETE_BLOCK, DELAY = 0.12, 0.11  # s, QRS of a complete bundle branch block; of a delay or delta
SHORT_PR = 0.12  # s; a delta wave with a longer PR is no Wolff-Parkinson-White pattern
LAFB_AXIS = -45.0  # degrees
DIFFUSE, J_POINT, COVED, U_SIZE = 0.10, 0.10, 0.20, 0.07  # mV: pericarditis, J, Brugada, U wave
_ABSENT_IN_STANDSTILL = (
    *(Label.AFIB, Label.PVC, Label.VENTRICULAR_PACED, Label.PAC, Label.ATRIAL_FLUTTER, Label.SVT),
    *(Label.JUNCTIONAL_RHYTHM, Label.ATRIAL_PACED, Label.VENTRICULAR_TACHYCARDIA, Label.LV_PACED),
    Label.VENTRICULAR_RHYTHM,
)
# A tall R or a late force to the right is in V1 and V2, and so is its repolarisation.
_HIDDEN_BY_RIGHT_FORCE = (
    *(Label.ST_ELEVATION_SEPTAL, Label.ST_DEPRESSION_ANTERIOR, Label.ST_DEPRESSION_SEPTAL),
    *(Label.ST_ELEVATION_POSTERIOR, Label.Q_WAVE_POSTERIOR),
)
_HIDDEN_BY_RBBB = (
    *_HIDDEN_BY_RIGHT_FORCE,
    *(Label.T_INVERSION_SEPTAL, Label.ST_ELEVATION_ANTERIOR, Label.Q_WAVE_SEPTAL),
    *(Label.ST_DOWNSLOPING, Label.ST_UPSLOPING),
)


def labels_of(state: HeartState) -> np.ndarray:
    """int8 (77,) label states; findings that a wide QRS or exchanged cables hide are -1."""
    labels = np.full(len(LABELS), NOT_ASSESSABLE, dtype=np.int8)
    facts = _rhythm(state) | _conduction(state)
    if state.rhythm != "standstill" and not state.exchanged:
        facts |= _shape(state)
    facts[Label.LEAD_MISPLACEMENT] = bool(state.exchanged)
    facts[Label.NO_QRS] = state.rhythm == "standstill"
    for label, fact in facts.items():
        labels[label] = PRESENT if fact else ABSENT
    return labels


def _rhythm(state: HeartState) -> dict[Label, bool]:
    """The source of the rhythm, its rate and its regularity."""
    if state.rhythm == "standstill":
        return dict.fromkeys(_ABSENT_IN_STANDSTILL, False)
    narrow_escape = state.av == "complete" and state.qrs_type != "ventricular"
    facts = {
        Label.SINUS_RHYTHM: state.rhythm == "sinus" and state.paced not in ("atrial", "dual"),
        Label.AFIB: state.rhythm == "afib",
        Label.ATRIAL_TACHYCARDIA: state.rhythm == "atrial" and state.rate >= 100,
        Label.PVC: state.premature > 0,
        Label.POLYMORPHIC: state.shapes > 1,
        Label.PAC: state.premature_atrial > 0,
        Label.ATRIAL_FLUTTER: state.rhythm == "flutter",
        Label.JUNCTIONAL_RHYTHM: state.rhythm == "junctional" or narrow_escape,
        Label.SVT: state.rhythm == "svt",
        Label.VENTRICULAR_TACHYCARDIA: state.rhythm == "ventricular" and state.rate > 100,
        Label.ECTOPIC_ATRIAL_RHYTHM: state.rhythm == "atrial" and state.rate < 100,
    }
    if not (state.every and state.premature_atrial and state.rate < 60):
        # Grouped atrial beats reset the node, so the ventricles are up to a fifth faster than it.
        facts[Label.BRADYCARDIA] = state.rate < 60
    if state.qrs_type not in ("paced", "lv_paced"):  # the label may or may not mean pacing
        facts[Label.VENTRICULAR_RHYTHM] = state.qrs_type == "ventricular"
    if not state.premature or state.shapes > 1:
        facts[Label.MONOMORPHIC] = state.shapes == 1  # with extra beats of one shape readers differ
    return facts | _regularity(state)


def _regularity(state: HeartState) -> dict[Label, bool]:
    """Regular, irregular in a pattern, or without one; a few extra beats leave it open."""
    alone = (state.premature or state.premature_atrial) and not state.every
    ventricles_paced = state.paced in ("ventricular", "dual")
    chaos = state.rhythm == "afib" and not ventricles_paced
    chaos = chaos or (state.rhythm == "flutter" and len(state.ratios) > 1)
    phasic = state.rhythm == "sinus" and state.variability >= PHASIC
    pattern = bool(state.every) or state.av in ("mobitz1", "mobitz2") or phasic
    if alone and not chaos:
        return {Label.IRREGULARLY_IRREGULAR: False}
    return {
        Label.REGULAR: not chaos and not pattern,
        Label.IRREGULARLY_IRREGULAR: chaos,
        Label.REGULARLY_IRREGULAR: pattern and not chaos,
    }


def _conduction(state: HeartState) -> dict[Label, bool]:
    """Conduction from the sinus node through the ventricles."""
    if state.rhythm == "standstill":
        return {}
    kind = state.qrs_type
    delta = kind == "preexcited" and state.qrs >= DELAY
    facts = {
        Label.LBBB: kind == "lbbb" and state.qrs >= COMPLETE_BLOCK,
        Label.IVCD: kind == "ivcd" and state.qrs >= DELAY,
        Label.RBBB: kind == "rbbb" and state.qrs >= COMPLETE_BLOCK,
        Label.VENTRICULAR_PACED: state.paced in ("ventricular", "dual"),
        Label.MOBITZ_1: state.av == "mobitz1",
        Label.ATRIAL_PACED: state.paced in ("atrial", "dual"),
        Label.DELTA_WAVE: delta,
        Label.PREEXCITATION: delta and state.pr < SHORT_PR,
        Label.MOBITZ_2: state.av == "mobitz2",
        Label.AV_BLOCK_3: state.av == "complete",
        Label.LV_PACED: kind == "lv_paced",
    }
    if state.av == "conducted" and state.paced != "ventricular":
        facts[Label.AV_BLOCK_1] = state.follows and state.rhythm == "sinus" and state.pr > 0.20
    elif state.av != "conducted":
        facts[Label.AV_BLOCK_1] = False
    if kind not in FROM_ONE_PLACE:
        facts[Label.LONG_QT] = state.qtc > 0.47
    return facts


def _shape(state: HeartState) -> dict[Label, bool]:
    """Axis, chambers, voltages, Q, ST and T of the usual beat."""
    beat = criteria.usual_beat(state)
    facts = criteria.voltages(beat)
    axis = criteria.axis(beat) if state.qrs_type in FROM_ONE_PLACE else state.axis
    facts |= {
        Label.LEFT_AXIS: -90 <= axis < -30,
        Label.RIGHT_AXIS: 90 < axis <= 180,
        Label.RIGHT_SUPERIOR_AXIS: -180 < axis < -90,
    }
    if state.follows and state.paced in ("", "ventricular") and state.rhythm == "sinus":
        left, right = criteria.large_atria(state)
        facts |= {
            Label.LEFT_ATRIAL_ENLARGEMENT: left,
            Label.RIGHT_ATRIAL_ENLARGEMENT: right,
            Label.BIATRIAL_ENLARGEMENT: left and right,
        }
    if state.qrs_type in WIDE:
        return facts
    facts |= {
        Label.LVH: facts[Label.SOKOLOW] or facts[Label.TALL_R_AVL],
        Label.LAFB: state.fascicular and state.axis <= LAFB_AXIS,
        Label.RVH: bool(state.right_force and facts[Label.RV1_SV6] and state.axis > 90),
        Label.LPFB: state.posterior_fascicular and state.axis > 90,
    }
    facts |= _measured("q_wave", criteria.q_waves, beat)
    # V7 to V9 are not recorded, so their Q waves count only with the mirror image in V1 and V2.
    facts[Label.Q_WAVE_POSTERIOR] &= facts[Label.TALL_R_V1_V2]
    facts |= _st_and_t(state, beat)
    hidden: tuple[Label, ...] = ()
    if state.qrs_type == "rbbb":
        hidden = _HIDDEN_BY_RBBB
    elif state.right_force:
        hidden = _HIDDEN_BY_RIGHT_FORCE
    elif abs(state.axis) > 90:  # I and aVL are negative in any case
        hidden = (Label.Q_WAVE_LATERAL,)
    return {label: fact for label, fact in facts.items() if label not in hidden}


def _measured(
    finding: str, criterion: Callable[[criteria.Beat, str], bool], beat: criteria.Beat
) -> dict[Label, bool]:
    """A criterion in each territory of a finding."""
    return {label: criterion(beat, name) for name, label in by_territory(finding).items()}


def _st_and_t(state: HeartState, beat: criteria.Beat) -> dict[Label, bool]:
    """Repolarisation: by territory, by shape, and what explains it."""
    facts = _measured("t_inversion", criteria.t_inverted, beat)
    facts |= _measured("st_elevation", criteria.st_raised, beat)
    facts |= _measured("st_depression", criteria.st_lowered, beat)
    if facts[Label.ST_DEPRESSION_SEPTAL] and state.injury.get("posterior", 0.0) <= 0:
        del facts[Label.ST_ELEVATION_POSTERIOR]  # depression in V1 and V2 alone may be either
    down, up = criteria.st_slopes(beat)
    return facts | {
        Label.PERICARDITIS: state.pericarditis >= DIFFUSE,
        Label.ST_DOWNSLOPING: down,
        Label.U_WAVE: state.u_wave >= U_SIZE,
        Label.ST_UPSLOPING: up,
        Label.ACUTE_MI: any(
            size > 0 and criteria.st_raised(beat, territory)
            for territory, size in state.injury.items()
        ),
        Label.EARLY_REPOLARIZATION: state.early_repolarisation >= J_POINT,
        Label.BRUGADA: state.brugada >= COVED,
    }
