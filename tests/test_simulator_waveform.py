"""The shape of a simulated ECG: the leads have the properties of the heart's state."""

from dataclasses import replace

import numpy as np
import pytest
from builds import refused
from scipy.signal import find_peaks
from simulated import hearts

from ecglib.labels.label_set import Label
from ecglib.signals.leads import limb_identities
from ecglib.simulator import atria, beats, criteria, morphology, recording_device
from ecglib.simulator.criteria import usual_beat
from ecglib.simulator.heart import HeartState
from ecglib.simulator.ischaemia import INJURY, LEADS_OF, VIEW
from ecglib.simulator.rhythms import beat_times
from ecglib.simulator.sample_heart import example_heart
from ecglib.simulator.waveform import exchange, simulate

L1, II, III, AVR, AVL, AVF, V1, V2, V3, V4, V5, V6 = range(12)
RATE = 500
TIME = np.arange(-0.4, 0.9, 0.002)  # s from QRS onset
MATRIX = beats.electrode_matrix(np.ones(6))
NORMAL = usual_beat(HeartState())


def leads(group: beats.Bumps) -> np.ndarray:
    return beats.leads_of(group, TIME, MATRIX)


def beat(state: HeartState) -> np.ndarray:
    """(12, n) of one conducted beat, with the electrodes of the person."""
    matrix = beats.electrode_matrix(state.anatomy.placement)
    return beats.leads_of(morphology.sinus_beat(state, matrix), TIME, matrix)


def qrs(state: HeartState) -> np.ndarray:
    return beat(state)[:, (TIME > -0.005) & (state.qrs + 0.012 > TIME)]


def t_peak(state: HeartState) -> np.ndarray:
    return beat(state)[:, np.argmin(np.abs(TIME - state.qt + 2 * min(0.042, 0.11 * state.qt)))]


def test_shape_type_and_limb_identities():
    rng = np.random.default_rng(1)
    clean = simulate(HeartState(premature=1), RATE, rng)
    assert clean.shape == (12, 5000) and clean.dtype == np.float32
    assert max(limb_identities(clean).values()) < 1e-6
    device = recording_device.Device("test", RATE, 0.00488, 50.0, 0.05, 0.01, 0.01)
    stored = recording_device.record(clean, device, rng)
    assert max(limb_identities(stored).values()) < 1e-6
    steps = stored[V3].astype(float) / 0.00488
    assert np.abs(steps - np.round(steps)).max() < 1e-3
    assert 0.005 < np.std(stored - clean) < 0.3


def test_exchanged_cables():
    """RA and LA: lead I upside down, II and III change places, aVF stays, V1 to V6 stay."""
    right, wrong = (
        simulate(HeartState(rate=70, exchanged=cables), RATE, np.random.default_rng(0))
        for cables in ((), ("RA", "LA"))
    )
    assert np.allclose(wrong[L1], -right[L1], atol=1e-6)
    assert np.allclose(wrong[[II, III, AVF]], right[[III, II, AVF]], atol=1e-6)
    assert np.allclose(wrong[V1:], right[V1:], atol=1e-6)
    assert max(limb_identities(wrong).values()) < 1e-6
    assert exchange(np.arange(9.0), ("V1", "V3")).tolist() == [0, 1, 2, 5, 4, 3, 6, 7, 8]


def test_normal_beat_looks_normal():
    r_wave, s_wave = qrs(HeartState()).max(axis=1), -qrs(HeartState()).min(axis=1)
    ratio = (r_wave / s_wave)[V1:]
    assert ratio[0] < 1 < ratio[3] and (np.diff(r_wave[V1 : V5 + 1]) > 0).all()
    upright = t_peak(HeartState())
    assert upright[[L1, II, AVF, V2, V3, V4, V5, V6]].min() > 0.05 and upright[AVR] < 0


