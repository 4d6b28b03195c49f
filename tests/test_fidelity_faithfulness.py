"""What a reader measures after the codes: errors, losses, small waves, noise; and their figures."""

import numpy as np
import pandas as pd
import pytest
from builds import refused

from ecglib.evaluate import measurement_error, predictions
from ecglib.fidelity import faithfulness, noise_response
from ecglib.fidelity.small_waves import TERRITORY, _has_q, are_seen, find_waves, spike_heights
from ecglib.figures import clinical_error, denoising, style
from ecglib.labels.label_set import PRESENT, Label
from ecglib.signals.leads import RATE
from ecglib.simulator import added_noise
from ecglib.simulator.sample_heart import example_heart
from ecglib.simulator.waveform import simulate

METHODS = ("vq", "bpe")


def ecg(*conditions: str) -> np.ndarray:
    """(12, 2500) mV at 250 Hz, a little noisy."""
    rng = np.random.default_rng(3)
    signal = simulate(example_heart(*conditions), 2 * RATE, rng)[:, ::2]
    return (signal + 0.002 * rng.standard_normal(signal.shape)).astype(np.float32)


def test_amplitudes_shrink_with_the_signal_and_a_flat_line_loses_everything():
    x = np.stack([ecg(), ecg("first degree AV block"), ecg("atrial fibrillation")])
    n_valid, versions = np.full(3, 2500), {}
    for name, signals in {"x": x, "0.8": 0.8 * x, "flat": np.zeros_like(x)}.items():
        versions[name] = faithfulness.measured(lambda part, s=signals: s[part], n_valid, 1)[0]
    same = faithfulness.compare(versions["x"], versions["x"])
    assert same["original"].equals(same["reconstruction"])
    assert set(same.loc[same["item"] == "pr", "row"]) == {0, 1}, "no P wave in fibrillation"
    assert (same.loc[same["item"].str.startswith("r_"), "original"] >= 0.2).all()
    steps = {"heart_rate": ("heart_rate", 0.1), "pr": ("pr", 1), "qrs_duration": ("qrs", 1)}
    for item, (measure, step) in (steps | {"qt": ("qt", 1)}).items():
        kept = same[same["item"] == item].set_index("row")["original"]
        assert (kept - versions["x"][measure]).abs().max() <= step / 2, item
    smaller = faithfulness.compare(versions["x"], versions["0.8"])
    r = smaller[smaller["item"].str.startswith("r_amplitude")]
    assert np.allclose(r["reconstruction"], 0.8 * r["original"], atol=0.002)
    lost = faithfulness.compare(versions["x"], versions["flat"])
    assert len(lost) == len(same) and lost["reconstruction"].isna().all()


def test_padding_is_not_measured():
    """Else an ECG of 8 s would be compared with two flat seconds at its end."""
    x, n_valid = ecg()[None], np.array([2000])
    padded = x.copy()
    padded[..., 2000:] = 0
    tables = (faithfulness.measured(lambda part, s=s: s[part], n_valid, 1) for s in (x, padded))
    for one, other in zip(*tables, strict=True):
        pd.testing.assert_frame_equal(one, other)


@pytest.mark.parametrize(
    ("condition", "label", "item"),
    [
        ("inferior Q waves", Label.Q_WAVE_INFERIOR, "q:inferior"),
        ("pre-excitation", Label.DELTA_WAVE, "delta"),
        ("", Label.SINUS_RHYTHM, "p"),
    ],
)
def test_small_waves_are_seen_where_the_heart_has_them(condition: str, label: Label, item: str):
    x = ecg(*filter(None, [condition]))
    waves = pd.DataFrame([find_waves(x, RATE), find_waves(ecg("atrial fibrillation"), RATE)])
    name = item.replace(":", "_")
    assert are_seen(waves)[name].to_list() == [True, False]
    labels = np.zeros((1, len(Label)), np.int8)
    labels[0, label] = 1
    seen = faithfulness.compare_waves(waves[:1], waves[1:].reset_index(drop=True), labels)
    row = seen[seen["item"] == item].iloc[0]
    assert row["original"] and not row["reconstruction"]
    assert are_seen(pd.DataFrame([find_waves(np.zeros_like(x), RATE)])).to_numpy().sum() == 0


