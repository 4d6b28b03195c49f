"""Vector loops of ventricles that both bundles do not activate from the start.

Each loop is two or three bumps with the components x (left), y (feet), z (front), anterior wall and
lateral wall. Sizes are relative, because `morphology` scales the QRS. T opposes the QRS, because
the part that is activated last recovers last.
"""

import numpy as np

from ecglib.simulator.beats import Bumps, bumps
from ecglib.simulator.heart import HeartState

# Accessory pathway -> delta wave. Left lateral: away from I and aVL, towards V1. Right: to the
# left and back, as in left bundle branch block. Septal: upwards, a false inferior Q wave.
_DELTA = {
    "left": (-0.15, 0.30, 0.55, 0.25, 0.10),
    "right": (0.50, 0.05, -0.15, 0.20, 0.0),
    "septal": (0.42, -0.40, 0.30, 0.15, 0.0),
}
# Right ventricular apex: up and to the left, away from V1 and from V6. Left ventricle: from left to
# right, towards V1.
_RV_APEX = ((0.30, -0.62, -0.50, -0.30, -0.25), (0.42, -0.80, -0.75, -0.45, -0.55))
_LV_WALL = ((-0.55, 0.15, 0.75, 0.20, -0.10), (-0.75, 0.05, 0.60, 0.15, -0.35))
# Right ventricular hypertrophy: a late main force to the right and front.
RIGHT_FORCE = np.array([-0.62, 0.20, 0.55, 0.0, -0.45])


def left_bundle(state: HeartState) -> tuple[Bumps, Bumps, Bumps]:
    """Left bundle branch block: no septal q; slow, notched forces to the left and back."""
    late = state.qrs - 0.052
    width = 0.0165 * state.anatomy.width
    main = bumps(
        (0.044, width[1], 1.2 * width[1], (0.75, 0.38, -0.88)),
        (late, 1.2 * width[2], 1.25 * width[2], (0.88, 0.25, -1.00)),
    )
    return bumps((0.020, 0.008, 0.008, (0.05, 0.04, 0.10))), main, bumps()


def preexcited(state: HeartState) -> tuple[Bumps, Bumps, Bumps]:
    """A slow delta wave from the pathway, then the ordinary QRS some 30 ms late."""
    late = state.qrs - 0.098
    wide = state.anatomy.width
    # The earlier the pathway excites the ventricles, the wider the QRS and the larger the delta.
    size = 0.85 * float(np.clip((state.qrs - 0.092) / 0.030, 0.0, 1.0))
    delta = bumps((0.056, 0.024, 0.022, size * np.array(_DELTA[state.pathway])))
    left = state.pathway == "left"
    main = bumps(
        (0.036 + late, 0.011 * wide[1], 0.010 * wide[1], (0.75, 0.50, 0.45 if left else 0.05)),
        (0.050 + late, 0.011 * wide[2], 0.011 * wide[2], (0.80, 0.45, -0.15 if left else -0.75)),
        (0.069 + late, 0.010 * wide[3], 0.010 * wide[3], (-0.10, -0.15, -0.25)),
    )
    return delta, main, bumps()


def from_one_place(state: HeartState) -> Bumps:
    """QRS that starts at a pacing lead or a focus and spreads from cell to cell."""
    if state.qrs_type == "ventricular":
        one = np.array(state.anatomy.ectopic, dtype=float)
        two = np.array([0.75 * one[0], 0.75 * one[1], one[2] - 0.45])
    else:
        one, two = map(np.array, _RV_APEX if state.qrs_type == "paced" else _LV_WALL)
        own = np.linalg.norm(one) * state.anatomy.direction[:2]
        one[:3], two[:3] = one[:3] + own[0], two[:3] + own[1]
    middle = (state.qrs - 0.012) / 2
    width = 0.17 * state.qrs * np.clip(state.anatomy.width[:2], 0.9, 1.1)
    return bumps(
        (middle - 0.024, 0.85 * width[0], width[0], 0.85 * one),
        (middle + 0.022, width[1], 0.95 * width[1], 0.70 * two),
    )


def secondary(qrs: Bumps, state: HeartState) -> tuple[np.ndarray, np.ndarray]:
    """T and ST sources (5,), mV, opposite to the net QRS in proportion to its area."""
    area = (qrs.before + qrs.after) @ qrs.source / (qrs.before + qrs.after).sum()
    share = -0.42 if state.qrs_type != "preexcited" else -0.34
    wave = share * state.t_limb[0] / 0.22 * area
    return wave, 0.25 * wave
