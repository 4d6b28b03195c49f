"""Criteria that a reader measures with callipers in the usual beat: voltages, Q waves, ST, T.

They are measured in the noiseless beat, so they are a function of the state and true in the
waveform. Heights are relative to the level just before the QRS; sizes are in mV, 1 mV = 10 mm.
"""

from typing import NamedTuple

import numpy as np

from ecglib.labels.label_set import Label
from ecglib.signals.leads import LEADS
from ecglib.simulator import beats, morphology
from ecglib.simulator.atria import p_wave
from ecglib.simulator.heart import HeartState
from ecglib.simulator.ischaemia import LEADS_OF, VIEW

STEP = 0.002  # s
_GRID = np.arange(-0.04, 0.70, STEP)  # s from QRS onset
_BACK = ("V7", "V8", "V9")
NAMES = (*LEADS, *_BACK)
WAVE = 0.03  # mV; a smaller deflection is no wave
Q_SECONDS, Q_DEPTH, Q_SHARE = 0.03, 0.10, 0.20  # pathological Q: s, mV, share of the next R
T_DEPTH = 0.10  # mV
ST_UP = {"V2": 0.15, "V3": 0.15, "V7": 0.05, "V8": 0.05, "V9": 0.05}  # mV; elsewhere:
ST_LIMB = 0.10
ST_DOWN = 0.05
ST_AT, ST_SHARE = 0.04, 0.25  # s after J; at high rates this share of the time to the T wave
P_SECONDS, P_FORCE = 0.12, 0.004  # large left atrium: s of the P wave; mV s below zero in V1
P_TALL = {"II": 0.25, "V1": 0.15}  # mV, large right atrium
P_VISIBLE = 0.02  # mV
SLOPE = 0.045  # mV between J + 30 and J + 80 ms


class Beat(NamedTuple):
    """The usual beat in the twelve leads and V7 to V9."""

    leads: np.ndarray  # (15, m) mV over the level before the QRS
    waves: dict[str, list[tuple[int, float, float]]]  # QRS by lead: sign, size in mV, seconds
    j: int  # sample of the end of the QRS
    t_peak: int  # sample of the peak of the T wave

    def r(self, lead: str) -> float:
        """Height of the largest upright wave, mV."""
        return max((size for sign, size, _ in self.waves[lead] if sign > 0), default=0.0)

    def s(self, lead: str) -> float:
        """Depth of the largest negative wave after an R, or of the QS, mV."""
        waves = self.waves[lead]
        if len(waves) > 1 and waves[0][0] < 0:
            waves = waves[1:]
        return max((size for sign, size, _ in waves if sign < 0), default=0.0)

    def signs(self, lead: str) -> tuple[int, ...]:
        """(-1, 1, -1) is a qRS, (1, -1, 1) an rSR', (-1,) a QS."""
        return tuple(sign for sign, _, _ in self.waves[lead])

    def down(self, lead: str) -> float:
        """Depth of the largest negative wave, mV."""
        return max((size for sign, size, _ in self.waves[lead] if sign < 0), default=0.0)

    def at(self, lead: str, seconds: float) -> float:
        """mV at a time after the end of the QRS."""
        return float(self.leads[NAMES.index(lead), self.j + round(seconds / STEP)])

    def st(self, lead: str) -> float:
        """Level of the ST segment, mV."""
        room = STEP * (self.t_peak - self.j)
        return self.at(lead, min(ST_AT, ST_SHARE * room))

    def t(self, lead: str) -> float:
        """mV at the peak of the T wave."""
        return float(self.leads[NAMES.index(lead), self.t_peak])


def usual_beat(state: HeartState) -> Beat:
    """The beat of a state, without exchanged cables and without noise."""
    matrix = beats.electrode_matrix(state.anatomy.placement)
    qrs = morphology.qrs_complex(state, matrix)
    others = [morphology.repolarisation(state, qrs)]
    others += [morphology.p_wave(state)] if state.follows else []
    alone = _leads(qrs, matrix)
    leads = alone + _leads(beats.join(*others), matrix)
    onset = int(np.searchsorted(_GRID, 0.0))
    leads -= leads[:, onset - 4 : onset].mean(axis=1, keepdims=True)
    j = int(np.searchsorted(_GRID, state.qrs + 0.004))
    # The waves of the QRS are measured without ST and T: a raised J point is not another R.
    waves = {name: _waves(lead) for name, lead in zip(NAMES, alone[:, : j + 12], strict=True)}
    t_peak = state.qt - morphology.T_END * morphology.t_fall(state)
    return Beat(leads, waves, j, int(np.searchsorted(_GRID, t_peak)))


def _leads(group: beats.Bumps, matrix: np.ndarray) -> np.ndarray:
    """(15, m) mV of bumps in the leads `NAMES`."""
    source = group.at(_GRID)
    back = np.stack([VIEW[name] for name in _BACK]) @ source
    return np.concatenate([beats.from_electrodes(matrix @ source), back])


