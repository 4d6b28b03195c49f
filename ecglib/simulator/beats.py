"""One heartbeat as a moving source: Gaussian bumps of current, recorded by nine electrodes.

The source has five components. Three are a current dipole at the heart's centre, x to the
patient's left, y to the feet, z to the front. Two are so close to the chest wall that they do not
reach the limb electrodes: the anterior wall (largest in V3 and V4) and the lateral wall (V5, V6).
A bump is a time course times one fixed source vector. So every lead is a fixed mixture of the same
bumps, and the limb-lead identities always hold.
"""

from typing import NamedTuple

import numpy as np

from ecglib.signals.leads import from_electrodes

# Lead I is LIMB * x and aVF is LIMB * sqrt(3)/2 * y: Einthoven's equilateral triangle.
LIMB = 0.8
AVF = LIMB * np.sqrt(3) / 2
# Chest leads: rows V1..V6 of Dower's matrix (Dower, Machado, Osborne, 1980; its z points to the
# back, ours to the front), then the gains of the two near sources.
CHEST = np.array(
    [
        [-0.515, 0.157, 0.917, 0.15, 0.00],
        [0.044, 0.164, 1.387, 0.60, 0.00],
        [0.882, 0.098, 1.277, 1.00, 0.10],
        [1.213, 0.127, 0.601, 0.95, 0.50],
        [1.125, 0.127, 0.086, 0.35, 1.00],
        [0.831, 0.076, -0.230, 0.10, 1.00],
    ]
)


class Bumps(NamedTuple):
    """k Gaussian bumps: peak time (k,) s, width before and after the peak (k,) s, source (k, 5)."""

    centre: np.ndarray
    before: np.ndarray
    after: np.ndarray
    source: np.ndarray

    def at(self, time: np.ndarray) -> np.ndarray:
        """Source (5, len(time)) at `time` in seconds."""
        gap = time - self.centre[:, None]
        width = np.where(gap < 0, self.before[:, None], self.after[:, None])
        return self.source.T @ np.exp(-0.5 * (gap / width) ** 2)


def bumps(*parts: tuple[float, float, float, tuple[float, ...] | np.ndarray]) -> Bumps:
    """Bumps from (centre s, width before s, width after s, source of 3 to 5 components)."""
    source = np.zeros((len(parts), 5))
    for i, part in enumerate(parts):
        source[i, : len(part[3])] = part[3]
    times = np.array([part[:3] for part in parts], dtype=float).reshape(-1, 3)
    return Bumps(times[:, 0], times[:, 1], times[:, 2], source)


def join(*parts: Bumps) -> Bumps:
    """The bumps of several groups as one group."""
    return Bumps(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def electrode_matrix(placement: np.ndarray) -> np.ndarray:
    """(9, 5) potentials of `ELECTRODES` for a unit of each source component.
    `placement` is the (6,) gain of each chest electrode, 1 at the standard position."""
    matrix = np.zeros((9, 5))
    lead_i, avf = np.array([LIMB, 0, 0, 0, 0]), np.array([0, AVF, 0, 0, 0])
    lead_ii = avf + lead_i / 2
    # Wilson's terminal is the zero of potential: RA + LA + LL = 0.
    matrix[0] = -(lead_i + lead_ii) / 3
    matrix[1] = lead_i + matrix[0]
    matrix[2] = lead_ii + matrix[0]
    matrix[3:] = CHEST * np.asarray(placement)[:, None]
    return matrix


def turn(vectors: np.ndarray, degrees: float, axes: tuple[int, int]) -> np.ndarray:
    """Rotate (k, 5) sources in the plane of two axes, from the first towards the second."""
    angle = np.radians(degrees)
    out = vectors.copy()
    a, b = vectors[:, axes[0]], vectors[:, axes[1]]
    out[:, axes[0]] = np.cos(angle) * a - np.sin(angle) * b
    out[:, axes[1]] = np.sin(angle) * a + np.cos(angle) * b
    return out


def to_axis(moving: Bumps, fixed: Bumps, axis: float) -> Bumps:
    """Turn `moving` in the frontal plane until moving + fixed have their net area at `axis`.

    The axis is in degrees: 0 = lead I, +90 = aVF. The lateral wall keeps most of what V5 and V6
    would lose, because the frontal axis hardly determines the horizontal plane.
    """
    area = moving.before + moving.after
    weight = np.concatenate([area, fixed.before + fixed.after])
    source = moving.source
    for _ in range(12):
        x, y = weight @ np.concatenate([source, fixed.source])[:, :2]
        now = float(np.degrees(np.arctan2(y, x)))
        source = turn(source, (axis - now + 180) % 360 - 180, (0, 1))
    source[:, 4] += 0.7 * (moving.source[:, 0] - source[:, 0])
    return moving._replace(source=source)


def leads_of(group: Bumps, time: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """float32 (12, len(time)) mV of one group of bumps."""
    return from_electrodes(matrix @ group.at(time))
