"""Effects of injury, infarction and similar conditions on ST, T and Q, by territory.

ischaemia.yaml holds the sizes in the leads: elevation, and its mirror image elsewhere. The source
whose leads are nearest to these sizes (least squares) is used, so the limb-lead identities hold.
"""

from pathlib import Path

import numpy as np
import yaml

from ecglib.simulator.beats import AVF, CHEST, LIMB, Bumps, bumps
from ecglib.simulator.heart import HeartState

# Lead -> the five components of the source, for electrodes at their standard places.
_I, _AVF = np.array([LIMB, 0, 0, 0, 0]), np.array([0, AVF, 0, 0, 0])
VIEW: dict[str, np.ndarray] = {
    "I": _I,
    "II": _AVF + _I / 2,
    "III": _AVF - _I / 2,
    "aVR": -_I * 0.75 - _AVF / 2,
    "aVL": _I * 0.75 - _AVF / 2,
    "aVF": _AVF,
} | {f"V{number}": row for number, row in enumerate(CHEST, 1)}
# The chest leads continued to the back. They are not recorded, but define the posterior territory.
VIEW |= {
    "V7": np.array([0.60, 0.06, -0.50, 0.0, 0.55]),
    "V8": np.array([0.35, 0.05, -0.65, 0.0, 0.25]),
    "V9": np.array([0.12, 0.04, -0.75, 0.0, 0.10]),
}
LEADS_OF: dict[str, tuple[str, ...]] = {
    "inferior": ("II", "III", "aVF"),
    "lateral": ("I", "aVL", "V5", "V6"),
    "anterior": ("V3", "V4"),
    "septal": ("V1", "V2"),
    "posterior": ("V7", "V8", "V9"),
}
_SIZES = yaml.safe_load((Path(__file__).parent / "ischaemia.yaml").read_text(encoding="utf-8"))


def nearest_source(sizes: dict[str, float]) -> np.ndarray:
    """Source (5,) whose leads are nearest to some sizes, lead -> mV."""
    view = np.stack([VIEW[lead] for lead in sizes])
    ridge = 0.05 * np.eye(5)  # keeps near sources from cancelling each other
    wanted = np.r_[list(sizes.values()), np.zeros(5)]
    return np.linalg.lstsq(np.concatenate([view, ridge]), wanted, rcond=None)[0]


def _unit(sizes: dict[str, dict[str, float]]) -> dict[str, np.ndarray]:
    """Sources with a mean of 1 mV over the leads of each territory."""
    sources = {}
    for territory, of_leads in sizes.items():
        source = nearest_source(of_leads)
        mean = np.mean([VIEW[lead] @ source for lead in LEADS_OF[territory]])
        sources[territory] = source / mean
    return sources


INJURY, DEPRESSION = _unit(_SIZES["injury"]), _unit(_SIZES["depression"])
PERICARDITIS, EARLY, BRUGADA, U_WAVE = (
    nearest_source(_SIZES[name])
    for name in ("pericarditis", "early_repolarisation", "brugada", "u_wave")
)


def segments(state: HeartState, peak: float, rise: float) -> list[tuple]:
    """Arguments of `bumps` for what the state adds between QRS and T wave, and after it.
    The T wave has its peak at `peak` (s) and the width `rise` (s) before it."""
    parts: list[tuple] = []
    start, room = state.qrs + 0.010, peak - rise - state.qrs
    level = np.zeros(5)
    for territory, size in state.injury.items():
        level += size * (INJURY if size > 0 else DEPRESSION)[territory]
    if level.any():
        # Two neighbouring bumps: level, rising or falling from the first to the second. The first
        # starts before the end of the QRS, so that the J point is already shifted.
        first, last = start - 0.004, start + 0.85 * room
        width = max(0.42 * room, 0.022)
        early, late = 1.0 - state.st_slope, 1.0 + state.st_slope
        # A depression deepens in a falling segment, so its slope has the opposite sign.
        if state.st_slope and sum(state.injury.values()) < 0:
            early, late = late, early
        parts += [(first, 0.020, 1.2 * width, 0.85 * early * level)]
        parts += [(last, width, 0.055, 0.62 * late * level)]
    if state.pericarditis:
        diffuse = state.pericarditis * PERICARDITIS
        parts += [(start - 0.002, 0.022, 0.95 * room, diffuse)]
        parts += [(-0.016, 0.030, 0.008, -0.4 * diffuse)]  # the PR segment
    if state.early_repolarisation:
        concave = state.early_repolarisation * EARLY
        parts += [(state.qrs + 0.006, 0.007, 0.010, 0.45 * concave)]  # the notch at J
        parts += [(start + 0.01, 0.016, 0.65 * room, 0.75 * concave), (peak, rise, 0.045, concave)]
    if state.brugada:
        coved = state.brugada * BRUGADA
        parts += [(state.qrs + 0.004, 0.012, 0.055, 1.25 * coved)]
        parts += [(peak, 0.8 * rise, 0.04, -1.5 * coved)]
    if state.u_wave:
        parts += [(state.qt + 0.085, 0.030, 0.036, state.u_wave * U_WAVE)]
    return parts


def q_waves(state: HeartState, factor: float) -> Bumps:
    """The first 40 ms without the forces of the infarcted wall.
    The size of the QRS, `factor`, scales the remaining force of the septum."""
    force = factor * np.array([-0.04, 0.0, 0.0 if "septal" in state.q else 0.22, 0.0, 0.0])
    for territory, depth in state.q.items():
        force -= (depth + 0.05) * INJURY[territory]
    return bumps((0.022, 0.0095, 0.0105, force))


def weakened(main: Bumps, state: HeartState, factor: float) -> Bumps:
    """Main forces without those of the infarcted wall."""
    source = main.source.copy()
    if "septal" in state.q:
        source[:2, 2] -= 0.25 * factor
    if "anterior" in state.q:
        source[:2, 3] -= 0.65 * factor
    if "posterior" in state.q:
        # Without forces to the back, R in V1 and V2 is tall and broad.
        source[:, 2] += factor * np.array([0.40, 1.15, 0.55])
    return main._replace(source=source)
