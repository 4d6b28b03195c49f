"""Recording devices: the noise of skin, muscle, mains and converter in an ECG.

Noise enters at the electrodes, so it obeys the limb-lead identities like the signal of the heart.
The converter rounds the eight independent leads, and the other four are computed from these.
"""

from dataclasses import dataclass

import numpy as np

from ecglib.signals.leads import from_electrodes, from_limb_and_chest


@dataclass(frozen=True)
class Device:
    """An electrocardiograph and its surroundings."""

    name: str  # of the model, in the records
    rate: int  # samples per second
    resolution: float  # mV per step of the converter
    mains: float  # Hz of the power line
    # typical noise of one electrode, mV (standard deviation)
    wander: float
    muscle: float
    hum: float


def _wander(count: int, rate: int, level: float, rng: np.random.Generator) -> np.ndarray:
    """(9, n) breathing and drift: four slow waves, mixed differently at each electrode."""
    time = np.arange(count) / rate
    slow = np.array([rng.uniform(0.05, 0.15), *rng.uniform(0.15, 0.45, 3)])
    waves = np.sin(2 * np.pi * (slow[:, None] * time + rng.random((4, 1))))
    mix = rng.standard_normal((9, 4)) / np.sqrt(2)
    return level * (mix @ waves)


def _muscle(count: int, rate: int, level: float, rng: np.random.Generator) -> np.ndarray:
    """(9, n) noise of about 10 to 80 Hz with a slowly varying size, largest at the limbs.

    Its power falls towards higher frequencies, as between 30 and 90 Hz in PTB-XL's folds 1 to 8.
    """
    white = rng.standard_normal((9, count + 3), dtype=np.float32)
    band = white[:, 3:] + white[:, 2:-1] - 0.3 * white[:, 1:-2] - 0.5 * white[:, :-3]
    time = np.arange(count) / rate
    envelope = 1 + 0.6 * np.sin(2 * np.pi * (rng.uniform(0.05, 0.4) * time + rng.random()))
    size = level * rng.uniform(0.4, 1.6, (9, 1)) * np.r_[1.3, 1.3, 1.3, np.full(6, 0.8)][:, None]
    return (size * envelope / 1.53).astype(np.float32) * band


def _hum(count: int, device: Device, level: float, rng: np.random.Generator) -> np.ndarray:
    """(9, n) power-line interference of one phase, with a different size at each electrode."""
    phase = 2 * np.pi * (device.mains * np.arange(count) / device.rate + rng.random())
    return level * rng.standard_normal((9, 1)) * np.sin(phase)


def record(clean: np.ndarray, device: Device, rng: np.random.Generator) -> np.ndarray:
    """The recording of a clean ECG by a device: float32 (12, n) mV, rounded to its steps.
    `clean` is (12, n) mV at `device.rate` and obeys the limb-lead identities."""
    count = clean.shape[1]
    # Noise varies much more between recordings than within one.
    wander, muscle, hum = rng.lognormal(0.0, 0.4, 3) * (device.wander, device.muscle, device.hum)
    potential = _wander(count, device.rate, wander, rng)
    potential += _muscle(count, device.rate, muscle, rng)
    potential += _hum(count, device, hum, rng)
    noisy = clean + from_electrodes(potential)
    stored = np.round(noisy / device.resolution) * device.resolution
    return from_limb_and_chest(stored[0], stored[1], stored[6:])
