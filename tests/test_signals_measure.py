"""Intervals, axes and amplitudes: hand-made beats, simulated hearts, unmeasurable signals."""

import ast
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from builds import needs, real, refused
from scipy.ndimage import gaussian_filter1d

from ecglib.cohorts import build
from ecglib.cohorts.store import microvolts
from ecglib.signals.agreement import agreement, medians
from ecglib.signals.heartbeats import MedianBeat, r_peaks
from ecglib.signals.leads import from_limb_and_chest
from ecglib.signals.measure import MEASURES, _rhythm, measure, usual_beat
from ecglib.signals.resample import to_rate
from ecglib.signals.spikes import remove_spikes
from ecglib.simulator import patients, recording_device
from ecglib.simulator.heart import HeartState
from ecglib.simulator.truth import truth
from ecglib.simulator.waveform import beat_times, simulate
from ecglib.sources import ptbxl

MINI = real("ECGLIB_PTBXL_MINI")
DEVICE = recording_device.Device("test", 500, 0.001, 50.0, wander=0.05, muscle=0.01, hum=0.005)
NORMAL = HeartState()
HAND_MADE = [(0.8, 0.16, 0.1, 0.38), (1.2, 0.26, 0.14, 0.46), (1.0, 0.18, 0.17, 0.45)]
CHEST = np.array([-0.4, 0.3, 0.8, 1.1, 1.0, 0.8])  # of each wave's size, V1 to V6


def train(rate=500, rr=0.8, pr=0.16, qrs=0.1, qt=0.38, axis=40.0, st=0.0, seconds=10.0):
    """Beats with ends that are exact: all waves are squared sines, T falls in 140 ms.

    The size of a wave is 1 mV (QRS), 0.15 (P), 0.3 (T) along `axis` in the frontal plane, so lead
    I has its cosine and aVF its sine times sqrt(3)/2; `st` lifts V2 between QRS and T.
    """
    time = np.arange(round(rate * seconds)) / rate
    wave, level = np.zeros((2, len(time)))
    for onset in np.arange(0.5, seconds, rr):
        t = time - onset
        for start, length, size in ((-pr, 0.1, 0.15), (0.0, qrs, 1.0)):
            inside = (t >= start) & (t <= start + length)
            wave += size * inside * np.sin(np.pi * (t - start) / length) ** 2
        half = np.clip(np.minimum((t - qt + 0.26) / 0.12, (qt - t) / 0.14), 0, 1)
        wave += 0.3 * np.sin(np.pi / 2 * half) ** 2
        level += st * ((t > qrs) & (t < qrs + 0.12))
    angle = np.radians(axis)
    lead_i, avf = np.cos(angle) * wave, np.sqrt(3) / 2 * np.sin(angle) * wave
    chest = CHEST[:, None] * wave
    chest[1] += level
    return from_limb_and_chest(lead_i, avf + lead_i / 2, chest)


def heart(state: HeartState = NORMAL, seed: int = 0, rate: int = 500, device=DEVICE):
    """An ECG of a state with noise, the truth about it, and the times of its beats in s."""
    times, _ = beat_times(state, np.random.default_rng(seed))
    times = times[(times > 0.1) & (times < 9.9)]
    clean = simulate(state, rate, np.random.default_rng(seed))
    rng = np.random.default_rng([seed, 1])
    ecg = recording_device.record(clean, replace(device, rate=rate), rng)
    return ecg, truth(state, times), times


def near(measured: dict, expected: dict, **limits: float) -> None:
    """The chosen measures differ from those expected by less than the limits."""
    for name, limit in limits.items():
        gap = measured[name] - expected[name]
        if name.endswith("_axis"):
            gap = (gap + 180) % 360 - 180
        assert abs(gap) < limit, (name, gap)


