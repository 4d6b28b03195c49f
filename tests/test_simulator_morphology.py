"""The appearance of each condition in the leads."""

import numpy as np
import pytest
from scipy.signal import find_peaks

from ecglib.labels.label_set import Label
from ecglib.signals.leads import LEADS
from ecglib.simulator import atria, beats, criteria, morphology
from ecglib.simulator.heart import HeartState
from ecglib.simulator.ischaemia import INJURY, LEADS_OF, VIEW
from ecglib.simulator.sample_heart import example_heart

LEAD = {name: number for number, name in enumerate(LEADS)}
TIME = np.arange(-0.4, 0.9, 0.002)


def leads(group: beats.Bumps) -> np.ndarray:
    return beats.leads_of(group, TIME, beats.electrode_matrix(np.ones(6)))


def qrs(state: HeartState) -> np.ndarray:
    matrix = beats.electrode_matrix(np.ones(6))
    return leads(morphology.qrs_complex(state, matrix))


def extreme(signal: np.ndarray, *names: str) -> np.ndarray:
    """(k, 2) lowest and highest of some leads."""
    chosen = signal[[LEAD[name] for name in names]]
    return np.stack([chosen.min(axis=1), chosen.max(axis=1)], axis=1)


def test_p_waves_by_origin_and_size():
    sinus = leads(atria.p_wave(HeartState()))
    low = leads(atria.p_wave(HeartState(rhythm="atrial")))
    assert sinus[LEAD["II"]].max() > 0.08 and sinus[LEAD["II"]].min() > -0.01
    assert extreme(low, "II", "III", "aVF")[:, 0].max() < -0.04 and low[LEAD["I"]].max() > 0.04
    back = leads(atria.lone_wave(HeartState(), "retrograde p"))
    assert extreme(back, "II", "III", "aVF")[:, 0].max() < -0.04
    tall = leads(atria.p_wave(HeartState(right_atrium=3.2)))
    assert tall[LEAD["II"]].max() > 0.2 > sinus[LEAD["II"]].max()
    wide = leads(atria.p_wave(HeartState(left_atrium=1.5, pr=0.18)))
    seen = TIME[np.abs(wide).max(axis=0) > 0.02]
    assert np.ptp(seen) > 0.115 > np.ptp(TIME[np.abs(sinus).max(axis=0) > 0.02])
    assert wide[LEAD["V1"]].min() < -0.1  # the terminal force


def test_conduction_delays():
    wide = example_heart("intraventricular conduction delay")
    assert wide.qrs > 0.115
    span = np.ptp(TIME[np.abs(qrs(wide)).max(axis=0) > 0.02])
    assert span == pytest.approx(wide.qrs, abs=0.025)
    part = criteria.usual_beat(example_heart("incomplete right bundle branch block"))
    assert part.signs("V1") == (1, -1, 1) and part.signs("V6")[-1] == -1
    assert example_heart("incomplete right bundle branch block").qrs < 0.12


@pytest.mark.parametrize("pathway", ["left", "right", "septal"])
def test_pre_excitation(pathway):
    state = HeartState(qrs_type="preexcited", qrs=0.13, pr=0.10, pathway=pathway, axis=40)
    signal = qrs(state)
    lead = np.abs(signal[:, (TIME > -0.01) & (TIME < 0.14)]).max(axis=0)
    quarter = np.flatnonzero(lead > 0.1 * lead.max())[0] * 0.002
    # Slurred: from a tenth to half of its height takes longer than in a normal QRS.
    half = np.flatnonzero(lead > 0.5 * lead.max())[0] * 0.002
    normal = np.abs(qrs(HeartState())[:, (TIME > -0.01) & (TIME < 0.14)]).max(axis=0)
    rise = np.flatnonzero(normal > 0.5 * normal.max())[0] - np.flatnonzero(normal > 0.1)[0]
    assert half - quarter > 0.002 * rise
    v1 = signal[LEAD["V1"]]
    assert (v1.max() > -v1.min()) == (pathway == "left")


def test_paced_ventricles():
    right = qrs(HeartState(qrs_type="paced", qrs=0.16))
    for name in ("II", "III", "aVF", "V1", "V6"):
        assert -right[LEAD[name]].min() > right[LEAD[name]].max()
    assert right[LEAD["I"]].max() > -right[LEAD["I"]].min()
    left = qrs(HeartState(qrs_type="lv_paced", qrs=0.16))
    assert left[LEAD["V1"]].max() > 0.5 and left[LEAD["I"]].min() < -0.3
    for kind in ("paced", "lv_paced"):  # T opposite to the QRS
        beat = criteria.usual_beat(HeartState(qrs_type=kind, qrs=0.16))
        for name in ("V1", "V2"):
            net = beat.r(name) - beat.down(name)
            assert net * beat.t(name) < 0