def _waves(qrs: np.ndarray) -> list[tuple[int, float, float]]:
    """Parts of one sign of the QRS in a lead: (sign, size, seconds); notches do not divide."""
    sign = np.sign(qrs) * (np.abs(qrs) >= WAVE)
    seen = np.flatnonzero(sign)
    if not len(seen):
        return []
    turns = np.flatnonzero(np.diff(sign[seen])) + 1
    return [
        (int(sign[part[0]]), float(np.abs(qrs[part]).max()), STEP * len(part))
        for part in np.split(seen, turns)
    ]


def large_atria(state: HeartState) -> tuple[bool, bool]:
    """(left, right): a long P wave with a terminal force in V1; a tall one in II or V1."""
    matrix = beats.electrode_matrix(state.anatomy.placement)
    time = np.arange(-state.pr - 0.02, 0.03, STEP)
    leads = beats.leads_of(p_wave(state), time, matrix)
    seen = np.flatnonzero(np.abs(leads).max(axis=0) >= P_VISIBLE)
    seconds = STEP * np.ptp(seen) if len(seen) else 0.0
    force = STEP * float(-np.minimum(leads[LEADS.index("V1")], 0.0).sum())
    tall = any(leads[LEADS.index(lead)].max() > size for lead, size in P_TALL.items())
    return bool(seconds >= P_SECONDS and force >= P_FORCE), bool(tall)


def axis(beat: Beat) -> float:
    """Frontal axis of the net area of the QRS, degrees in (-180, 180]."""
    onset = int(np.searchsorted(_GRID, 0.0))
    area = beat.leads[:, onset : beat.j + 1].sum(axis=1)
    x, y = area[NAMES.index("I")], area[NAMES.index("aVF")] * 2 / np.sqrt(3)
    return float(np.degrees(np.arctan2(y, x)))


def q_wave(beat: Beat, lead: str) -> bool:
    """A pathological Q: at least 30 ms, 0.1 mV and a fifth of the R that follows it."""
    waves = beat.waves[lead]
    if not waves or waves[0][0] > 0:
        return False
    _, depth, seconds = waves[0]
    follows = waves[1][1] if len(waves) > 1 else 0.0
    return seconds >= Q_SECONDS - 1e-9 and depth >= max(Q_DEPTH, Q_SHARE * follows)


def q_waves(beat: Beat, territory: str) -> bool:
    """Pathological Q waves in two neighbouring leads of a territory."""
    return sum(q_wave(beat, lead) for lead in LEADS_OF[territory]) >= 2


def st_raised(beat: Beat, territory: str) -> bool:
    """ST elevation in two leads of a territory: 0.1 mV, 0.15 in V2 and V3, 0.05 in V7 to V9."""
    return sum(beat.st(lead) >= ST_UP.get(lead, ST_LIMB) for lead in LEADS_OF[territory]) >= 2


def st_lowered(beat: Beat, territory: str) -> bool:
    """ST depression of 0.05 mV in two leads of a territory."""
    return sum(beat.st(lead) <= -ST_DOWN for lead in LEADS_OF[territory]) >= 2


def st_slopes(beat: Beat) -> tuple[bool, bool]:
    """(downsloping, upsloping) ST segments in two leads in which ST is depressed."""
    low = [name for name in LEADS if name != "aVR" and beat.st(name) <= -ST_DOWN]
    change = [beat.at(name, 0.08) - beat.at(name, 0.03) for name in low]
    return sum(c <= -SLOPE for c in change) >= 2, sum(c >= SLOPE for c in change) >= 2


def t_inverted(beat: Beat, territory: str) -> bool:
    """T of -0.1 mV or less in all leads of a territory except one (V1-V2, V3-V4: in both)."""
    leads = LEADS_OF[territory]
    return sum(beat.t(lead) <= -T_DEPTH for lead in leads) >= max(2, len(leads) - 1)


def voltages(beat: Beat) -> dict[Label, bool]:
    """The labels that are criteria of the size or shape of the QRS."""
    septal, wide = ("V1", "V2"), ("V5", "V6", "I", "aVL")
    limb = beat.leads[:6, : beat.j + 3]
    net = beat.leads[NAMES.index("III"), : beat.j + 3]
    return {
        Label.QS_V1_V3: all(beat.signs(lead) == (-1,) for lead in ("V1", "V2", "V3")),
        Label.MONOPHASIC_R_V5_V6: all(beat.signs(lead) == (1,) for lead in ("V5", "V6")),
        Label.TALL_R_AVL: beat.r("aVL") > 1.1,
        Label.SOKOLOW: beat.down("V1") + max(beat.r("V5"), beat.r("V6")) > 3.5,
        Label.RV1_SV6: beat.r("V1") + beat.s("V6") > 1.1,
        Label.TALL_R_V1_V2: all(beat.r(lead) > beat.down(lead) for lead in septal),
        Label.RSR_V1_V2: any(beat.signs(lead) == (1, -1, 1) for lead in septal),
        Label.QRS_PATTERN_LATERAL: all(beat.signs(lead) == (-1, 1, -1) for lead in wide),
        Label.NEGATIVE_QRS_III: bool(net.sum() < 0 and -net.min() > net.max()),
        Label.LOW_VOLTAGE: bool(np.ptp(limb, axis=1).max() < 0.5),
    }