@pytest.mark.parametrize("rate", [250, 500])
@pytest.mark.parametrize("rr, pr, qrs, qt", HAND_MADE)
def test_a_hand_made_train(rate, rr, pr, qrs, qt):
    measured = measure(train(rate, rr, pr, qrs, qt), rate)
    expected = {"heart_rate": 60 / rr, "rr_sd": 0, "rr_rmssd": 0}
    expected |= {"pr": 1000 * pr, "qrs": 1000 * qrs, "qt": 1000 * qt}
    # 40 Hz widens the QRS, readers set its onset ahead, and 13 % of the fall of T is added.
    near(measured, expected, heart_rate=0.1, rr_sd=3, rr_rmssd=0.005, pr=14, qrs=22, qt=34)
    assert measured["qt"] / measured["qtc_bazett"] == pytest.approx(rr ** (1 / 2), abs=2e-3)
    assert measured["qt"] / measured["qtc_fridericia"] == pytest.approx(rr ** (1 / 3), abs=2e-3)


def test_axes_and_amplitudes_of_a_train():
    for axis in (-150.0, -60.0, 10.0, 40.0, 75.0, 120.0, 178.0):
        expected = dict.fromkeys(("p_axis", "qrs_axis", "t_axis"), axis)
        near(measure(train(axis=axis), 500), expected, p_axis=3, qrs_axis=3, t_axis=3)
    measured = measure(train(axis=0.0, st=0.2), 500)
    expected = {"r_I": 1.0, "r_V4": 1.1, "s_V1": -0.4, "t_I": 0.3, "t_V1": -0.12}
    expected["s_aVR"] = -0.75  # -(I + II) / 2, II = I / 2
    near(measured, expected, r_I=0.05, r_V4=0.05, s_V1=0.03, s_aVR=0.05, t_I=0.03, t_V1=0.03)
    assert measured["st_V2"] - measured["st_V6"] > 0.12


HEARTS = [{}, {"rate": 45}, {"rate": 95, "pr": 0.14}, {"rate": 65, "pr": 0.28}, {"premature": 2}]
HEARTS += [{"rate": 65, "qtc": 0.52}, {"axis": -60, "fascicular": True}]
HEARTS += [{"qrs_type": "lbbb", "qrs": 0.15, "axis": -10}, {"qrs_type": "rbbb", "qrs": 0.14}]
HEARTS += [{"t_inverted": {"lateral": 0.2}}]


@pytest.mark.parametrize("rate", [250, 500])
@pytest.mark.parametrize("state", HEARTS, ids=str)
def test_simulated_hearts(state, rate):
    ecg, true, _ = heart(HeartState(**state), rate=rate)
    measured = measure(ecg, rate)
    near(measured, true, heart_rate=1.5, pr=15, qt=15, qrs_axis=12)
    near(measured, true, r_I=0.12, r_V5=0.12, s_V1=0.12, s_V2=0.12)
    near(measured, true, st_I=0.07, st_V3=0.07, t_II=0.07, t_V3=0.07)
    assert -12 < measured["qrs"] - true["qrs"] < 32


def test_irregular_rhythms():
    for seed in range(5):
        ecg, true, times = heart(HeartState(rhythm="afib", rate=90, variability=0.2), seed)
        measured = measure(ecg, 500)
        assert np.isnan([measured["pr"], measured["p_axis"], true["pr"]]).all()
        assert measured["rr_rmssd"] > 0.12
        assert measured["rr_sd"] == pytest.approx(1000 * np.diff(times).std(ddof=1), rel=0.3)
        near(measured, true, qt=25)
    regular = measure(heart()[0], 500)
    assert regular["rr_rmssd"] < 0.06 and regular["rr_sd"] < 50
    # Premature beats do not change the usual beat, and RR beside them is not counted.
    state = HeartState(premature=3, variability=0.01)
    ecg, *_ = heart(state)
    beat, _ = usual_beat(ecg, 500)
    assert (~beat.usual).sum() == 3
    measured, plain = measure(ecg, 500), measure(heart(replace(state, premature=0))[0], 500)
    near(measured, plain, qrs=8, pr=8, heart_rate=2)
    assert measured["rr_rmssd"] < 0.05


