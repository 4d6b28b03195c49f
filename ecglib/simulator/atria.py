"""Waves of the atria: P waves by their origin, flutter waves, fibrillatory waves."""

import numpy as np

from ecglib.simulator.beats import AVF, Bumps, bumps
from ecglib.simulator.heart import HeartState

# Sources of the right and the left half of the P wave, mV, by the origin of the impulse.
_SINUS = ((0.030, 0.090, 0.055), (0.090, 0.055, -0.040))
_LOW = ((0.045, -0.085, 0.050), (0.065, -0.080, -0.020))  # upwards: inverted in II, III and aVF
_EARLY = ((0.060, 0.020, 0.090), (0.045, -0.035, 0.050))  # from elsewhere in the atria
_APPENDAGE = ((0.070, 0.075, -0.030), (0.060, 0.045, -0.050))  # an atrial pacing lead
# A flutter wave: Fourier series of a rounded saw-tooth.
_HARMONICS = np.array([1.0, 0.44, 0.22, 0.10])


def p_wave(state: HeartState) -> Bumps:
    """Right atrium, then left: upright in I and II, biphasic in V1, ending 40 ms before the QRS."""
    origin = _SINUS
    if state.rhythm == "atrial":
        origin = _LOW
    if state.paced in ("atrial", "dual"):
        origin = _APPENDAGE
    return _halves(state, origin, -state.pr)


def lone_wave(state: HeartState, kind: str) -> Bumps:
    """A P wave that no QRS follows at a fixed distance; time zero is its onset.

    A "p" comes from the sinus node, an "early p" from another place in the atria, a "retrograde p"
    from the AV node upwards, with both halves at once.
    """
    origin = {"p": _SINUS, "early p": _EARLY, "retrograde p": _LOW}[kind]
    return _halves(state, origin, 0.0)


def _halves(state: HeartState, origin: tuple, start: float) -> Bumps:
    vectors = np.array(origin)
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors = state.p_size * (vectors + 0.15 * length * state.anatomy.p_wave)
    vectors = vectors * np.array([[state.right_atrium], [state.left_atrium]])
    # An enlarged left atrium is late and points to the back, which shows at the end of P in V1.
    large = state.left_atrium - 1
    delay, wide = 0.030 * large, 0.008 * large
    vectors[1, 2] -= 0.16 * large
    return bumps(
        (start + 0.040, 0.017 + wide, 0.017 + wide, vectors[0]),
        (start + 0.074 + delay, 0.018 + wide, 0.018 + wide, vectors[1]),
    )


def fibrillation(state: HeartState, time: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Fibrillatory waves (5, n): three waves of varying phase, 4.5 to 8 Hz, largest in V1."""
    out = np.zeros((5, len(time)))
    for share in (1.0, 0.6, 0.4):
        rate = rng.uniform(4.5, 8.0)
        depth = rng.uniform(0.3, 1.0)
        wander = depth * np.sin(2 * np.pi * (rng.uniform(0.2, 0.7) * time + rng.random()))
        phase = 2 * np.pi * (rate * time + rng.random()) + wander
        wave = np.sin(phase) + 0.3 * np.sin(2 * phase + rng.uniform(0, 6.28))
        direction = np.array([-0.20, 0.45, 0.80]) + 0.25 * rng.standard_normal(3)
        out[:3] += 0.6 * share * state.f_size * direction[:, None] * wave
    return out


def flutter(state: HeartState, time: np.ndarray, anchor: float) -> np.ndarray:
    """Flutter waves (5, n): a saw-tooth in II, III and aVF, a small upright wave in V1.
    Each QRS has the same phase of its flutter wave as the one with its onset at `anchor` (s)."""
    turns = (time - anchor) / state.pp - 0.35
    order = np.arange(1, len(_HARMONICS) + 1)[:, None]
    angle = 2 * np.pi * order * turns
    # The long side of the saw-tooth falls, the short one rises.
    saw = _HARMONICS @ np.sin(angle)
    hump = _HARMONICS @ np.cos(angle + 0.6)
    out = np.zeros((5, len(time)))
    out[1] = 1.6 * state.f_size / AVF * saw
    out[0] = 0.15 * out[1]
    out[2] = 0.55 * state.f_size * hump - 0.17 * out[1]
    return out
