"""Cleaning one recording: wander, mains lines, LOESS, and what must stay as it was."""

import re
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
from builds import needs, real, refused
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.nonparametric.smoothers_lowess import lowess

from ecglib.signals import highpass, loess, mains
from ecglib.signals.clean import Cleaned, clean
from ecglib.signals.leads import LEADS, from_electrodes, limb_identities
from ecglib.simulator import patients, recording_device, sample_heart
from ecglib.simulator.heart import HeartState
from ecglib.simulator.waveform import simulate
from ecglib.sources import ptbxl

MINI = real("ECGLIB_PTBXL_MINI")
V2 = LEADS.index("V2")
SHAM = (40.0, 44.0, 55.0, 65.0, 70.0, 80.0, 90.0, 106.0)  # Hz where no mains are


@lru_cache
def recording(index: int, wander: float = 1.0) -> tuple[np.ndarray, float]:
    """A simulated recording with wander and muscle noise but no mains."""
    rng = np.random.default_rng([21, index])
    person = sample_heart.draw_person("AB"[index % 2], "enriched", rng)
    state = sample_heart.draw_state(person, person.conditions, rng)
    device = patients.DEVICES[person.site][0]
    device = replace(device, hum=0.0, wander=wander * device.wander)
    signal = simulate(state, device.rate, rng)
    return recording_device.record(signal, device, rng), float(device.rate)


def tone(hertz: float, millivolts: float, rate: float, count: int, seed: int = 0) -> np.ndarray:
    """A sinusoid (12, n) that enters at the electrodes; `millivolts` in the median lead."""
    gain = from_electrodes(np.random.default_rng(seed).standard_normal((9, 1)))
    wave = np.sin(2 * np.pi * hertz * np.arange(count) / rate + 0.7)
    return millivolts / np.median(np.abs(gain)) * gain * wave


def humming(index: int, hertz=50.0, millivolts=0.1, wander=1.0, seed=0):
    """The recording with a tone, and its rate."""
    signal, rate = recording(index, wander)
    return signal + tone(hertz, millivolts, rate, signal.shape[1], seed), rate


def spectrum(signal: np.ndarray) -> np.ndarray:
    return np.fft.rfft(signal.astype(np.float64), axis=-1)


def energy(spectra: np.ndarray, part: np.ndarray) -> float:
    return (np.abs(spectra[:, part]) ** 2).sum()


def violation(signal: np.ndarray) -> float:
    return max(limb_identities(signal).values())


def hertz_of(cleaned: Cleaned) -> list[float]:
    return [line.hertz for line in cleaned.lines]


def test_a_clean_recording_is_only_resampled():
    """Any rate becomes 250 Hz and no padding is added."""
    cases = [recording(index, 0.2) for index in range(4)]
    for rate in (100, 250, 400, 500, 1000):
        whole = simulate(HeartState(), rate, np.random.default_rng(0))
        cases.append((whole[:, : round(7.3 * rate)], rate))
    for signal, rate in cases:
        done = clean(signal, rate)
        assert done.lines == () and not done.filtered.any()
        assert np.array_equal(done.signal, done.resampled) and done.signal.dtype == np.float32
        assert done.signal.shape == (12, 250 * signal.shape[1] / rate)