def test_rhythm_by_hand():
    """RR of 1.0, 1.2, 0.6, 1.0, 0.9, 1.1 s at 250 Hz; the beat behind the short one is unusual."""
    peaks = np.cumsum([100, 250, 300, 150, 250, 225, 275])
    usual = np.array([True, True, True, False, True, True, True])
    beat = MedianBeat(np.zeros((12, 9)), np.zeros((3, 12, 9)), 4, peaks, usual)
    rr, sd, rmssd = _rhythm(beat, 250)
    normal = np.array([1.0, 1.2, 0.9, 1.1])
    assert rr == pytest.approx(5.8 / 6) and sd == pytest.approx(normal.std(ddof=1))
    assert rmssd == pytest.approx(0.2 / normal.mean())


def test_beats_of_noisy_hearts_are_found():
    rough = replace(DEVICE, muscle=0.03, hum=0.02, wander=0.15)
    for seed, rate in enumerate((40, 60, 90, 130)):
        ecg, _, times = heart(HeartState(rate=rate), seed, device=rough)
        middle = times[(times > 0.15) & (times < 9.75)] + NORMAL.qrs / 2
        peaks = r_peaks(ecg, 500) / 500
        peaks = peaks[(peaks > 0.15) & (peaks < 9.85)]
        gaps = np.abs(peaks[:, None] - middle)
        assert gaps.min(axis=0).max() < 0.06 and gaps.min(axis=1).max() < 0.1
        assert (r_peaks(ecg[::-1], 500) == r_peaks(ecg, 500)).all()
    # One bad lead makes no beats.
    ecg, *_ = heart()
    bad = ecg.copy()
    bad[8] += np.random.default_rng(0).normal(0, 0.5, 5000) * (np.arange(5000) > 2500)
    assert len(r_peaks(bad, 500)) == len(r_peaks(ecg, 500))
    near(measure(ecg, 500), measure(bad, 500), pr=12, qrs=16)


def test_size_level_and_shift_leave_the_intervals():
    ecg, *_ = heart()
    plain = measure(ecg, 500)
    larger, shifted = measure(2 * ecg, 500), measure(ecg + 0.7, 500)
    for name, unit in MEASURES.items():
        assert shifted[name] == pytest.approx(plain[name], abs=1e-2 if unit == "mV" else 0.5)
        factor = 2 if unit == "mV" else 1
        assert larger[name] == pytest.approx(factor * plain[name], rel=0.01, abs=1.5)
    beats = train()
    plain = measure(beats, 500)
    for shift in (7, 50, 123):
        later = measure(beats[:, shift:], 500)
        for name in MEASURES:
            assert later[name] == pytest.approx(plain[name], rel=0.02, abs=2.1), name


