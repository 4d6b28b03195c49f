"""`measure` agrees with the state of every condition, without noise and with it.

The limits are wider where readers have difficulties too: a QRS that joins P or T, pauses, and
independent waves of the atria.
"""

import numpy as np
import pytest

from ecglib.labels.label_set import PRESENT, Label
from ecglib.signals.leads import LEADS
from ecglib.signals.measure import measure
from ecglib.simulator import labels_from_heart, recording_device
from ecglib.simulator.conditions import CONDITIONS, VENTRICULAR
from ecglib.simulator.patients import DEVICES
from ecglib.simulator.rhythms import beat_times
from ecglib.simulator.sample_heart import example_heart
from ecglib.simulator.truth import truth
from ecglib.simulator.waveform import simulate

# 1/min, ms, ms, ms, degrees, mV: largest difference from the truth.
USUAL = {"heart_rate": 1.5, "pr": 30, "qrs": 35, "qt": 35, "qrs_axis": 14, "st": 0.10}
PAUSES = {"heart_rate": 5.0}
LIMITS: dict[str, dict[str, float]] = {
    "Mobitz I": PAUSES,
    "Mobitz II": PAUSES,
    "sinus arrhythmia": PAUSES | {"pr": 35},
    "premature atrial complexes": PAUSES | {"pr": 35},  # premature P waves enter the median
    "low voltage": {"heart_rate": 3.0},
    "left bundle branch block": {"st": 0.25},
    "early repolarization": {"qrs": 40, "st": 0.18},  # the notch at J is taken for QRS
    "left atrial enlargement": {"pr": 55},  # the tangent finds the larger, later half
    "bi-atrial enlargement": {"pr": 75},
    "pre-excitation": {"qt": 90, "qrs_axis": 30, "st": 0.2},
    "ventricular pacing": {"qrs": 80, "st": 0.3},
    "left ventricular pacing": {"heart_rate": 8, "qrs": 60, "st": 0.2},
    "third degree AV block": {"heart_rate": 8, "qrs": 40, "st": 0.15},
    "junctional rhythm": {"st": 0.15},
}
RATE_ONLY = {
    "ventricular tachycardia": "no isoelectric line between QRS and T",
    "supraventricular tachycardia": "retrograde P waves join QRS and T",
    "bigeminy or trigeminy": "as many premature beats as others: either shape is the usual one",
    "atrial flutter": "flutter waves run through QRS, ST and T",
    "lead misplacement": "the truth is that of the heart, the leads are others",
}
MAY_BE_MISSED = {"pre-excitation", "Mobitz II", "Mobitz I"}
BEATING = tuple(name for name in CONDITIONS if name != "standstill")


def compare(name: str, seed: int, noisy: bool) -> tuple[dict, dict, object]:
    """Measured and true values of one ECG, and its state."""
    state = example_heart(name, seed=seed)
    device = DEVICES["B"][0]
    rate = device.rate
    ecg = simulate(state, rate, np.random.default_rng(seed))
    if noisy:
        ecg = recording_device.record(ecg, device, np.random.default_rng([seed, 1]))
    times, _ = beat_times(state, np.random.default_rng(seed))
    return measure(ecg, rate), truth(state, times[(times > 0.1) & (times < 9.9)]), state


@pytest.mark.parametrize("noisy", [False, True], ids=["clean", "noisy"])
@pytest.mark.parametrize("name", BEATING)
def test_intervals_axis_and_st(name, noisy):
    limits = USUAL | LIMITS.get(name, {})
    for seed in range(3):
        measured, true, _ = compare(name, seed, noisy)
        assert abs(measured["heart_rate"] - true["heart_rate"]) < limits["heart_rate"]
        if name in RATE_ONLY:
            continue
        for key in ("pr", "qrs", "qt", "qrs_axis", "st_II", "st_V2", "st_V5"):
            if np.isnan(true[key]) or (np.isnan(measured[key]) and name in MAY_BE_MISSED):
                continue
            gap = measured[key] - true[key]
            if key == "qrs_axis":
                gap = (gap + 180) % 360 - 180
            assert abs(gap) < limits[key[:2] if key[:2] == "st" else key], (key, seed, gap)


@pytest.mark.parametrize("name", BEATING)
def test_irregularity_is_that_of_the_labels(name):
    measured, _, state = compare(name, 1, noisy=True)
    labels = labels_from_heart.labels_of(state)
    if labels[Label.IRREGULARLY_IRREGULAR] == PRESENT:
        assert measured["rr_rmssd"] > 0.1
    elif labels[Label.REGULAR] == PRESENT:
        assert measured["rr_rmssd"] < 0.06


def test_no_beats_where_there_is_no_qrs():
    state = example_heart("standstill")
    clean = simulate(state, 500, np.random.default_rng(0))
    measured = measure(clean, 500)
    assert not measured["qrs"] > 0 or max(measured[f"r_{lead}"] for lead in LEADS) < 0.3


def test_criteria_are_those_of_the_recording():
    """Voltage and T labels of drawn hearts, measured in the noiseless recording."""
    judged = 0
    for place, name in enumerate(BEATING):
        state = example_heart(name, seed=40 + place)
        if state.exchanged or name in RATE_ONLY or name in VENTRICULAR:
            continue
        row = measure(simulate(state, 500, np.random.default_rng(place)), 500)
        labels = labels_from_heart.labels_of(state)
        deep = max(0.0, -row["s_V1"])
        for label, value, border in (
            (Label.TALL_R_AVL, row["r_aVL"], 1.1),
            (Label.SOKOLOW, deep + max(row["r_V5"], row["r_V6"]), 3.5),
            (Label.T_INVERSION_INFERIOR, min(-row["t_II"], -row["t_aVF"]), 0.1),
            (Label.T_INVERSION_ANTERIOR, min(-row["t_V3"], -row["t_V4"]), 0.1),
        ):
            if labels[label] < 0 or abs(value - border) < 0.1 * border + 0.06:
                continue
            judged += 1
            assert (value > border) == (labels[label] == PRESENT), (name, label, value)
    assert judged > 120
