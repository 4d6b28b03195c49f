"""Leads by name, resampling, the numbers that describe an ECG, and the quality score."""

import importlib
import json
from pathlib import Path

import numpy as np
import pytest
from builds import needs, real, refused

from ecglib.signals import ecg_features, quality
from ecglib.signals.leads import LEADS, RATE, arrange, from_electrodes, limb_identities
from ecglib.signals.resample import to_rate
from ecglib.simulator.heart import HeartState
from ecglib.simulator.recording_device import Device, record
from ecglib.simulator.truth import irregularity
from ecglib.simulator.waveform import simulate

CINC = real("ECGLIB_CINC2011")
DEVICE = Device("bench", 500, 0.005, 50.0, wander=0.03, muscle=0.008, hum=0.002)
V3 = LEADS.index("V3")


def test_leads_by_name_and_by_hand():
    names = ["I", "II", "III", "AVR", "aVF", "avl", "v1", "V2", "V3", "V4", "V5", "V6", "pleth"]
    signal = np.arange(13)[:, None] * np.ones(4)
    assert arrange(signal, names)[:, 0].tolist() == [0, 1, 2, 3, 5, 4, 6, 7, 8, 9, 10, 11]
    refused("without V6", arrange, signal[:12], [*LEADS[:11], "X"])
    refused("got V1 more than once", arrange, signal, [*LEADS, "v1"])
    refused("one name for each lead", arrange, signal, LEADS[:5])
    # RA = -1, LA = 2, LL = 5 mV, V1 = 4 mV; Wilson's terminal is at 2 mV.
    potential = np.array([-1.0, 2, 5, 4, 0, 0, 0, 0, 0])[:, None]
    expected = [3, 6, 3, -4.5, 0, 4.5, 2, -2, -2, -2, -2, -2]
    assert from_electrodes(potential)[:, 0].tolist() == expected
    whole = from_electrodes(np.random.default_rng(0).normal(size=(9, 9)))
    assert max(limb_identities(whole).values()) < 1e-6
    whole[4, 3] += 0.25
    assert limb_identities(whole)["aVL"] == pytest.approx(0.25, abs=1e-5)


def test_resampling_keeps_slow_waves_and_removes_what_would_alias():
    phase = 2 * np.pi * np.arange(5000) / 500
    out = to_rate(np.stack([np.sin(5 * phase), np.sin(180 * phase)]), 500, 250)
    assert out.shape == (2, 2500) and out.dtype == np.float32
    assert np.abs(out[0] - np.sin(5 * phase[::2]))[100:-100].max() < 0.01
    assert np.abs(out[1])[100:-100].max() < 0.02
    level = to_rate(np.full((12, 4000), 2.0), 400)
    assert level.shape == (12, 2500) and np.abs(level - 2).max() < 1e-3
    refused("expected positive sampling rates", to_rate, np.zeros((1, 10)), 0)


def test_features_by_name_and_by_hand():
    # 0, 1, ..., 100 in steps around 7 mV: percentile q lies q - 50 steps from the median.
    ramp = np.tile(7 + 0.01 * np.arange(101), (12, 1))
    expected = 0.01 * (np.array(ecg_features.PERCENTILES) - 50)
    assert np.allclose(ecg_features.amplitudes(ramp), expected)
    # A tone of 0.2 mV has 0.02 mV^2, at 8 Hz in the half octave from 6.73 to 9.51 Hz, so the
    # density is 0.02 / 2.78, at any rate and at any offset.
    for hertz, rate in ((8.0, 250), (8.0, 500), (64.0, 250)):
        time = np.arange(10 * rate) / rate
        signal = np.tile(3.0 + 0.2 * np.sin(2 * np.pi * hertz * time), (12, 1))
        power = ecg_features.spectrum(signal, rate)
        place = ecg_features.HERTZ.index(hertz)
        assert (power.argmax(axis=1) == place).all()
        width = hertz * (2**0.25 - 2**-0.25)
        assert power[0, place] == pytest.approx(np.log10(0.02 / width), abs=0.03)
        assert power[0, place - 4] < power[0, place] - 6
    # Two seconds have 0.5 Hz, but nothing from 0.59 to 0.84 Hz; 100 Hz sampling ends at 50 Hz.
    short = ecg_features.spectrum(np.random.default_rng(0).normal(size=(12, 500)), RATE)
    assert np.isnan(short[:, 1]).all() and np.isfinite(short[:, 0]).all()
    slow = ecg_features.spectrum(np.random.default_rng(0).normal(size=(12, 1000)), 100)
    assert np.isnan(slow[:, -1]).all() and np.isfinite(slow[:, -4]).all()
    names = ecg_features.feature_names()
    assert len(names) == len(set(names)) == 12 * (6 + 16 + 3)
    signal = np.random.default_rng(1).normal(0, 0.1, (12, 2500))
    v5 = LEADS.index("V5")
    signal[v5] += np.sin(2 * np.pi * 8 * np.arange(2500) / RATE)
    row = ecg_features.ecg_features(signal, RATE)
    assert tuple(row) == names
    eight = ecg_features.HERTZ.index(8.0)
    assert row["power_8_V5"] == ecg_features.spectrum(signal, RATE)[v5, eight]
    assert row["amplitude_99_V5"] > 0.9 > 0.3 > row["amplitude_99_V4"]
    refused(r"\(12, n\) leads", ecg_features.ecg_features, signal[:3], RATE)
    # RR 1.0, 1.2, 1.0: steps of 0.2 and -0.2 over a mean of 3.2 / 3.
    times = np.cumsum([0.0, 1.0, 1.2, 1.0])
    usual = np.zeros(4, dtype=bool)
    assert irregularity(times, usual) == pytest.approx(0.2 / (3.2 / 3))
    early = np.array([False, False, False, True])  # leaves 1.0, 1.2 and one step
    assert irregularity(times, early) == pytest.approx(0.2 / 1.1)
    assert np.isnan(irregularity(times[:2], usual[:2]))