def test_the_high_pass_needs_ten_times_the_energy_and_no_less():
    """Tones of 0.5 and 8 Hz over whole periods: the ratio of energies is that of the squares."""
    phase = 2 * np.pi * np.arange(2500) / 250
    ecg = 0.2 * np.sin(8 * phase)
    for times, fires in ((9.9, False), (10.1, True)):
        wander = 0.2 * np.sqrt(times) * np.sin(0.5 * phase + 1)
        signal = np.tile(ecg + 5.0, (12, 1))  # the offset counts on neither side
        signal[V2] += wander
        assert highpass.energy_ratio(signal)[V2] == pytest.approx(times)
        done = clean(signal, 250)
        assert done.filtered.tolist() == [fires and lead == V2 for lead in range(12)]
        left = done.signal[V2] - (0.0 if fires else 5.0) - ecg
        assert (np.abs(left[500:2000]).max() < 0.07 * wander.max()) == fires
    # One hertz keeps half and nothing moves: of order 2, run twice, the gain is f^4 / (1 + f^4).
    for hertz, gain in ((0.25, 1 / 257), (1.0, 0.5), (2.0, 16 / 17)):
        wave = np.tile(np.sin(2 * np.pi * hertz * np.arange(5000) / 250), (12, 1))
        out = highpass.high_pass(wave, np.ones(12, bool))
        assert np.allclose(out[:, 1000:4000], gain * wave[:, 1000:4000], atol=2e-3)
    # A limb lead takes all six along: alone it would leave its partners' wander in III - (II - I).
    signal, rate = recording(0)
    potential = np.zeros((9, signal.shape[1]))  # of the left arm: in I, III, aVL and more
    potential[1] = 1.5 * np.sin(2 * np.pi * 0.3 * np.arange(signal.shape[1]) / rate)
    wandering = (signal + from_electrodes(potential)).astype(np.float32)
    resampled = clean(wandering, rate).resampled
    alone = highpass.energy_ratio(resampled) > highpass.TIMES
    assert 0 < alone[:6].sum() < 6
    assert violation(highpass.high_pass(resampled, alone)) > 0.1
    done = clean(wandering, rate)
    assert done.filtered[:6].all()
    assert violation(done.signal) < 2e-6


def test_flat_and_short_recordings_are_no_special_case_and_others_are_refused():
    flat = clean(np.full((12, 300), 3.7), 250)
    assert not flat.filtered.any() and np.allclose(flat.signal, 3.7)
    assert not clean(np.zeros((12, 2500)), 250).signal.any()
    for samples in (1, 2, 5, 249, 499, 500, 501):
        assert clean(recording(0)[0][:, :samples], 250).signal.shape == (12, samples)
    wander = np.tile(np.sin(np.arange(300) / 40), (12, 1))
    assert np.isfinite(highpass.high_pass(wander, np.ones(12, bool))).all()
    for shape in ((8, 5000), (5000,), (12, 0)):
        refused(re.escape(f"shape {shape}"), clean, np.zeros(shape), 500)
    refused("got 120 that are not", clean, np.full((12, 10), np.nan), 500)
    refused("expected positive", clean, np.zeros((12, 5000)), 0)


@pytest.mark.parametrize("millivolts", [0.02, 0.1, 1.0])
@pytest.mark.parametrize("hertz", [50.0, 49.9, 49.95, 50.013, 60.0, 60.1, 59.96, 100.0, 120.0])
def test_a_tone_is_detected_and_removed(hertz, millivolts):
    signal, rate = recording(2)
    added = tone(hertz, millivolts, rate, signal.shape[1])
    done = clean(signal + added, rate)
    assert hertz_of(done) == [pytest.approx(hertz, abs=0.02)]
    change = done.signal - clean(signal, rate).signal
    # A tenth of a second is left out at the ends, which the resampling filter meets.
    left, largest = (np.sqrt(2 * (x**2).mean(axis=1)).max() for x in (change[:, 25:-25], added))
    assert left < 0.01 + 0.01 * largest
    assert violation(done.signal) < 1e-5 * max(1, millivolts)


def test_harmonics_both_mains_at_once_and_other_lengths():
    signal, rate = recording(4)
    parts = ((50.02, 0.1), (100.04, 0.05), (60.0, 0.1), (120.0, 0.05))
    added = sum(tone(*part, rate, signal.shape[1], seed) for seed, part in enumerate(parts))
    done = clean(signal + added, rate)
    assert np.allclose(hertz_of(done), sorted(hertz for hertz, _ in parts), rtol=0, atol=0.01)
    change = (done.signal - clean(signal, rate).signal)[:, 25:-25]
    assert np.sqrt((change**2).mean()) < 0.1 * np.sqrt((added**2).mean())
    assert violation(done.signal) < 1e-5
    # From 2 to 10 s at 400 or 500 Hz: no line in a clean recording, and a tone is detected.
    (plain, rate), (hum, _) = recording(1), humming(1)
    for samples in (1000, 1501, 2934, 4096):
        assert clean(plain[:, :samples], rate).lines == ()
        assert hertz_of(clean(hum[:, :samples], rate)) == [pytest.approx(50, abs=0.05)]


