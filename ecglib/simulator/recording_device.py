"""Recording devices: what skin, muscle, mains and the converter add to a clean ECG.

Noise enters at the electrodes, so it obeys the limb-lead identities as the heart's signal does;
the converter then rounds the eight independent leads and the other four follow from those.
"""

from dataclasses import dataclass

import numpy as np

from ecglib.signals.leads import from_electrodes, from_limb_and_chest


@dataclass(frozen=True)
class Device:
    """An electrocardiograph and the room in which it stands.

    Attributes:
        name: model name as the records carry it.
        rate: samples per second.
        resolution: mV a step of the converter.
        mains: Hz of the power line.
        wander, muscle, hum: typical noise of one electrode, mV (standard deviation).
    """

    name: str
    rate: int
    resolution: float
    mains: float
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
    """(9, n) noise of about 20 to 120 Hz that waxes and wanes, strongest at the limbs."""
    white = rng.standard_normal((9, count + 2), dtype=np.float32)
    band = white[:, 2:] + 0.5 * white[:, 1:-1] - 0.5 * white[:, :-2]
    time = np.arange(count) / rate
    envelope = 1 + 0.6 * np.sin(2 * np.pi * (rng.uniform(0.05, 0.4) * time + rng.random()))
    size = level * rng.uniform(0.4, 1.6, (9, 1)) * np.r_[1.3, 1.3, 1.3, np.full(6, 0.8)][:, None]
    return (size * envelope / 1.22).astype(np.float32) * band


def _hum(count: int, device: Device, level: float, rng: np.random.Generator) -> np.ndarray:
    """(9, n) power-line interference, one phase, a different size at each electrode."""
    phase = 2 * np.pi * (device.mains * np.arange(count) / device.rate + rng.random())
    return level * rng.standard_normal((9, 1)) * np.sin(phase)


def record(clean: np.ndarray, device: Device, rng: np.random.Generator) -> np.ndarray:
    """What `device` stores of a clean ECG.

    Args:
        clean: (12, n) mV at `device.rate`, obeying the limb-lead identities.
        device: the recorder.
        rng: draws this recording's noise.

    Returns:
        float32 (12, n) mV, rounded to the device's steps.
    """
    count = clean.shape[1]
    # How noisy a recording is varies much more than its noise varies within it.
    wander, muscle, hum = rng.lognormal(0.0, 0.4, 3) * (device.wander, device.muscle, device.hum)
    potential = _wander(count, device.rate, wander, rng)
    potential += _muscle(count, device.rate, muscle, rng)
    potential += _hum(count, device, hum, rng)
    noisy = clean + from_electrodes(potential)
    stored = np.round(noisy / device.resolution) * device.resolution
    return from_limb_and_chest(stored[0], stored[1], stored[6:])