def test_p_waves_are_those_of_sinus_rhythm_and_small_ones_have_at_most_a_tenth_of_a_millivolt():
    """Of three ECGs the first two are in sinus rhythm, the first and the last have a small P."""
    waves = pd.DataFrame(
        {"p": [0.05, 0.3, 0.05], "delta": 0.0} | {f"q_{t}": 0.0 for t in TERRITORY}
    )
    labels = np.zeros((3, len(Label)), np.int8)
    labels[:2, Label.SINUS_RHYTHM] = PRESENT
    seen = faithfulness.compare_waves(waves, waves.assign(p=0.0), labels)
    assert seen.groupby("item")["row"].agg(list).to_dict() == {"p": [0, 1], "small_p": [0]}


@pytest.mark.parametrize(
    ("depth", "samples", "r", "is_pathological"),
    [
        (0.15, 7, 0.5, True),
        (0.15, 5, 0.5, False),  # 20 ms
        (0.08, 9, 0.2, False),  # flat
        (0.15, 9, 1.0, False),  # less than a fifth of R
    ],
)
def test_a_pathological_q_wave_is_long_deep_and_a_fifth_of_r(depth, samples, r, is_pathological):
    assert _has_q(np.r_[np.full(samples, -depth), np.full(9, r)], RATE) is is_pathological


def test_waves_are_seen_from_their_limits_on():
    """Any P wave, 44 ms of a slow start, Q waves in two leads of a territory."""
    waves = {"p": [0.0, 0.02], "delta": [0.040, 0.044]} | {f"q_{t}": [1, 2] for t in TERRITORY}
    assert are_seen(pd.DataFrame(waves)).T.to_numpy().tolist() == [[False, True]] * 6


def test_a_spike_is_lost_by_smoothing_below_half_of_its_height_and_off_its_place():
    x = ecg("ventricular pacing")[None]
    labels = np.zeros((1, len(Label)), np.int8)
    labels[0, Label.VENTRICULAR_PACED] = PRESENT

    def spikes(y: np.ndarray, states: np.ndarray = labels) -> pd.DataFrame:
        signals = (lambda part: x[part], lambda part: y[part])
        return faithfulness.compare_spikes(*signals, np.array([2500]), states)

    smooth = noise_response.smooth(x)
    before, after = spike_heights(x[0], smooth[0], RATE)
    assert before > 0.15 > after
    for y, is_seen in (
        (smooth, False),
        (0.6 * x, True),
        (0.4 * x, False),
        (np.roll(x, 1, axis=2), True),  # samples of 4 ms
        (np.roll(x, 10, axis=2), False),
    ):
        seen = spikes(y)
        assert seen[["original", "reconstruction"]].to_numpy().tolist() == [[True, is_seen]]
    assert np.isnan(spike_heights(0 * x[0], x[0], RATE)).all()
    assert spikes(smooth, 0 * labels).empty
    groups = faithfulness.conditions_of(labels)["condition"].to_list()
    assert groups == ["ventricular pacing"]


@pytest.mark.parametrize("kind", added_noise.KINDS)
def test_noise_has_the_stated_size_and_obeys_the_limb_lead_identities(kind: str):
    person, clean = added_noise.clean_ecg(0, 1)
    assert clean.shape == (12, 2500) and person.kind == "graded"
    noise = added_noise.add_noise(clean, kind, 6.0, np.random.default_rng(0)) - clean
    power = np.square(clean - clean.mean(axis=1, keepdims=True)).mean()
    assert np.isclose(10 * np.log10(power / np.square(noise).mean()), 6.0, atol=0.01)
    one, two, three = noise[:3]
    assert np.allclose(three, two - one, atol=1e-4)
    refused("expected noise of", added_noise.add_noise, clean, "hiss", 6.0, None)


class Half:
    """A tokenizer that halves the voltage."""

    def encode(self, x, n_valid):
        return x

    def decode(self, codes):
        return 0.5 * codes