def test_where_nothing_can_be_measured_all_is_nan_or_refused():
    rng = np.random.default_rng(0)
    wander = np.sin(np.arange(5000) / 400) * np.ones((12, 1))
    nothing = [np.zeros((12, 5000)), rng.normal(0, 0.3, (12, 5000)), wander]
    nothing += [np.full((12, 5000), np.nan), np.zeros((12, 0))]
    nothing += [train(seconds=1.5), train(seconds=2.2)]  # too short, and two beats
    for signal in nothing:
        assert np.isnan(list(measure(signal, 500).values())).all()
    for seed in range(20):
        walk = np.random.default_rng(seed).normal(0, 0.1, (12, 5000)).cumsum(axis=1)
        assert np.isnan(measure(walk, 500)["qrs"])
    refused(r"to measure, got shape \(5000, 12\)", measure, np.zeros((5000, 12)), 500)
    for rate in (50, float("nan")):
        refused(f"intervals, got {rate} Hz", measure, np.zeros((12, 500)), rate)
    rng, rate = np.random.default_rng(353), 100  # a complex that is fastest at its first sample
    beat = int(rate * rng.uniform(0.45, 1.3))
    spikes = rng.standard_normal((12, beat)) * (rng.random(beat) < rng.choice([0.02, 0.05, 0.3, 1]))
    wave = gaussian_filter1d(spikes, rng.choice([0.5, 1, 3]), axis=1) * rng.choice([0.1, 1, 10])
    length = int(rng.choice([2, 3, 7, 10]) * rate)
    signal = np.tile(wave, (1, 10 * rate // beat + 1))[:, :length]
    assert np.isfinite(measure(signal + rng.normal(0, 0.001, 1), rate)["heart_rate"])


def test_all_is_measured_but_in_a_missing_lead():
    ecg, true, _ = heart()
    before = ecg.copy()
    whole = measure(ecg, 500)
    assert list(whole) == list(MEASURES) and len(MEASURES) == 11 + 48
    assert all(type(value) is float and np.isfinite(value) for value in whole.values())
    assert set(MEASURES.values()) == {"1/min", "ms", "1", "degrees", "mV"}
    assert set(true) == set(MEASURES) - {"rr_sd", "rr_rmssd"}
    assert whole == measure(ecg, 500) and (ecg == before).all()
    ecg[9, 17] = np.nan  # V4
    ecg[5] = 0.25  # aVF lies flat
    measured = measure(ecg, 500)
    unknown = {f"{kind}_{lead}" for kind in ("r", "s", "st", "t") for lead in ("aVF", "V4")}
    unknown |= {"p_axis", "qrs_axis", "t_axis"}  # they need aVF
    assert {name for name, value in measured.items() if np.isnan(value)} == unknown
    near(measured, whole, qrs=12, pr=12)


def test_agreement_and_medians_by_hand():
    """Differences 1, 2, 3 have mean 2 and SD 1; 350 and 10 degrees lie 20 apart."""
    true = pd.DataFrame({"pr": [100.0, 100, 100, 100, np.nan], "qrs_axis": [350.0] * 5})
    ours = pd.DataFrame({"pr": [101.0, 102, 103, np.nan, 90], "qrs_axis": [10.0] * 5})
    table = agreement(ours, true, {"pr": "ms", "qrs_axis": "degrees"}).set_index("measure")
    row = table.loc["pr"]
    assert (row["n"], row["bias"], row["missed"], row["invented"]) == (3, 2.0, 1, 1)
    assert row["low"] == pytest.approx(0.04) and row["high"] == pytest.approx(3.96)
    assert table.loc["qrs_axis", "bias"] == pytest.approx(20.0)
    refused("for each of 4 truths, got 5", agreement, ours, true.iloc[:4], {"pr": "ms"})
    values = pd.Series([1.0, 2, 3, np.nan, 10], name="pr")
    groups = {"low": [1, 1, 1, 1, 0], "high": [0, 0, 0, 0, 1], "none": [0] * 5}
    low, high, none = medians(values, groups).to_dict("records")
    assert list(low.values()) == ["pr", "low", 3, 1, 2.0, 1.5, 2.5]
    assert high["median"] == 10
    assert none["n"] == 0 and np.isnan(none["median"])


def paced(rate, tall, spread, rr=1.0):
    """A train of broad beats, without and with spikes of 2 ms at their onsets, as a device keeps
    them; the first is `tall` mV, the others are smaller by up to the share `spread`."""
    ecg = train(1000, rr, pr=0.0, qrs=0.16, qt=0.45)
    onsets = np.arange(500, 10_000, round(1000 * rr))
    spikes = np.zeros(ecg.shape[1])
    for height, onset in zip(np.linspace(1, 1 - spread, len(onsets)), onsets, strict=True):
        spikes[onset : onset + 2] = tall * height
    sizes = np.array([1, 1, 0.3, -1, 0.4, 0.6, -0.5, 0.5, 1, 1, 0.8, 0.6])[:, None]
    return to_rate(ecg, 1000, rate), to_rate(ecg + sizes * spikes, 1000, rate)


@pytest.mark.parametrize("tall, spread", [(0.6, 0.0), (3.0, 0.0), (3.0, 0.85)])
@pytest.mark.parametrize("rate", [250, 500])
def test_a_spike_is_no_part_of_the_qrs(rate, tall, spread):
    """Nor is a beat lost where spikes are tall, or tall beside others."""
    plain, spiked = paced(rate, tall, spread)
    assert len(remove_spikes(spiked, rate)[1]) >= 9 and not len(remove_spikes(plain, rate)[1])
    assert np.abs(r_peaks(spiked, rate) - r_peaks(plain, rate)).max() < 0.02 * rate
    near(measure(spiked, rate), measure(plain, rate), heart_rate=0.3, r_V5=0.1)
    near(measure(spiked, rate), {"qrs": 160, "qt": 450}, qrs=14, qt=34)


@pytest.mark.parametrize("size", [0.25, 1.0])
def test_a_beat_between_paced_ones_is_kept(size):
    """It has no spike, is narrow, and may be far smaller."""
    _, ecg = paced(500, 1.5, 0.6, rr=1.6)
    own = size * np.roll(train(500, 1.6, qrs=0.07, qt=0.3), 400, axis=1)
    onsets = np.arange(0.5, 9.5, 0.8)
    middles = onsets + np.where(np.arange(len(onsets)) % 2, 0.035, 0.08)
    peaks = r_peaks(ecg + own, 500) / 500
    assert len(peaks) == len(middles) and np.abs(peaks - middles).max() < 0.04


@needs("ECGLIB_PTBXL_MINI")
def test_real_recordings_measure_what_their_statements_say():
    rows = ptbxl.read_table(MINI)
    codes = rows["scp_codes"].map(lambda text: set(ast.literal_eval(text)))
    middle = {}
    for code in ("NORM", "1AVB", "SBRAD", "CLBBB", "CRBBB", "AFIB"):
        chosen = rows[codes.map(lambda have, code=code: code in have)].head(12)
        middle[code] = pd.DataFrame(measure(*ptbxl.read(MINI, name)) for name in chosen["record"])
    median = {code: table.median() for code, table in middle.items()}
    assert median["NORM"]["heart_rate"] > 60 > median["SBRAD"]["heart_rate"]
    assert median["NORM"]["pr"] < 200 < median["1AVB"]["pr"]
    assert median["NORM"]["qrs"] < 110 < median["CRBBB"]["qrs"] < 200
    assert 120 < median["CLBBB"]["qrs"] < 200
    assert middle["AFIB"]["pr"].isna().mean() > 0.5 > middle["NORM"]["pr"].isna().mean()


@needs("ECGLIB_PTBXL_MINI")
def test_p_behind_t_is_no_train_of_flutter_waves():
    """Sinus rhythms of 94 to 98 beats a minute, whose T wave is like P, and a flutter."""
    rows = ptbxl.read_table(MINI).set_index("ecg_id")["record"]
    pr = {ecg_id: measure(*ptbxl.read(MINI, rows[ecg_id]))["pr"] for ecg_id in (101, 177, 346, 34)}
    assert all(120 < pr[ecg_id] < 260 for ecg_id in (101, 177, 346)) and np.isnan(pr[34]), pr


def test_a_p_wave_that_begins_before_the_usual_beat_is_measured():
    """One simulated ECG of 80,436 has such a wave, by a fiftieth of a sample."""
    settings = build.check({"source": "synthetic", "prevalence": "graded", "patients": 1}, {})
    keys = ("sites", "conditions", "reported_labels")
    sites, conditions, reported = (tuple(settings[key]) for key in keys)
    record = patients.patient(0, 51_370, sites, "graded", conditions, reported, 1.0)[0]
    signal, n_valid, _ = build.process(record["signal"], record["rate"])
    signal = microvolts(signal[:, :n_valid]).astype(np.float32) / 1000
    _, waves = usual_beat(signal, 250)
    assert -1 < waves.p_onset < 0 and np.isfinite(measure(signal, 250)["p_axis"])