def test_fascicular_blocks_and_axes():
    front = criteria.usual_beat(example_heart("left anterior fascicular block"))
    assert front.signs("II")[:2] == front.signs("III")[:2] == (1, -1)
    back = criteria.usual_beat(example_heart("left posterior fascicular block"))
    assert back.signs("I")[:2] == (1, -1) and back.signs("III")[0] == -1
    for name, low, high in (
        ("left axis deviation", -90, -30),
        ("right axis deviation", 90, 180),
        ("right superior axis", -180, -90),
    ):
        assert low < criteria.axis(criteria.usual_beat(example_heart(name))) < high


def test_right_ventricular_hypertrophy_has_its_voltage():
    state = HeartState(right_force=1.6, axis=110)
    beat = criteria.usual_beat(state)
    assert beat.r("V1") + beat.s("V6") == pytest.approx(1.6, abs=0.1)
    assert criteria.voltages(beat)[Label.TALL_R_V1_V2]
    assert criteria.axis(beat) == pytest.approx(110, abs=5)
    tall = criteria.usual_beat(HeartState(avl=1.3, axis=-15))
    assert tall.r("aVL") == pytest.approx(1.3, abs=0.05)


@pytest.mark.parametrize("territory", INJURY)
def test_injury_is_largest_where_it_is_and_mirrored_elsewhere(territory):
    assert np.mean([VIEW[n] @ INJURY[territory] for n in LEADS_OF[territory]]) == pytest.approx(1)
    beat = criteria.usual_beat(HeartState(injury={territory: 0.3}))
    assert criteria.st_raised(beat, territory)
    mirror = {"inferior": "aVL", "lateral": "III", "posterior": "V2"}.get(territory)
    if mirror:
        assert beat.st(mirror) < -0.05
    others = set(INJURY) - {territory}
    assert sum(criteria.st_raised(beat, name) for name in others) == 0


@pytest.mark.parametrize("territory", ["inferior", "lateral", "anterior", "septal"])
def test_depression_slopes_and_t_inversion(territory):
    for slope, expected in ((-0.8, (True, False)), (0.8, (False, True))):
        beat = criteria.usual_beat(
            HeartState(injury={territory: -0.22}, st_slope=slope, t_chest=0.15)
        )
        assert criteria.st_lowered(beat, territory)
        assert criteria.st_slopes(beat) == expected
    turned = criteria.usual_beat(HeartState(t_inverted={territory: 0.25}))
    assert criteria.t_inverted(turned, territory)
    assert not criteria.t_inverted(criteria.usual_beat(HeartState()), territory)


@pytest.mark.parametrize("territory", INJURY)
def test_q_waves_of_a_territory(territory):
    beat = criteria.usual_beat(HeartState(q={territory: 0.33}, axis=45))
    assert criteria.q_waves(beat, territory)
    assert not criteria.q_waves(criteria.usual_beat(HeartState()), territory)
    if territory == "posterior":
        assert criteria.voltages(beat)[Label.TALL_R_V1_V2]


def test_stages_of_an_infarction():
    states = [example_heart("acute inferior infarction", seed=seed) for seed in range(12)]
    assert {bool(state.q) for state in states} == {True, False}
    assert {bool(state.t_inverted) for state in states} == {True, False}
    assert all(criteria.st_raised(criteria.usual_beat(state), "inferior") for state in states)


def test_pericarditis_is_diffuse_with_a_low_pr_segment():
    state = HeartState(pericarditis=0.22)
    beat = criteria.usual_beat(state)
    assert all(beat.st(name) > 0.08 for name in ("I", "II", "aVF", "V3", "V4", "V5", "V6"))
    assert beat.st("aVR") < -0.08
    whole = leads(morphology.sinus_beat(state, beats.electrode_matrix(np.ones(6))))
    before = whole[:, np.argmin(np.abs(TIME + 0.016))]
    assert before[LEAD["II"]] < -0.05 < 0.03 < before[LEAD["aVR"]]


def test_early_repolarisation_brugada_and_u_wave():
    raised = criteria.usual_beat(HeartState(early_repolarisation=0.25))
    assert raised.st("V4") > 0.15 > raised.st("V1") and raised.t("V4") > 0.4
    coved = criteria.usual_beat(HeartState(brugada=0.35))
    assert coved.at("V2", 0.01) > coved.at("V2", 0.06) > 0.1 and coved.st("V5") < 0.05
    assert coved.t("V1") < 0 < coved.t("V5")
    state = HeartState(u_wave=0.15, rate=60)
    wave = leads(morphology.ventricles(state, beats.electrode_matrix(np.ones(6))))[LEAD["V3"]]
    peaks = TIME[find_peaks(wave, height=0.05)[0]]
    assert peaks[-1] == pytest.approx(state.qt + 0.085, abs=0.01)


def test_several_conditions_at_once():
    state = example_heart(
        *("first degree AV block", "right bundle branch block", "left anterior fascicular block"),
        *("lateral T inversion", "premature ventricular complexes", "left atrial enlargement"),
    )
    beat = criteria.usual_beat(state)
    assert state.pr > 0.2 and state.premature and state.left_atrium > 1.2 and state.axis < -45
    assert beat.signs("V1") == (1, -1, 1) and criteria.t_inverted(beat, "lateral")
