"""Noise of one kind at a stated size, added to an ECG without noise.

Like the noise of `recording_device` it enters at the electrodes, so it obeys the limb-lead
identities. Three kinds are that device's own. The fourth, motion, is a poorly fixed electrode that
moves on the skin: its potential jumps and creeps back, as in the records named "em" of PhysioNet's
noise stress test database.
"""

import numpy as np

from ecglib.signals.leads import RATE, SAMPLES, from_electrodes
from ecglib.signals.resample import to_rate
from ecglib.simulator import sample_heart
from ecglib.simulator.recording_device import Device, record
from ecglib.simulator.sample_heart import Person
from ecglib.simulator.waveform import simulate

DEVICE_RATE = 500  # Hz
SILENT = {"name": "", "rate": DEVICE_RATE, "resolution": 1e-4, "mains": 50.0}
SILENT |= {"wander": 0.0, "muscle": 0.0, "hum": 0.0}
DEVICES = {
    "baseline wander": Device(**SILENT | {"wander": 1.0}),
    "mains": Device(**SILENT | {"hum": 1.0}),
    "muscle": Device(**SILENT | {"muscle": 1.0}),
}
KINDS = (*DEVICES, "electrode motion")
JUMPS = (3, 6)  # in ten seconds
RISE, CREEP = (0.02, 0.1), (0.3, 1.0)  # s of a jump, and of the way back to 37 %


def clean_ecg(seed: int, number: int) -> tuple[Person, np.ndarray]:
    """A simulated person of graded conditions and their ECG without noise.

    Returns the person, and float32 (12, 2500) mV at 250 Hz. No cohort has these people: theirs are
    drawn by other generators.
    """
    rng = np.random.default_rng([seed, number, 71, 2])
    person = sample_heart.draw_person("A" if rng.random() < 0.5 else "B", "graded", rng)
    state = sample_heart.draw_state(person, person.conditions, rng)
    signal = to_rate(simulate(state, DEVICE_RATE, rng), DEVICE_RATE)[:, :SAMPLES]
    return person, signal.astype(np.float32)


def add_noise(clean: np.ndarray, kind: str, snr: float, rng: np.random.Generator) -> np.ndarray:
    """The ECG (12, 2500) mV with noise of a kind; float32.

    `snr`: 10 log10 of the power of the ECG about the mean of each lead over that of the noise, in
    dB, over all leads together. Raises ValueError: an unknown kind.
    """
    if kind not in KINDS:
        raise ValueError(f"expected noise of {', '.join(KINDS)}, got {kind!r}")
    if kind in DEVICES:
        silence = np.zeros((12, DEVICE_RATE * SAMPLES // RATE), np.float32)
        noise = to_rate(record(silence, DEVICES[kind], rng), DEVICE_RATE)[:, :SAMPLES]
    else:
        noise = from_electrodes(_motion(rng))
    power = np.square(clean - clean.mean(axis=1, keepdims=True)).mean()
    size = np.sqrt(power / np.square(noise).mean() / 10 ** (snr / 10))
    return (clean + size * noise).astype(np.float32)


def _motion(rng: np.random.Generator) -> np.ndarray:
    """(9, 2500) potentials; one electrode, drawn at random, jumps a few times."""
    time, potential = np.arange(SAMPLES) / RATE, np.zeros((9, SAMPLES))
    moving = rng.integers(9)
    for start in rng.uniform(0, SAMPLES / RATE, rng.integers(*JUMPS)):
        since = np.maximum(time - start, 0.0)
        shape = (1 - np.exp(-since / rng.uniform(*RISE))) * np.exp(-since / rng.uniform(*CREEP))
        potential[moving] += rng.normal() * shape
    return potential
