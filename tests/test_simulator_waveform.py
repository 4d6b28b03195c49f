"""The properties of a simulated heart can be measured in its waveform."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.signal import find_peaks
from simulated import hearts

from ecglib.labels.label_set import Label
from ecglib.signals.leads import LEADS, limb_identities
from ecglib.simulator import beats, morphology, recording_device
from ecglib.simulator.heart import HeartState
from ecglib.simulator.waveform import beat_times, simulate

L1, II, III, AVR, AVL, AVF, V1, V2, V3, V4, V5, V6 = range(12)
RATE = 500


def beat(state: HeartState) -> tuple[np.ndarray, np.ndarray]:
    """Time (n,) from QRS onset and leads (12, n) of one conducted beat."""
    time = np.arange(-0.4, 0.9, 0.002)
    matrix = beats.electrode_matrix(state.anatomy.placement)
    return time, beats.leads_of(morphology.sinus_beat(state, matrix), time, matrix)


def qrs(state: HeartState) -> np.ndarray:
    time, leads = beat(state)
    return leads[:, (time > -0.005) & (time < state.qrs + 0.012)]


def t_peak(state: HeartState) -> np.ndarray:
    time, leads = beat(state)
    return leads[:, np.argmin(np.abs(time - (state.qt - 2 * min(0.042, 0.11 * state.qt))))]


def test_shape_type_and_limb_identities():
    rng = np.random.default_rng(1)
    clean = simulate(HeartState(premature=1), RATE, rng)
    assert clean.shape == (12, 5000) and clean.dtype == np.float32 and len(LEADS) == 12
    assert max(limb_identities(clean).values()) < 1e-6
    device = recording_device.Device("test", RATE, 0.00488, 50.0, 0.05, 0.01, 0.01)
    stored = recording_device.record(clean, device, rng)
    assert max(limb_identities(stored).values()) < 1e-6
    steps = stored[V3].astype(float) / 0.00488
    assert np.abs(steps - np.round(steps)).max() < 1e-3
    assert 0.005 < np.std(stored - clean) < 0.3


def test_the_same_seed_gives_the_same_bytes():
    one, two = (simulate(HeartState(), 250, np.random.default_rng(3)) for _ in range(2))
    assert one.tobytes() == two.tobytes()


def test_normal_beat_looks_normal():
    time, leads = beat(HeartState())
    p_wave = leads[:, (time > -0.16) & (time < -0.03)]
    assert p_wave[[L1, II, AVF]].min(axis=1).min() > -0.01 and p_wave[II].max() > 0.08
    assert p_wave[AVR].min() < -0.05
    r_wave, s_wave = qrs(HeartState()).max(axis=1), -qrs(HeartState()).min(axis=1)
    ratio = (r_wave / s_wave)[V1:]
    assert ratio[0] < 1 < ratio[3] and (np.diff(r_wave[V1 : V5 + 1]) > 0).all()
    upright = t_peak(HeartState())
    assert upright[[L1, II, AVF, V2, V3, V4, V5, V6]].min() > 0.05 and upright[AVR] < 0


def test_rate_and_regularity():
    for rate in (45.0, 72.0, 95.0):
        ecg = simulate(HeartState(rate=rate), RATE, np.random.default_rng(2))
        peaks, _ = find_peaks(ecg[II], height=0.6 * ecg[II].max(), distance=100)
        interval = np.diff(peaks) / RATE
        assert 60 / interval.mean() == pytest.approx(rate, rel=0.04)
        assert interval.std() / interval.mean() < 0.06


def test_fibrillation_is_irregular_and_has_no_p_wave():
    state = HeartState(rhythm="afib", rate=90, variability=0.2)
    times, _ = beat_times(state, np.random.default_rng(0))
    interval = np.diff(times)
    assert 0.12 < interval.std() / interval.mean() < 0.4 and interval.min() > 0.3
    time, leads = beat(state)
    assert np.abs(leads[:, time < -0.04]).max() < 0.01


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


def test_bundle_branch_blocks():
    left = qrs(HeartState(qrs_type="lbbb", qrs=0.15, axis=10))
    assert left[V1].min() < -0.8 and left[V1].max() < 0.2 and left[V6].min() > -0.1
    assert len(find_peaks(left[V6], prominence=0.02)[0]) == 2  # notched
    assert t_peak(HeartState(qrs_type="lbbb", qrs=0.15))[[L1, V5, V6]].max() < -0.1
    right = qrs(HeartState(qrs_type="rbbb", qrs=0.14))
    peaks = find_peaks(right[V1], height=0.1)[0]
    assert len(peaks) == 2 and right[V1][peaks[1]] > right[V1][peaks[0]]  # rSR'
    assert right[[L1, V6]].min(axis=1).max() < -0.2


def test_the_sizes_of_a_state_are_those_of_the_leads():
    tall = qrs(HeartState(sokolow=4.2))
    assert -tall[V1].min() + tall[[V5, V6]].max() == pytest.approx(4.2, rel=0.02)
    low = qrs(HeartState(low_voltage=0.4))
    assert np.ptp(low[:6], axis=1).max() <= 0.41 and np.ptp(low[6:], axis=1).max() < 1.0
    time, leads = beat(HeartState(injury={"inferior": 0.3}))
    level = leads[:, np.argmin(np.abs(time - 0.122))]
    assert level[AVF] == pytest.approx(0.3, abs=0.05) and level[III] > level[II] and level[AVL] < 0
    time, leads = beat(HeartState(q={"inferior": 0.35}))
    first = leads[[II, III, AVF]][:, (time > 0) & (time < 0.04)]
    assert first.min(axis=1).max() < -0.2


@pytest.mark.parametrize("axis", [-60.0, -20.0, 40.0, 80.0, 120.0])
def test_axis_is_that_of_the_net_area(axis):
    state = HeartState(axis=axis, fascicular=axis < -45)
    area = qrs(replace(state, t_limb=(0.0, 0.0))).sum(axis=1)
    measured = np.degrees(np.arctan2(area[AVF] * 2 / np.sqrt(3), area[L1]))
    assert measured == pytest.approx(axis, abs=3)


def test_labels_are_true_in_the_waveform():
    wrong, assessed = [], 0
    for _, _, state, labels in hearts("enriched", 260):
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


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"rhythm": "chaos"}, r"rhythm: expected .* got 'chaos'"),
        ({"injury": {"apical": 0.2}}, r"territory of .* got 'apical'"),
        ({"qrs_type": "lbbb", "t_inverted": {"lateral": 0.2}}, "hides T inversion"),
        ({"rate": 0}, "rate: expected 20 to 220 per minute, got 0"),
        ({"exchanged": ("RA",)}, "exchanged: expected two"),
    ],
)
def test_impossible_states_are_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        HeartState(**fields)
