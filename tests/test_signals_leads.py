"""Leads by name, their identities, resampling, and the numbers that describe an ECG."""

import numpy as np
import pytest
from builds import refused

from ecglib.signals import ecg_features
from ecglib.signals.leads import LEADS, RATE, arrange, from_electrodes, limb_identities
from ecglib.signals.resample import to_rate
from ecglib.simulator.truth import irregularity


def test_arrange_goes_by_name_and_ignores_case():
    names = ["I", "II", "III", "AVR", "aVF", "avl", "v1", "V2", "V3", "V4", "V5", "V6", "pleth"]
    signal = np.arange(13)[:, None] * np.ones(4)
    assert arrange(signal, names)[:, 0].tolist() == [0, 1, 2, 3, 5, 4, 6, 7, 8, 9, 10, 11]
    for names, count, message in [
        ([*LEADS[:11], "X"], 12, "without V6"),
        ([*LEADS, "v1"], 13, "got V1 more than once"),
        (LEADS[:5], 12, "one name for each lead"),
    ]:
        refused(message, arrange, np.zeros((count, 3)), names)


def test_hand_computed_leads():
    # RA = -1, LA = 2, LL = 5 mV, V1 = 4 mV; Wilson's terminal is at 2 mV.
    potential = np.array([-1.0, 2, 5, 4, 0, 0, 0, 0, 0])[:, None]
    expected = [3, 6, 3, -4.5, 0, 4.5, 2, -2, -2, -2, -2, -2]
    assert from_electrodes(potential)[:, 0].tolist() == expected


def test_identities_hold_by_construction_and_violations_are_measured():
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


# ECG features


def test_percentiles_count_from_the_median():
    """0, 1, ..., 100 in steps around 7 mV: percentile q lies q - 50 steps from the median."""
    ramp = np.tile(7 + 0.01 * np.arange(101), (12, 1))
    expected = 0.01 * (np.array(ecg_features.PERCENTILES) - 50)
    assert np.allclose(ecg_features.amplitudes(ramp), expected)


@pytest.mark.parametrize(("hertz", "rate"), [(8.0, 250), (8.0, 500), (64.0, 250)])
def test_a_sinusoid_is_in_its_band_with_its_power(hertz, rate):
    """0.2 mV at 8 Hz is 0.02 mV^2; over the half octave from 6.73 to 9.51 Hz that is a density of
    0.02 / 2.78, at any rate and at any offset."""
    time = np.arange(10 * rate) / rate
    signal = np.tile(3.0 + 0.2 * np.sin(2 * np.pi * hertz * time), (12, 1))
    power = ecg_features.spectrum(signal, rate)
    place = ecg_features.HERTZ.index(hertz)
    assert (power.argmax(axis=1) == place).all()
    width = hertz * (2**0.25 - 2**-0.25)
    assert power[0, place] == pytest.approx(np.log10(0.02 / width), abs=0.03)
    assert power[0, place - 4] < power[0, place] - 6


def test_a_band_without_a_frequency_is_not_known():
    """Two seconds have 0.5 Hz, but nothing from 0.59 to 0.84 Hz; 100 Hz sampling ends at 50 Hz."""
    short = ecg_features.spectrum(np.random.default_rng(0).normal(size=(12, 500)), RATE)
    assert np.isnan(short[:, 1]).all() and np.isfinite(short[:, 0]).all()
    slow = ecg_features.spectrum(np.random.default_rng(0).normal(size=(12, 1000)), 100)
    assert np.isnan(slow[:, -1]).all() and np.isfinite(slow[:, -4]).all()


def test_features_are_named():
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


def test_irregularity_by_hand():
    """RR 1.0, 1.2, 1.0: steps of 0.2 and -0.2 over a mean of 3.2 / 3."""
    times = np.cumsum([0.0, 1.0, 1.2, 1.0])
    usual = np.zeros(4, dtype=bool)
    assert irregularity(times, usual) == pytest.approx(0.2 / (3.2 / 3))
    early = np.array([False, False, False, True])  # leaves 1.0, 1.2 and one step
    assert irregularity(times, early) == pytest.approx(0.2 / 1.1)
    assert np.isnan(irregularity(times[:2], usual[:2]))