@pytest.fixture(scope="module")
def ecg() -> np.ndarray:
    """A simulated recording, (12, 5000) mV at 500 Hz, with a little noise of all kinds."""
    clean = simulate(HeartState(), 500, np.random.default_rng([1, 4]))
    return record(clean, DEVICE, np.random.default_rng([2, 4]))


PHASE = 2 * np.pi * np.arange(5000) / 500
HISS = np.random.default_rng([3, 4]).normal(0, 1.0, 5000)
# The lead of somebody else is clean, but its beats are not those of the other leads.
STRANGER = simulate(HeartState(rate=97.0), 500, np.random.default_rng([8, 4]))[V3]
FAULTS = {
    "noise": lambda x: x + HISS,
    "wander": lambda x: x + 3 * np.sin(0.3 * PHASE),
    "clipped": lambda x: np.clip(x + 3 * np.sin(0.3 * PHASE), -2, 2),
    "cut off": lambda x: np.clip(x, *np.quantile(x, [0.3, 0.7])),
    "half flat": lambda x: np.where(np.arange(5000) < 2500, x, x[2500]),
    "flat": np.zeros_like,
    "other rhythm": lambda x: STRANGER,
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_in_one_lead_lowers_its_score(ecg, fault):
    before = quality.score(ecg, 500)
    assert before.record > 0.95 and before.leads.min() > 0.85
    faulty = ecg.copy()
    faulty[V3] = FAULTS[fault](ecg[V3])
    after = quality.score(faulty, 500)
    assert after.leads.argmin() == V3
    assert after.leads[V3] < before.leads[V3] - 0.02
    assert after.record < before.record
    others = np.delete(np.arange(12), V3)
    np.testing.assert_allclose(after.leads[others], before.leads[others], atol=0.02)


def test_more_of_a_fault_scores_lower_whatever_rate_and_offset(ecg):
    """From a recording without any fault to one of noise, and to one of twelve lost leads."""
    wave = np.random.default_rng(5).normal(size=ecg.shape)
    leads = np.arange(12)[:, None]
    noisier = [quality.score(ecg + size * wave, 500).record for size in (0, 0.05, 0.2, 0.8)]
    fewer = [quality.score(np.where(leads < k, 0, ecg), 500).record for k in (0, 1, 3, 6, 12)]
    for scores in (noisier, fewer):
        assert scores == sorted(scores, reverse=True)
    assert noisier[-1] < 0.1 and fewer[2] < 0.01 and fewer[-1] < 1e-6
    clean = quality.score(simulate(HeartState(), 500, np.random.default_rng(0)), 500)
    assert clean.record > 0.95 and clean.leads.min() > 0.85
    hiss = np.random.default_rng(6).normal(0, 0.5, (12, 2500))
    assert quality.score(hiss, 250).record < 0.01
    scores, slower = quality.score(ecg, 500), quality.score(to_rate(ecg, 500), 250)
    assert slower.record == pytest.approx(scores.record, abs=0.005)
    offset = ecg + np.linspace(-5, 5, 12, dtype=np.float32)[:, None]
    np.testing.assert_allclose(quality.score(offset, 500).leads, scores.leads, atol=1e-3)
    refused(r"expected \(12, n\) leads to score, got shape \(8,", quality.score, ecg[:8], 500)
    refused(r"2 s or more to score, got 1\.00 s", quality.score, ecg[:, :500], 500)
    refused("NaN or infinity", quality.score, np.where(ecg == ecg.max(), np.nan, ecg), 500)


def test_defects_and_scores_by_hand(ecg):
    # A sine of amplitude A has the standard deviation A / sqrt(2).
    signal = np.zeros((12, 5000))
    signal[:3] = [0.3 * np.sin(hertz * PHASE) for hertz in (0.5, 60, 2)]
    defects, size = quality.defects(signal, 500), 0.3 / np.sqrt(2)
    np.testing.assert_allclose(defects[0, :3], [0, np.log10(1 + size / 0.1), 0], atol=1e-3)
    np.testing.assert_allclose(defects[1, :3], [0, 0, np.log10(1 + size / 0.02)], atol=1e-3)
    np.testing.assert_allclose(defects[2, :3], 0, atol=1e-3)
    np.testing.assert_array_equal(defects[3], [1, 0, 0, 1])
    assert quality.noise(signal, 500)[1] == pytest.approx(size, rel=1e-3)
    assert (quality.defects(ecg, 500) >= 0).all()
    # Flat from 4 s to 8 s: of the 17 windows of 2 s, those that start at 4, 4.5, ... 6 s.
    time = np.arange(2500) / 250
    wave = np.where((time < 4) | (time >= 8), np.sin(20 * time), 0.0)
    assert quality.flat_share(wave[None], 250)[0] == pytest.approx(5 / 17)
    assert quality.flat_share(wave[None], 250, 5.0)[0] == 0
    # Plateaus of 50 and 60 ms are clipped, one of 30 ms is not, nor one near the median.
    wave = np.zeros((3, 1000))  # 2 s at 500 Hz
    wave[0, np.r_[100:125, 200:230, 300:315]] = 5
    wave[1, 100:200] = 0.9
    wave[2, 0:100] = -3  # at the very beginning
    wave[2, 500] = 4
    np.testing.assert_allclose(quality.clipped_share(wave, 500), [0.055, 0, 0.1])
    # The last lead does not rest at an end of its range.
    np.testing.assert_allclose(quality.cut_share(wave, 500), [0.93, 1, 0])
    # One lead with w . d = b has the score 1/2; eleven perfect ones have sigmoid(b).
    by = quality.QualityModel(6.0, 3.0, 4.0, np.array([3.0, 1.0, 1.0, 2.0]))
    defect = np.zeros((12, 4))
    defect[4, 0] = 1.0
    scores = quality.apply_model(defect, by)
    perfect = 1 / (1 + np.exp(-3))
    assert scores.leads[4] == 0.5
    assert scores.leads[0] == pytest.approx(perfect)
    unreadable = 0.5 + 11 * (1 - perfect)
    assert scores.record == pytest.approx(1 / (1 + np.exp(4 * unreadable - 6)))


@pytest.fixture(scope="module")
def benchmark():
    """The module of the benchmark, which holds the fit."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(Path(__file__).parent / "benchmarks")
        return importlib.import_module("quality_cinc2011")


def test_the_committed_model_and_its_fit(benchmark):
    stored = json.loads(Path(quality.__file__).with_name("quality_model.json").read_text())
    assert set(stored["weights"]) == set(quality.DEFECTS)
    assert min(stored["weights"].values()) >= 0  # a larger defect never raises a score
    assert stored["fit"]["low"] >= 0.9
    assert stored["fit"]["records"] > stored["fit"]["acceptable"] > 0
    rng = np.random.default_rng(7)
    defect, marks = rng.random((40, 12, 4)), rng.random(40) > 0.5
    point, step = np.array([3.0, 2.0, 1.0, 1.0, 2.0, 1.0, 0.5]), 1e-6
    gradient = benchmark.loss(point, defect, marks)[1]
    for k, move in enumerate(step * np.eye(len(point))):
        up, down = (benchmark.loss(point + s * move, defect, marks)[0] for s in (1, -1))
        assert gradient[k] == pytest.approx((up - down) / (2 * step), abs=1e-7)
    # pairs (0.9, 0.1), (0.9, 0.5) right, (0.5, 0.1) right, (0.5, 0.5) a tie: 3.5 of 4
    four = np.array([0.9, 0.5, 0.5, 0.1])
    assert benchmark.auc(four, np.array([True, True, False, False])) == 0.875


@needs("ECGLIB_CINC2011")
def test_committed_coefficients_are_those_of_the_fit(benchmark):
    signals, marks, _, rate = benchmark.read(CINC)
    defect = np.stack([quality.defects(signal, rate) for signal in signals])
    committed = np.r_[quality.load_model()[:3], quality.load_model().weights]
    np.testing.assert_allclose(benchmark.fit(defect, marks), committed, atol=2e-3)
    scores = np.array([quality.apply_model(one, quality.load_model()).record for one in defect])
    assert benchmark.auc(scores, marks) > 0.95