def test_magnitude_comes_down_to_the_fit_and_phase_and_qrs_complexes_stay():
    """A tone on a bin: that bin changes, its phase does not, and its neighbours hardly do."""
    done = clean(*humming(1))
    before, after = spectrum(done.high_passed), spectrum(done.signal)
    bin50 = 500
    assert np.abs(np.angle(after[:, bin50] / before[:, bin50])).max() < 1e-4
    background = mains.fit_background(np.abs(after), 2500)
    ratio = np.abs(after[:, bin50]) / background[:, bin50]
    # At the fit in the chest leads, at or below it in the limb leads.
    assert ratio.max() < 1.1 and ratio[6:].min() > 0.9
    distance = np.abs(mains.frequencies(2500) - 50)
    near = (distance > 0.55) & (distance < 10)
    assert energy(after - before, near) < 1e-3 * energy(before, near)
    # The tone is added at 250 Hz: resampling sees it end at the ends of the recording.
    plain = clean(*recording(3)).signal
    qrs = np.abs(mains.frequencies(2500) - 25) <= 20  # most of its energy
    for hertz in (50.0, 49.95):
        change = clean(plain + tone(hertz, 0.2, 250, 2500), 250).signal - plain
        assert energy(spectrum(change), qrs) < 1e-5 * energy(spectrum(plain), qrs)
        assert np.abs(change).max() < 0.03


@pytest.mark.parametrize("hertz", [50, 60, 100, 120])
@pytest.mark.parametrize(("leads", "share"), [([V2], 0.01), (list(range(12)), 0.02)])
def test_a_tone_that_breaks_the_identities_goes_and_other_leads_stay(hertz, leads, share):
    for index, millivolts in ((0, 0.03), (1, 0.1), (2, 1.0), (0, 0.1)):
        signal, rate = recording(index)
        humming = signal.copy()
        humming[leads] += millivolts * np.sin(2 * np.pi * hertz * np.arange(len(signal.T)) / rate)
        done = clean(humming, rate)
        assert hertz_of(done) == [pytest.approx(hertz, abs=0.01)]
        touched = done.lines[0].leads
        assert touched[leads].all()
        assert np.array_equal(done.signal[~touched], done.high_passed[~touched])
        left = np.abs(spectrum(done.signal)[leads, 10 * hertz]) / 1250
        assert left.max() < 0.001 + share * millivolts


def test_chance_and_a_regular_rhythm_are_rarely_taken_for_mains():
    # Equal beats at 75 per minute have a spectral line at every 1.25 Hz, so at 50 and 60 Hz.
    beat = simulate(HeartState(rate=60, variability=0.0), 500, np.random.default_rng(0))
    assert clean(np.tile(beat[:, 500:900], (1, 13))[:, :5000], 500).lines == ()
    assert sum(bool(clean(*recording(index)).lines) for index in range(100, 200)) <= 1
    # The hardest case is noise that is the same in all leads: they agree on every chance peak.
    rngs = [np.random.default_rng(seed) for seed in range(100)]
    white = [rng.standard_normal((1, 2500)) * rng.uniform(0.5, 2, (12, 1)) for rng in rngs]
    assert sum(bool(mains.find_lines(noise)) for noise in white) <= 3
    assert mains.line_frequencies(125) == (50.0, 60.0, 100.0, 120.0)  # below half the rate
    assert (mains.line_frequencies(60), mains.line_frequencies(50)) == ((50.0,), ())


def _bytes(index: int) -> bytes:
    return clean(*humming(index, millivolts=0.05, seed=index)).signal.tobytes()


