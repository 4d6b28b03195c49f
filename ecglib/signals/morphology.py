"""Heart state -> the bumps of its beats: P wave, QRS, ST segment, T wave, premature beat.

Time zero is the onset of the QRS. Sizes are solved for, not guessed: a T wave of -0.2 mV in aVF or
a Sokolow index of 4 mV is what comes out of the electrodes.
"""

import numpy as np

from ecglib.signals import beats
from ecglib.signals.beats import AVF, CHEST, LIMB, Bumps, bumps
from ecglib.signals.heart import HeartState

_GRID = np.arange(0.0, 0.24, 0.002)


def p_wave(state: HeartState) -> Bumps:
    """Right atrium, then left: upright in I and II, biphasic in V1, ending 40 ms before the QRS."""
    vectors = np.array([[0.030, 0.090, 0.055], [0.090, 0.055, -0.040]])
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors = state.p_size * (vectors + 0.15 * length * state.anatomy.p_wave)
    start = -state.pr
    return bumps(
        (start + 0.040, 0.017, 0.017, vectors[0]), (start + 0.074, 0.018, 0.018, vectors[1])
    )


def _narrow_parts(state: HeartState) -> tuple[Bumps, Bumps, Bumps]:
    """Septal vector, main forces, terminal vector (right bundle branch block only)."""
    if state.fascicular:
        septal = (-0.20, 0.50, 0.22)  # small r in the inferior leads, small q in I and aVL
    elif state.axis < 0:
        upright = 0.20 if state.axis > -25 else 0.42
        septal = (-0.10, upright, 0.28)  # the inferior leads keep an r: no infarction pattern
    elif state.axis > 90:
        septal = (0.14, -0.08, 0.28)
    else:
        septal = (-0.12, -0.02, 0.30)
    stretch = (state.qrs if state.qrs_type == "narrow" else 0.092) / 0.095
    wide = stretch * state.anatomy.width
    posterior = -0.45 if state.qrs_type == "rbbb" else -0.75
    main = bumps(
        (0.036 * stretch, 0.009 * wide[1], 0.009 * wide[1], (0.75, 0.55, 0.15)),
        (0.050 * stretch, 0.010 * wide[2], 0.010 * wide[2], (0.85, 0.45, posterior)),
        (0.069 * stretch, 0.009 * wide[3], 0.009 * wide[3], (-0.15, -0.22, -0.30)),
    )
    first = bumps((0.019 * stretch, 0.0065 * wide[0], 0.0065 * wide[0], septal))
    last = bumps()
    if state.qrs_type == "rbbb":
        end = state.qrs
        last = bumps((end - 0.046, 0.016, 0.020, (-0.60, -0.05, 0.62)))
    return first, main, last


def _left_bundle(state: HeartState) -> tuple[Bumps, Bumps, Bumps]:
    """No septal q; slow, notched forces to the left and back."""
    late = state.qrs - 0.052
    width = 0.0165 * state.anatomy.width
    main = bumps(
        (0.044, width[1], 1.2 * width[1], (0.75, 0.38, -0.88)),
        (late, 1.2 * width[2], 1.25 * width[2], (0.88, 0.25, -1.00)),
    )
    return bumps((0.020, 0.008, 0.008, (0.05, 0.04, 0.10))), main, bumps()


def _vary(group: Bumps, state: HeartState, first: int) -> Bumps:
    """The person's own directions and rotation."""
    source = group.source.copy()
    own = state.anatomy.direction[first : first + len(source)]
    source[:, :3] += own * np.linalg.norm(source[:, :3], axis=1, keepdims=True)
    return group._replace(source=beats.turn(source, state.anatomy.rotation, (0, 2)))


def _scaled(group: Bumps, factor: float) -> Bumps:
    return group._replace(source=factor * group.source)


def _size(qrs: Bumps, state: HeartState, matrix: np.ndarray) -> float:
    """Factor that brings the QRS to the voltage which the state asks for."""
    leads = beats.leads_of(qrs, _GRID, matrix)
    span = float(np.ptp(leads[:6], axis=1).max())
    if state.low_voltage is not None:
        # Low in the limb leads and, below 1 mV peak to peak, in the chest leads.
        return min(state.low_voltage / span, 0.95 / float(np.ptp(leads[6:], axis=1).max()))
    sokolow = float(-leads[6].min() + leads[10:12].max())
    if state.sokolow is not None:
        return state.sokolow / sokolow
    largest = np.linalg.norm(qrs.at(_GRID)[:3], axis=0).max()
    # Neither low voltage (0.5 mV) nor hypertrophy (3.5 mV) by accident.
    return float(min(max(state.voltage / largest, 0.72 / span), 3.1 / sokolow))