def test_p_waves_by_origin_and_size():
    sinus = leads(atria.p_wave(HeartState()))
    assert sinus[[L1, II, AVF]].min() > -0.01 and sinus[II].max() > 0.08
    assert sinus[AVR].min() < -0.05
    low = leads(atria.p_wave(HeartState(rhythm="atrial")))
    back = leads(atria.lone_wave(HeartState(), "retrograde p"))
    for inverted in (low, back):
        assert inverted[[II, III, AVF]].min(axis=1).max() < -0.04
    assert low[L1].max() > 0.04
    assert leads(atria.p_wave(HeartState(right_atrium=3.2)))[II].max() > 0.2 > sinus[II].max()
    wide = leads(atria.p_wave(HeartState(left_atrium=1.5, pr=0.18)))
    spans = [np.ptp(TIME[np.abs(wave).max(axis=0) > 0.02]) for wave in (sinus, wide)]
    assert spans[0] < 0.115 < spans[1] and wide[V1].min() < -0.1  # the terminal force
    fibrillating = beat(HeartState(rhythm="afib", rate=90, variability=0.2))
    assert np.abs(fibrillating[:, TIME < -0.04]).max() < 0.01


def test_premature_beat_is_early_wide_and_followed_by_a_pause():
    state = HeartState(premature=2, variability=0.01)
    times, premature = beat_times(state, np.random.default_rng(4))
    assert premature.sum() == 2
    for i in np.flatnonzero(premature):
        before, after = times[i] - times[i - 1], times[i + 1] - times[i]
        assert before < 0.8 * state.rr < 1.2 * state.rr < after
        assert before + after == pytest.approx(2 * state.rr, rel=0.05)
    time = np.arange(0, 0.3, 0.002)
    size = np.linalg.norm(morphology.premature_beat(state).at(time)[:3], axis=0)
    assert 0.11 < np.ptp(time[(size > 0.15 * size.max()) & (time < 0.2)]) < 0.2


def test_blocks_and_delays():
    left = qrs(HeartState(qrs_type="lbbb", qrs=0.15, axis=10))
    assert left[V1].min() < -0.8 and left[V1].max() < 0.2 and left[V6].min() > -0.1
    assert len(find_peaks(left[V6], prominence=0.02)[0]) == 2  # notched
    assert t_peak(HeartState(qrs_type="lbbb", qrs=0.15))[[L1, V5, V6]].max() < -0.1
    right = qrs(HeartState(qrs_type="rbbb", qrs=0.14))
    peaks = find_peaks(right[V1], height=0.1)[0]
    assert len(peaks) == 2 and right[V1][peaks[1]] > right[V1][peaks[0]]  # rSR'
    assert right[[L1, V6]].min(axis=1).max() < -0.2
    part = example_heart("incomplete right bundle branch block")
    assert part.qrs < 0.12 and usual_beat(part).signs("V1") == (1, -1, 1)
    wide = example_heart("intraventricular conduction delay")
    seen = TIME[np.abs(leads(morphology.qrs_complex(wide, MATRIX))).max(axis=0) > 0.02]
    assert wide.qrs > 0.115 and np.ptp(seen) == pytest.approx(wide.qrs, abs=0.025)


@pytest.mark.parametrize("pathway", ["left", "right", "septal"])
def test_pre_excitation(pathway):
    state = HeartState(qrs_type="preexcited", qrs=0.13, pr=0.10, pathway=pathway, axis=40)
    signal, normal = (
        leads(morphology.qrs_complex(one, MATRIX))[:, (TIME > -0.01) & (TIME < 0.14)]
        for one in (state, HeartState())
    )
    # Slurred: from a tenth to half of its height takes longer than in a normal QRS.
    slurred, sharp = (
        np.argmax(size > 0.5 * size.max()) - np.argmax(size > 0.1 * size.max())
        for size in (np.abs(signal).max(axis=0), np.abs(normal).max(axis=0))
    )
    assert slurred > sharp
    assert (signal[V1].max() > -signal[V1].min()) == (pathway == "left")