def test_the_same_bytes_in_a_batch_on_any_worker_and_in_any_layout():
    alone = [_bytes(index) for index in range(6)]
    assert [_bytes(index) for index in reversed(range(6))][::-1] == alone
    with ProcessPoolExecutor(2) as pool:
        assert list(pool.map(_bytes, range(6))) == alone
    signal, rate = humming(0, millivolts=0.05)
    copy = signal.copy()
    for other in (np.asfortranarray(signal), np.ascontiguousarray(signal.T).T):
        assert clean(other, rate).signal.tobytes() == alone[0]
    assert np.array_equal(signal, copy)
    quiet, rate = recording(0)
    clean(quiet, rate).signal[:] = 0  # belongs to the caller
    assert clean(quiet, rate).signal.any()


@settings(max_examples=15)
@given(st.integers(0, 20), st.integers(-10, 10), st.floats(-0.2, 0.2), st.floats(0.02, 0.5))
def test_identities_hold_nothing_is_left_to_do_and_units_do_not_matter(index, power, off, size):
    hum, rate = humming(index, 50 + off, size, 6.0, index)
    done = clean(hum, rate)
    assert len(done.lines) == 1
    assert violation(done.signal) < 1e-5
    assert clean(done.signal, 250).lines == ()
    # Every decision is a ratio: powers of two give the same digits.
    for signal in (hum, humming(index, wander=6.0)[0], recording(index, 6.0)[0]):
        one, scaled = clean(signal, rate), clean(2.0**power * signal, rate)
        assert np.array_equal(scaled.signal, np.float32(2.0**power) * one.signal)
        assert hertz_of(scaled) == hertz_of(one)
        assert np.array_equal(scaled.filtered, one.filtered)


@needs("ECGLIB_PTBXL_MINI")
def test_real_recordings_have_lines_where_mains_are_and_nowhere_else():
    names = ptbxl.read_table(MINI)["record"].iloc[:100]
    sham = 0
    for name in names:
        signal, rate = ptbxl.read(MINI, name)
        done = clean(signal, rate)
        sham += len(mains.find_lines(done.high_passed, rate / 2, SHAM))
        assert violation(done.signal) < violation(done.resampled) + 1e-3
    assert sham <= 0.0025 * len(names) * len(SHAM)  # four lines a record: 1 % of records


def test_weights_by_hand():
    """In the middle of five points the distances are 2, 1, 0, 1, 2 and the radius 2.

    Tricube: (1 - 1)^3 = 0, (1 - 1/8)^3 = 343/512, 1. The slope drops out by symmetry, so the
    weights are these over their sum, 1 + 2 * 343/512 = 1198/512.
    """
    assert np.allclose(loess.weights(5)[2], np.array([0, 343, 512, 343, 0]) / 1198, atol=1e-15)
    line = 3.0 * np.arange(11) - 7
    assert np.allclose(loess.weights(11) @ line, line)  # at every place in the window
    # Leads together are leads apart.
    values = np.abs(np.random.default_rng(1).normal(size=(3, 12, 200)))
    together = loess.smooth(values, 31)
    assert np.array_equal(together, [[loess.smooth(lead, 31) for lead in ecg] for ecg in values])
    assert np.array_equal(together, loess.smooth(np.asfortranarray(values), 31))
    for span, words in ((4, "odd"), (3, "5 points"), (51, "at least 51")):
        refused(words, loess.smooth, np.zeros((12, 50)), span)
    with pytest.raises(ValueError, match="read-only"):
        loess.weights(5)[0, 0] = 1.0


@settings(max_examples=25)
@given(st.integers(2, 30), st.integers(0, 80), st.integers(0, 99), st.floats(0.01, 100))
def test_it_is_statsmodels_everywhere(half, more, seed, step):
    span = 2 * half + 1
    values = np.random.default_rng(seed).normal(size=span + more)
    # A little above span / n, so that rounding cannot lose a point of the window.
    share = min(1.0, (span + 0.01) / len(values))
    grid = step * np.arange(len(values))
    theirs = lowess(values, grid, frac=share, it=0, delta=0.0, return_sorted=False)
    assert np.abs(loess.smooth(values, span) - theirs).max() < 1e-6