def qrs_complex(state: HeartState, matrix: np.ndarray) -> Bumps:
    """The ventricular depolarisation at the asked axis and size."""
    parts = _left_bundle(state) if state.qrs_type == "lbbb" else _narrow_parts(state)
    first, main, last = parts
    first, main = _vary(first, state, 0), _vary(main, state, 1)
    if not state.q_inferior:
        main = beats.to_axis(main, first, state.axis)
        whole = beats.join(first, main, last)
        return _scaled(whole, _size(whole, state, matrix))
    # The Q wave is an absolute depth, so the size is settled before it and the axis after it.
    plain = beats.to_axis(main, first, state.axis)
    factor = _size(beats.join(first, plain, last), state, matrix)
    upward = -(state.q_inferior + 0.05) / AVF
    septal = bumps((0.022, 0.0095, 0.0105, (-0.06, upward, 0.22 * factor)))
    delayed = main._replace(centre=main.centre + 0.016)
    turned = beats.to_axis(_scaled(delayed, factor), septal, state.axis)
    return beats.join(septal, turned, _scaled(last, factor))


def _repolarisation(state: HeartState) -> tuple[np.ndarray, np.ndarray]:
    """T and ST sources (5,), solved from their sizes in the leads."""
    size_i, size_f = state.t_limb
    inverted = state.t_inverted
    inferior, lateral = inverted.get("inferior"), inverted.get("lateral")
    if lateral is not None:
        size_i = -lateral
    if inferior is not None:
        size_f = -(inferior + abs(size_i) / 2)  # II = aVF + I/2 and III = aVF - I/2 are negative
    wave = np.array([size_i / LIMB, size_f / AVF, 0.0, 0.0, 0.0])
    # Right bundle branch block turns the T wave over in V1 and V2 but not in V3 and V4.
    aim = -0.7 * state.t_chest if state.qrs_type == "rbbb" else state.t_chest
    wave[2] = (aim - CHEST[1, :2] @ wave[:2]) / CHEST[1, 2]
    for _ in range(4):  # each wall's near source shows a little in the other's leads
        wave[3] = 0.0
        v3, v4 = CHEST[2:4] @ wave
        if "anterior" in inverted:
            depth = inverted["anterior"]
            wave[3] = min(0.0, -depth - v3, (-depth - v4) / 0.95)
        else:
            wave[3] = max(0.0, 0.10 - v3, (0.10 - v4) / 0.95)
        wave[4] = 0.0
        v5, v6 = CHEST[4:] @ wave
        if lateral is None:
            wave[4] = max(0.0, 0.12 - v5, 0.10 - v6)
        else:
            wave[4] = min(0.0, -lateral - v5, -lateral - v6)
    level = np.zeros(5)
    if "inferior" in state.st:
        # Towards III: more elevation there than in II, reciprocal depression in I and aVL.
        level[:2] = -0.25 * state.st["inferior"] / LIMB, state.st["inferior"] / AVF
        level[4] = 0.3 * state.st["inferior"]
    if "anterior" in state.st:
        level[3] += state.st["anterior"] - CHEST[2, :3] @ level[:3]
    return wave, level


def repolarisation(state: HeartState) -> Bumps:
    """ST segment and T wave; the T ends at QT by the tangent to its steepest fall."""
    fall = min(0.042, 0.11 * state.qt)
    peak = state.qt - 2 * fall
    rise = min(0.062, 0.31 * (peak - state.qrs))
    if state.qrs_type == "lbbb":
        # Opposite to the QRS: down in I, aVL, V5, V6, up in V1 to V3.
        size = state.t_limb[0] / 0.22
        wave = size * np.array([-0.30, -0.02, 0.38, 0.0, -0.08])
        level = 0.30 * wave
    else:
        wave, level = _repolarisation(state)
    start = state.qrs + 0.030
    parts = [(peak, rise, fall, wave)]
    if np.any(level):
        parts.append((start, 0.024, 0.4 * (peak - start) + 0.02, level))
    return bumps(*parts)


def sinus_beat(state: HeartState, matrix: np.ndarray) -> Bumps:
    """P, QRS, ST and T of a conducted beat; no P wave in atrial fibrillation."""
    beat = beats.join(qrs_complex(state, matrix), repolarisation(state))
    return beat if state.rhythm == "afib" else beats.join(p_wave(state), beat)


def premature_beat(state: HeartState) -> Bumps:
    """A beat of the ventricles' own: 150 ms wide, no P wave, T opposite to the QRS."""
    size = float(np.clip(1.25 * state.voltage, 1.1, 2.2))
    one = np.array(state.anatomy.ectopic, dtype=float)
    two = np.array([0.75 * one[0], 0.75 * one[1], one[2] - 0.45])
    return bumps(
        (0.050, 0.018, 0.022, size * 0.85 * one),
        (0.098, 0.022, 0.024, size * 0.70 * two),
        (0.330, 0.060, 0.048, -0.38 * size * one),
    )