def test_paced_ventricles():
    right, left = (
        leads(morphology.qrs_complex(HeartState(qrs_type=kind, qrs=0.16), MATRIX))
        for kind in ("paced", "lv_paced")
    )
    down = [II, III, AVF, V1, V6]
    assert (-right[down].min(axis=1) > right[down].max(axis=1)).all()
    assert right[L1].max() > -right[L1].min()
    assert left[V1].max() > 0.5 and left[L1].min() < -0.3
    for kind in ("paced", "lv_paced"):  # T opposite to the QRS
        paced = usual_beat(HeartState(qrs_type=kind, qrs=0.16))
        for name in ("V1", "V2"):
            assert (paced.r(name) - paced.down(name)) * paced.t(name) < 0


def test_fascicular_blocks_and_axes():
    front = usual_beat(example_heart("left anterior fascicular block"))
    assert front.signs("II")[:2] == front.signs("III")[:2] == (1, -1)
    back = usual_beat(example_heart("left posterior fascicular block"))
    assert back.signs("I")[:2] == (1, -1) and back.signs("III")[0] == -1
    for name, low, high in (
        ("left axis deviation", -90, -30),
        ("right axis deviation", 90, 180),
        ("right superior axis", -180, -90),
    ):
        assert low < criteria.axis(usual_beat(example_heart(name))) < high
    for axis in (-60.0, -20.0, 40.0, 80.0, 120.0):
        state = HeartState(axis=axis, fascicular=axis < -45)
        area = qrs(replace(state, t_limb=(0.0, 0.0))).sum(axis=1)
        measured = np.degrees(np.arctan2(area[AVF] * 2 / np.sqrt(3), area[L1]))
        assert measured == pytest.approx(axis, abs=3)


def test_the_voltages_of_a_state_are_those_of_the_leads():
    tall = qrs(HeartState(sokolow=4.2))
    assert -tall[V1].min() + tall[[V5, V6]].max() == pytest.approx(4.2, rel=0.02)
    assert usual_beat(HeartState(avl=1.3, axis=-15)).r("aVL") == pytest.approx(1.3, abs=0.05)
    low = qrs(HeartState(low_voltage=0.4))
    assert np.ptp(low[:6], axis=1).max() <= 0.41 and np.ptp(low[6:], axis=1).max() < 1.0
    right = usual_beat(HeartState(right_force=1.6, axis=110))
    assert right.r("V1") + right.s("V6") == pytest.approx(1.6, abs=0.1)
    assert criteria.voltages(right)[Label.TALL_R_V1_V2]
    assert criteria.axis(right) == pytest.approx(110, abs=5)


@pytest.mark.parametrize("territory", INJURY)
def test_injury_and_q_waves_are_where_they_belong_and_mirrored_elsewhere(territory):
    assert np.mean([VIEW[n] @ INJURY[territory] for n in LEADS_OF[territory]]) == pytest.approx(1)
    injured = usual_beat(HeartState(injury={territory: 0.3}))
    assert [name for name in INJURY if criteria.st_raised(injured, name)] == [territory]
    mirror = {"inferior": "aVL", "lateral": "III", "posterior": "V2"}.get(territory)
    assert mirror is None or injured.st(mirror) < -0.05
    scarred = usual_beat(HeartState(q={territory: 0.33}, axis=45))
    assert criteria.q_waves(scarred, territory) and not criteria.q_waves(NORMAL, territory)
    assert territory != "posterior" or criteria.voltages(scarred)[Label.TALL_R_V1_V2]


