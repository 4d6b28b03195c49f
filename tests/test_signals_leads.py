"""Leads by name, the limb-lead identities, and resampling."""

import numpy as np
import pytest

from ecglib.signals.leads import (
    LEADS,
    arrange,
    from_electrodes,
    from_limb_and_chest,
    limb_identities,
)
from ecglib.signals.resample import to_rate


def test_arrange_goes_by_name_and_ignores_case():
    names = ["I", "II", "III", "AVR", "aVF", "avl", "v1", "V2", "V3", "V4", "V5", "V6", "pleth"]
    signal = np.arange(13)[:, None] * np.ones(4)
    assert arrange(signal, names)[:, 0].tolist() == [0, 1, 2, 3, 5, 4, 6, 7, 8, 9, 10, 11]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([*LEADS[:11], "X"], "without V6"),
        ([*LEADS, "v1"], "got V1 more than once"),
        (LEADS[:5], "one name for each lead"),
    ],
)
def test_arrange_says_what_is_wrong(names, message):
    rows = 12 if len(names) == 5 else len(names)
    with pytest.raises(ValueError, match=message):
        arrange(np.zeros((rows, 3)), names)


def test_hand_computed_leads():
    # RA = -1, LA = 2, LL = 5 mV, V1 = 4 mV; Wilson's terminal is at 2 mV.
    potential = np.array([-1.0, 2, 5, 4, 0, 0, 0, 0, 0])[:, None]
    leads = dict(zip(LEADS, from_electrodes(potential)[:, 0].tolist(), strict=True))
    assert leads["I"] == 3 and leads["II"] == 6 and leads["III"] == 3
    assert leads["aVR"] == -4.5 and leads["aVL"] == 0 and leads["aVF"] == 4.5
    assert leads["V1"] == 2 and leads["V6"] == -2


def test_identities_hold_by_construction_and_violations_are_measured():
    rng = np.random.default_rng(0)
    whole = from_limb_and_chest(rng.normal(size=9), rng.normal(size=9), rng.normal(size=(6, 9)))
    assert max(limb_identities(whole).values()) < 1e-6
    whole[4, 3] += 0.25
    assert limb_identities(whole)["aVL"] == pytest.approx(0.25, abs=1e-5)


def test_resampling_keeps_a_slow_wave_and_removes_what_would_alias():
    time = np.arange(5000) / 500
    wave = np.stack([np.sin(2 * np.pi * 5 * time), np.sin(2 * np.pi * 180 * time)])
    out = to_rate(wave, 500, 250)
    assert out.shape == (2, 2500) and out.dtype == np.float32
    middle = slice(100, -100)
    assert np.abs(out[0] - np.sin(2 * np.pi * 5 * np.arange(2500) / 250))[middle].max() < 0.01
    assert np.abs(out[1][middle]).max() < 0.02


def test_resampling_keeps_a_constant_and_fractional_ratios():
    assert to_rate(np.full((12, 4000), 2.0), 400).shape == (12, 2500)
    assert np.abs(to_rate(np.full((1, 4000), 2.0), 400) - 2).max() < 1e-3
    with pytest.raises(ValueError, match="expected positive sampling rates"):
        to_rate(np.zeros((1, 10)), 0)