def test_the_response_to_noise_is_split_into_error_and_passed_noise():
    clean = np.stack([added_noise.clean_ecg(0, number)[1] for number in (1, 2)])
    noisy = clean + np.float32(0.1)
    named = {"none:": clean, "offset:12": noisy}.items()
    errors, pairs = noise_response.respond({"vq": Half()}, clean, named, ("none:",), 1)
    score = errors.groupby(["method", "item"])["score"].mean()
    assert np.isclose(score["input", "to_clean:offset:12"], 0.1, atol=1e-6)
    assert np.isclose(score["vq", "passed:offset:12"], 0.05, atol=1e-6)
    assert score["input", "to_clean:none:"] == 0 < score["vq", "to_clean:none:"]
    assert set(pairs["method"]) == {"input", "smoother", "vq"}
    assert pairs["item"].str.endswith(":none:").all()
    t = pairs[(pairs["item"] == "t_amplitude:none:") & (pairs["method"] == "vq")]
    assert len(t) and np.allclose(t["reconstruction"], 0.5 * t["original"], atol=0.002)


@pytest.mark.parametrize(("hertz", "left"), [(5, 1.0), (40, 0.5), (80, 0.03)])
def test_the_smoother_passes_what_is_slow_and_halves_40_hz(hertz, left):
    x = np.sin(2 * np.pi * hertz * np.arange(2500) / RATE)[None, None].repeat(12, 1)
    assert np.abs(noise_response.smooth(x)[0, :, 500:2000]).max() == pytest.approx(left, abs=0.03)


def test_errors_are_summarised_with_what_was_lost_and_invented():
    """Two ECGs with errors of 10 and 30 ms, one lost, one invented."""
    people = pd.DataFrame({"unit": range(4), "ecg": range(4), "site": "A", "sex": "F", "age": 60.0})
    nan = float("nan")
    pairs = pd.DataFrame({"original": [160, 200, 180, nan], "reconstruction": [170, 170, nan, 150]})
    rows = predictions.build(people, "vq", 0, "pr", **measurement_error.rows_of(pairs))
    table = measurement_error.summarise(measurement_error.split_item(rows), ["quantity", "method"])
    row = table.iloc[0]
    assert (row["quantity"], row["value"], row["bias"], row["ecgs"]) == ("pr", 20.0, -10.0, 2)
    assert np.isclose(row["lost"], 100 / 3) and row["invented"] == 25.0
    assert row["low"] == 10.0 and row["high"] == 30.0
    counted = measurement_error.count_lost(measurement_error.split_item(rows), {"pr": 10.0})
    row = measurement_error.summarise(counted, ["quantity"]).iloc[0]
    assert (row["value"], row["bias"], row["ecgs"]) == (20.0, -10.0, 3)  # 10, 30 and twice 10
    assert measurement_error.count_lost(counted, {"qt": 10.0}).empty
    seen = rows.assign(target=["1", "1", "1", "0"], score=[1.0, 1.0, 0.0, 1.0])
    share = measurement_error.seen_again(seen, ["item", "method"]).iloc[0]
    assert (share["cases"], share["original"]) == (4, 75.0) and np.isclose(share["value"], 200 / 3)
    never = measurement_error.seen_again(seen.assign(score=0.0), ["item", "method"]).iloc[0]
    assert never["low"] == 0.0 and np.isclose(never["high"], 100 * (1 - 0.025 ** (1 / 3)))


def test_the_figures_have_a_panel_per_quantity_condition_and_kind():
    margins = {"pr": 10.0, "st_level": 0.025}
    rows = [(m, q, 0.02, 0.01, 0.03, 5.0) for m in METHODS for q in clinical_error.TITLES]
    table = pd.DataFrame(rows, columns=["method", "quantity", "value", "low", "high", "lost"])
    table["kept"] = 0.1  # beyond the bars
    table = table.assign(lost_low=4.0, lost_high=6.0)
    figure = clinical_error.by_quantity(table, margins)
    assert len(figure.axes) == 8 and figure.axes[0].get_xlim()[1] > 0.1
    parts = [
        table.assign(condition=c, ecgs=12)[table["quantity"] == "pr"]
        for c in ("flutter", "Q waves")
    ]
    assert len(clinical_error.by_condition(pd.concat(parts), margins).axes) == len(METHODS) + 1
    noise = [(k, s, m, 0.1 / s) for k in ("hum", "em") for s in (1, 2) for m in ("smoother", "vq")]
    noise = pd.DataFrame(noise, columns=["kind", "snr", "method", "input"])
    noise = noise.assign(value=0.05, low=0.04, high=0.06)
    figure = denoising.by_kind(noise)
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["Hum", "Em"]
    assert figure.get_figwidth() == style.DOUBLE