@pytest.mark.parametrize("territory", ["inferior", "lateral", "anterior", "septal"])
def test_depression_slopes_and_t_inversion(territory):
    for slope, expected in ((-0.8, (True, False)), (0.8, (False, True))):
        state = HeartState(injury={territory: -0.22}, st_slope=slope, t_chest=0.15, qtc=0.445)
        low = usual_beat(state)
        assert criteria.st_lowered(low, territory)
        assert criteria.st_slopes(low) == expected
    assert criteria.t_inverted(usual_beat(HeartState(t_inverted={territory: 0.25})), territory)
    assert not criteria.t_inverted(NORMAL, territory)


def test_stages_of_an_infarction_and_several_conditions_at_once():
    states = [example_heart("acute inferior infarction", seed=seed) for seed in range(12)]
    assert {bool(state.q) for state in states} == {True, False}
    assert {bool(state.t_inverted) for state in states} == {True, False}
    assert all(criteria.st_raised(usual_beat(state), "inferior") for state in states)
    state = example_heart(
        *("first degree AV block", "right bundle branch block", "left anterior fascicular block"),
        *("lateral T inversion", "premature ventricular complexes", "left atrial enlargement"),
    )
    assert state.pr > 0.2 and state.premature and state.left_atrium > 1.2 and state.axis < -45
    several = usual_beat(state)
    assert several.signs("V1") == (1, -1, 1) and criteria.t_inverted(several, "lateral")


def test_pericarditis_early_repolarisation_brugada_and_u_wave():
    diffuse = usual_beat(HeartState(pericarditis=0.22))
    assert all(diffuse.st(name) > 0.08 for name in ("I", "II", "aVF", "V3", "V4", "V5", "V6"))
    assert diffuse.st("aVR") < -0.08
    low_pr = beat(HeartState(pericarditis=0.22))[:, np.argmin(np.abs(TIME + 0.016))]
    assert low_pr[II] < -0.05 < 0.03 < low_pr[AVR]
    raised = usual_beat(HeartState(early_repolarisation=0.25))
    assert raised.st("V4") > 0.15 > raised.st("V1") and raised.t("V4") > 0.4
    coved = usual_beat(HeartState(brugada=0.35))
    assert coved.at("V2", 0.01) > coved.at("V2", 0.06) > 0.1 and coved.st("V5") < 0.05
    assert coved.t("V1") < 0 < coved.t("V5")
    state = HeartState(u_wave=0.15, rate=60)
    peaks = TIME[find_peaks(beat(state)[V3], height=0.05)[0]]
    assert peaks[-1] == pytest.approx(state.qt + 0.085, abs=0.01)


def test_labels_are_true_in_the_waveform():
    wrong, assessed = [], 0
    for _, state, labels in hearts("enriched")[:260]:
        wave, sizes = t_peak(state), qrs(state)
        measured = {
            Label.T_INVERSION_INFERIOR: wave[[II, AVF]].max() < -0.1,
            Label.T_INVERSION_LATERAL: wave[[L1, V5, V6]].max() < -0.08,
            Label.T_INVERSION_ANTERIOR: wave[[V3, V4]].max() < -0.1,
            Label.LVH: -sizes[V1].min() + sizes[[V5, V6]].max() > 3.5 or sizes[AVL].max() > 1.1,
            Label.LOW_VOLTAGE: np.ptp(sizes[:6], axis=1).max() < 0.5,
        }
        for label, value in measured.items():
            if labels[label] >= 0:
                assessed += 1
                wrong += [(label, state)] * (bool(value) != bool(labels[label]))
    assert assessed > 1000 and len(wrong) <= assessed // 500


def test_impossible_states_are_refused():
    refused(r"rhythm: expected .* got 'chaos'", HeartState, rhythm="chaos")
    refused(r"territory of .* got 'apical'", HeartState, injury={"apical": 0.2})
    refused("hides T inversion", HeartState, qrs_type="lbbb", t_inverted={"lateral": 0.2})
    refused("rate: expected 20 to 220 per minute, got 0", HeartState, rate=0)
    refused("exchanged: expected two", HeartState, exchanged=("RA",))
