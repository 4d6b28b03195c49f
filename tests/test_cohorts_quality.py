"""What goes to the quarantine and what stays: each rule, and their order."""

import hashlib

import numpy as np
import pytest
from real_data import needs, real

from ecglib.cohorts.quarantine import digest, problem
from ecglib.signals.leads import LEADS
from ecglib.simulator.heart import HeartState
from ecglib.simulator.recording_device import Device, record
from ecglib.simulator.waveform import simulate
from ecglib.sources import ptbxl

MINI = real("ECGLIB_PTBXL_MINI")
DEVICE = Device("bench", 500, 0.005, 50.0, wander=0.03, muscle=0.008, hum=0.002)
V2, V5 = LEADS.index("V2"), LEADS.index("V5")
TIME = np.arange(5000) / 500


@pytest.fixture
def ecg() -> np.ndarray:
    """A simulated recording, float32 (12, 5000) mV at 500 Hz."""
    clean = simulate(HeartState(), 500, np.random.default_rng([1, 9]))
    return record(clean, DEVICE, np.random.default_rng([2, 9]))


def test_a_usable_recording_has_no_problem(ecg):
    assert problem(ecg, 500) is None
    assert problem(simulate(HeartState(), 500, np.random.default_rng(0)), 500) is None


def test_wrong_shapes_and_short_recordings(ecg):
    assert problem(ecg.T, 500) == ("wrong shape", "(5000, 12)")
    assert problem(ecg[None], 500).reason == "wrong shape"
    assert problem(ecg[:, :0], 500, min_seconds=0) == ("too short", "0.000 s")
    assert problem(ecg[:, :2499], 500) == ("too short", "4.998 s")
    assert problem(ecg[:, :2500], 500) is None
    assert problem(ecg[:, :2000], 500, min_seconds=4) is None


def test_missing_leads_and_samples(ecg):
    ecg[V2] = np.nan
    assert problem(ecg, 500) == ("missing lead", "V2")
    ecg[V5] = np.nan
    assert problem(ecg, 500) == ("missing lead", "V2, V5")
    ecg[[V2, V5]] = 0.1
    ecg[0, 7] = np.inf
    assert problem(ecg, 500) == ("missing samples", "1 samples")


def test_a_flat_lead_and_a_flat_stretch(ecg):
    stretch = ecg.copy()
    stretch[V2, 1000:3800] = 0.0
    assert problem(stretch, 500) == ("flat stretch", "V2: 5 s or more")
    pause = ecg.copy()
    pause[V2, 1000:3000] = 0.0  # four seconds: the rest can be read
    assert problem(pause, 500) is None
    ecg[V2] = 3.0
    assert problem(ecg, 500) == ("flat lead", "V2: 0.0000 mV peak to peak")


def test_clipping(ecg):
    """A swing of 4 mV cut at 2.5 mV: over |sin| > 0.62, 57 % of the time, it is clipped."""
    swing = ecg.copy()
    swing[V5] += 4 * np.sin(2 * np.pi * 0.4 * TIME)
    assert problem(swing, 500) is None
    swing[V5] = np.clip(swing[V5], -2.5, 2.5)
    found = problem(swing, 500)
    assert found.reason == "clipped"
    assert found.value.startswith("V5: 5")
    r_waves = ecg.copy()
    r_waves[V5] = np.minimum(ecg[V5], 0.6 * ecg[V5].max())  # only the tips of the R waves
    assert problem(r_waves, 500) is None


def test_amplitudes(ecg):
    off = ecg.copy()
    off[V2, 2000:3500] += 20.0  # three seconds of an electrode that came off
    assert problem(off, 500).reason == "implausible amplitude"
    spike = ecg.copy()
    spike[V2, 2000:2400] += 20.0
    assert problem(spike, 500) is None
    assert problem(ecg * 1000, 500).reason == "amplitude beyond int16 microvolts"
    assert problem(ecg / 1000, 500).reason == "flat lead"  # volts taken for millivolts


def test_limb_identities(ecg):
    """A few samples of a spike are no wrong lead; an exchange of two leads is."""
    spike = ecg.copy()
    spike[3, 795:800] += 2.5
    assert problem(spike, 500) is None
    exchanged = ecg[[0, 1, 2, 3, 5, 4, *range(6, 12)]]
    assert problem(exchanged, 500).reason == "limb identities violated"
    turned = ecg.copy()
    turned[3] = -turned[3]
    found = problem(turned, 500)
    assert found.reason == "limb identities violated"
    assert found.value.startswith("aVR: ")


def test_noise_is_rejected_only_where_nothing_is_left(ecg):
    rng = np.random.default_rng(3)
    one = ecg.copy()
    one[V2] += rng.normal(0, 1.0, 5000)
    assert problem(one, 500) is None
    chest = ecg.copy()
    chest[6:] += rng.normal(0, 0.3, (6, 5000))
    assert problem(chest, 500) is None
    limbs = rng.normal(0, 1.5, (2, 5000)).astype(np.float32)
    ecg[0] += limbs[0]
    ecg[1] += limbs[1]
    ecg[2], ecg[3] = ecg[1] - ecg[0], -(ecg[0] + ecg[1]) / 2
    ecg[4], ecg[5] = ecg[0] - ecg[1] / 2, ecg[1] - ecg[0] / 2
    ecg[6:] += rng.normal(0, 1.5, (6, 5000))
    assert problem(ecg, 500).reason == "high-frequency noise"


def test_certain_defects_come_first(ecg):
    ecg[V2] = 40.0  # flat, and beyond the range: flat is the plainer reason
    ecg[3] = -ecg[3]
    assert problem(ecg, 500).reason == "flat lead"
    ecg[V5, 0] = np.nan
    assert problem(ecg, 500).reason == "missing samples"


def test_digest_names_the_content_and_nothing_else(ecg):
    ecg = np.round(ecg, 3)  # whole microvolts, as the store holds them
    first = digest(ecg)
    assert len(first) == 64
    assert digest(ecg.astype(np.float64)) == first
    assert digest(ecg + np.float32(0.0001)) == first  # below half a microvolt
    assert digest(np.asfortranarray(ecg)) == first
    changed = ecg.copy()
    changed[V2, 17] += 0.001
    assert digest(changed) != first
    assert digest(ecg[:, :-1]) != first
    zeros = np.zeros((12, 10))
    assert digest(zeros) != digest(np.zeros((12, 11)))
    by_hand = hashlib.sha256(b"12x10:" + bytes(240))  # 120 numbers of two bytes, all zero
    assert digest(zeros) == by_hand.hexdigest()


@needs("ECGLIB_PTBXL_MINI")
def test_no_real_recording_is_rejected_and_each_exchange_is():
    rows = ptbxl.read_table(MINI)["record"][::7]
    for name in rows:
        signal, rate = ptbxl.read(MINI, name)
        assert problem(signal, rate) is None, name
        exchanged = signal[[0, 1, 2, 3, 5, 4, *range(6, 12)]]
        assert problem(exchanged, rate).reason == "limb identities violated", name


@pytest.mark.parametrize("rate", [0.0, -500.0, float("nan"), float("inf"), 500.1, 1e9])
def test_a_rate_that_nothing_can_be_done_with_is_a_problem_and_no_crash(rate):
    found = problem(np.zeros((12, 5000), np.float32), rate)
    assert found.reason == "unusable rate"
