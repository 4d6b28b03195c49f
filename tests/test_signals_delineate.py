"""Onsets and ends over all leads: noisy leads, rest of the leads, P wave or none, cardiologists."""

import sys
from pathlib import Path

import numpy as np
import pytest
from builds import needs, real

from ecglib.signals.flutter import in_a_train
from ecglib.signals.measure import measure, usual_beat
from ecglib.simulator import recording_device
from ecglib.simulator.heart import HeartState
from ecglib.simulator.patients import DEVICES
from ecglib.simulator.sample_heart import example_heart
from ecglib.simulator.waveform import simulate

sys.path.append(str(Path(__file__).parent / "benchmarks"))
import _ludb

LUDB = real("ECGLIB_LUDB")
RATE = 500


def recorded(state: HeartState, seed: int) -> np.ndarray:
    """An ECG of a state by one of the simulated devices, at 500 Hz."""
    device = DEVICES["A"][0]
    clean = simulate(state, device.rate, np.random.default_rng([seed, 5]))
    return recording_device.record(clean, device, np.random.default_rng([seed, 6]))


def intervals(ecg: np.ndarray) -> np.ndarray:
    row = measure(ecg, DEVICES["A"][0].rate)
    return np.array([row["pr"], row["qrs"], row["qt"]])


def test_two_late_leads_decide_nothing_and_three_do():
    """Ends are those of about the third lead: a wide wave in fewer leads is not the QRS."""
    time = np.arange(RATE * 10) / RATE
    ecg = np.zeros((12, len(time)))
    for onset in np.arange(0.6, 10, 0.9):
        inside = (time > onset) & (time < onset + 0.09)
        ecg += inside * np.sin(np.pi * (time - onset) / 0.09) ** 2
    late = np.zeros((12, len(time)))
    for onset in np.arange(0.6, 10, 0.9):
        inside = (time > onset + 0.06) & (time < onset + 0.15)
        late += inside * np.sin(np.pi * (time - onset - 0.06) / 0.09) ** 2
    few, many = np.zeros((12, 1)), np.zeros((12, 1))
    few[6:8], many[6:11] = 0.25, 0.25
    plain, two, five = (measure(ecg + size * late, RATE)["qrs"] for size in (0 * few, few, many))
    assert abs(two - plain) < 12 and five - plain > 18


def test_a_disturbed_lead_changes_no_interval():
    ecg = recorded(example_heart(seed=3), 3)
    noisy = ecg.copy()
    noisy[9] += np.random.default_rng(0).normal(0, 0.1, ecg.shape[1])
    assert np.abs(intervals(noisy) - intervals(ecg)).max() < 8


@pytest.mark.parametrize("name, most", [("atrial fibrillation", 1), ("atrial flutter", 4)])
def test_no_p_wave_in_fibrillation_and_flutter(name, most):
    """Of 30 hearts at most so many keep a PR interval; sinus rhythm keeps it."""
    pr = [intervals(recorded(example_heart(name, seed=200 + i), i))[0] for i in range(30)]
    assert np.isfinite(pr).sum() <= most
    if name == "atrial flutter":
        sinus = [intervals(recorded(example_heart(seed=200 + i), i))[0] for i in range(15)]
        assert np.isfinite(sinus).all()


def test_a_p_wave_at_high_rates_is_kept():
    """P follows T without rest there, as one flutter wave follows another."""
    hearts = [example_heart("sinus tachycardia", seed=300 + i) for i in range(15)]
    pr = [intervals(recorded(state, i))[0] for i, state in enumerate(hearts)]
    assert np.isfinite(pr).sum() >= 13


def test_the_waves_lie_in_order():
    ecg = recorded(example_heart(seed=4), 4)
    _, waves = usual_beat(ecg, DEVICES["A"][0].rate)
    order = [waves.p_onset, waves.p_end, waves.qrs_onset, waves.qrs_end, waves.t_end]
    assert np.all(np.diff(order) > 0)


def test_intervals_of_annotations_by_hand():
    """Second-earliest onsets, second-latest ends, the median over beats, at 1,000 Hz."""
    beats = {key: np.full((2, 12), np.nan) for key in ("p_onset", "qrs_onset", "qrs_end", "t_end")}
    beats["p_onset"][0, :3] = [90, 50, 60]
    beats["qrs_onset"][:, :4] = [[200, 210, 220, 230], [200, 210, 220, 230]]
    beats["qrs_end"][:, :3] = [[300, 310, 400], [300, 320, 400]]
    beats["t_end"][1, 5] = 700  # one lead alone gives no end
    assert _ludb.intervals(beats, 1000) == {
        "pr": 150,
        "qrs": 105,
        "qt": pytest.approx(np.nan, nan_ok=True),
    }


@needs("ECGLIB_LUDB")
def test_the_records_of_tuning_agree_with_their_annotators():
    """Even numbers only; the odd ones are scored by the benchmark."""
    gaps = []
    for name in [name for name in _ludb.records(LUDB) if int(name) % 2 == 0][:20]:
        signal, rate, _ = _ludb.read(LUDB, name)
        row, known = measure(signal, rate), _ludb.reference(LUDB, name, rate)
        gaps.append([abs(row[key] - known[key]) for key in ("pr", "qrs", "qt")])
    assert (np.nanmedian(gaps, axis=0) < (10, 12, 20)).all()


def test_a_wave_that_begins_before_the_window_is_measured():
    """A long PR in front of a broad QRS: the onset lies before the first sample of the beat."""
    leads = np.random.default_rng(0).normal(0, 0.1, (8, 325))
    assert in_a_train(leads, (-2.4, 20.0), (110.0, 160.0), np.nan, 1.0, 250) in (True, False)


def test_blocked_p_waves_are_no_beats():
    """A broad escape rhythm is as flat as a P wave is steep, but larger."""
    for i in range(20):
        state = example_heart("third degree AV block", seed=600 + i)
        ecg = recorded(state, i)
        rate = measure(ecg, DEVICES["A"][0].rate)["heart_rate"]
        assert abs(rate - state.rate) < 0.1 * state.rate, i
