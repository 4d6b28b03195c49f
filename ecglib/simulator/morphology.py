"""The bumps of the beats of a heart state: P wave, QRS, ST segment, T wave, premature beat.

Time zero is the onset of the QRS. Sizes are solved for: a T wave of -0.2 mV in aVF or a Sokolow
index of 4 mV has this size in the leads.
"""

import numpy as np

from ecglib.simulator import beats, conduction, ischaemia
from ecglib.simulator.atria import lone_wave, p_wave
from ecglib.simulator.beats import AVF, CHEST, LIMB, Bumps, bumps
from ecglib.simulator.heart import FROM_ONE_PLACE, WIDE, HeartState

T_END = 2.76  # widths from the peak of the T wave to its end as readers set it: 2 % of its height
LARGEST = 4.2  # mV, spatial vector of the largest QRS that a full hypertrophy brings
_GRID = np.arange(0.0, 0.24, 0.002)


def _narrow_parts(state: HeartState) -> tuple[Bumps, Bumps, Bumps]:
    """Septal vector, main forces, terminal vector (right bundle branch block only)."""
    if state.fascicular:
        septal = (-0.20, 0.50, 0.22)  # small r in the inferior leads, small q in I and aVL
    elif state.posterior_fascicular:
        septal = (0.32, -0.42, 0.22)  # the opposite
    elif state.axis < -90:
        septal = (0.30, 0.30, 0.28)
    elif state.axis < 0:
        upright = 0.20 if state.axis > -25 else 0.42
        septal = (-0.10, upright, 0.28)  # the inferior leads keep an r: no infarction pattern
    elif state.axis > 90:
        septal = (0.14, -0.08, 0.28)
    else:
        septal = (-0.12, -0.02, 0.30)
    stretch = (state.qrs if state.qrs_type in ("narrow", "ivcd") else 0.092) / 0.095
    wide = stretch * state.anatomy.width
    posterior = {"rbbb": -0.45, "irbbb": -0.60}.get(state.qrs_type, -0.75)
    main = bumps(
        (0.036 * stretch, 0.009 * wide[1], 0.009 * wide[1], (0.75, 0.55, 0.15)),
        (0.050 * stretch, 0.010 * wide[2], 0.010 * wide[2], (0.85, 0.45, posterior)),
        (0.069 * stretch, 0.009 * wide[3], 0.009 * wide[3], (-0.15, -0.22, -0.30)),
    )
    first = bumps((0.019 * stretch, 0.0065 * wide[0], 0.0065 * wide[0], septal))
    last = bumps()
    if state.qrs_type == "rbbb":
        last = bumps((state.qrs - 0.046, 0.016, 0.020, (-0.60, -0.05, 0.62)))
    elif state.qrs_type == "irbbb":
        last = bumps((state.qrs - 0.026, 0.010, 0.012, (-0.30, -0.04, 0.52)))
    elif state.qrs_type == "ivcd":  # slurred: a late force that neither bundle explains
        last = bumps((state.qrs - 0.034, 0.013, 0.014, (0.24, 0.20, -0.24)))
    return first, main, last


_PARTS = {"lbbb": conduction.left_bundle, "preexcited": conduction.preexcited}


def _vary(group: Bumps, state: HeartState, first: int) -> Bumps:
    """Apply the directions and the rotation of the person."""
    source = group.source.copy()
    own = state.anatomy.direction[first : first + len(source)]
    source[:, :3] += own * np.linalg.norm(source[:, :3], axis=1, keepdims=True)
    return group._replace(source=beats.turn(source, state.anatomy.rotation, (0, 2)))


def _scaled(group: Bumps, factor: float) -> Bumps:
    return group._replace(source=factor * group.source)


def _size(qrs: Bumps, state: HeartState, matrix: np.ndarray) -> float:
    """Factor that gives the QRS the voltage of the state."""
    leads = beats.leads_of(qrs, _GRID, matrix)
    span = float(np.ptp(leads[:6], axis=1).max())
    if state.low_voltage is not None:
        # Low in the limb leads and, below 1 mV peak to peak, in the chest leads.
        return min(state.low_voltage / span, 0.95 / float(np.ptp(leads[6:], axis=1).max()))
    sokolow = float(-leads[6].min() + leads[10:12].max())
    largest = float(np.linalg.norm(qrs.at(_GRID)[:3], axis=0).max())
    if state.sokolow is not None or state.avl is not None:
        wanted, seen = state.sokolow, sokolow
        if wanted is None:
            wanted, seen = state.avl, float(leads[4].max())
        if state.free_voltage:  # with any axis: the lead may see little of the QRS, or nothing
            return min(wanted / max(seen, 1e-9), LARGEST / largest)
        return wanted / seen
    if state.free_voltage:
        return state.voltage / largest
    # Neither low voltage (0.5 mV) nor hypertrophy (3.5 mV) by chance.
    return float(min(max(state.voltage / largest, 0.72 / span), 3.1 / sokolow))


def qrs_complex(state: HeartState, matrix: np.ndarray) -> Bumps:
    """The ventricular depolarisation with the axis and size of the state."""
    if state.qrs_type in FROM_ONE_PLACE:
        whole = conduction.from_one_place(state)
        largest = np.linalg.norm(whole.at(_GRID)[:3], axis=0).max()
        return _scaled(whole, 1.15 * state.voltage / largest)
    first, main, last = _PARTS.get(state.qrs_type, _narrow_parts)(state)
    first, main = _vary(first, state, 0), _vary(main, state, 1)
    whole = beats.join(first, beats.to_axis(main, first, state.axis), last)
    factor = _size(whole, state, matrix)
    if not state.q and not state.right_force:
        return _scaled(whole, factor)
    # A Q wave has an absolute depth, so the size is determined before it and the axis after it.
    first, main, last = (_scaled(part, factor) for part in (first, main, last))
    if state.q:
        first = ischaemia.q_waves(state, factor)
        main = ischaemia.weakened(main, state, factor)
        if set(state.q) != {"posterior"}:
            main = main._replace(centre=main.centre + 0.016)
    if state.right_force:
        return _with_right_force(first, main, last, state, matrix)
    return beats.join(first, beats.to_axis(main, first, state.axis), last)


def _with_right_force(
    first: Bumps, main: Bumps, last: Bumps, state: HeartState, matrix: np.ndarray
) -> Bumps:
    """Add the force of the right ventricle until R in V1 + S in V6 has the size of the state."""
    # The share of the left ventricle shrinks.
    main = _scaled(main, 0.55)
    whole, size = main, 0.0
    for _ in range(10):
        force = bumps((0.052, 0.013, 0.014, size * conduction.RIGHT_FORCE))
        main_now = beats.to_axis(beats.join(main, force), first, state.axis)
        whole = beats.join(first, main_now, last)
        leads = beats.leads_of(whole, _GRID, matrix)
        size += 0.8 * (state.right_force - float(leads[6].max() - leads[11].min()))
        size = max(size, 0.0)
    return whole


def _t_wave(state: HeartState) -> np.ndarray:
    """Source (5,) of the T wave, solved from its sizes in the leads."""
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
    if "septal" in inverted:
        aim = -inverted["septal"]
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
    return wave


def t_fall(state: HeartState) -> float:
    """Width (s) of the T wave after its peak."""
    return min(0.042, 0.11 * state.qt)


def repolarisation(state: HeartState, qrs: Bumps) -> Bumps:
    """ST segment and T wave, which opposes a wide QRS.
    T ends at QT. The tangent to its steepest fall ends three quarters of a width earlier."""
    fall = t_fall(state)
    peak = state.qt - T_END * fall
    rise = min(0.062, 0.31 * (peak - state.qrs))
    if state.qrs_type == "lbbb":
        # Opposite to the QRS: down in I, aVL, V5, V6, up in V1 to V3.
        size = state.t_limb[0] / 0.22
        wave = size * np.array([-0.30, -0.02, 0.38, 0.0, -0.08])
        level = 0.30 * wave
    elif state.qrs_type in WIDE:
        wave, level = conduction.secondary(qrs, state)
    else:
        wave, level = _t_wave(state), np.zeros(5)
    start = state.qrs + 0.030
    parts = [(peak, rise, fall, wave)]
    if np.any(level):
        parts.append((start, 0.024, 0.4 * (peak - start) + 0.02, level))
    return bumps(*parts, *ischaemia.segments(state, peak, rise))


def ventricles(state: HeartState, matrix: np.ndarray) -> Bumps:
    """QRS, ST and T of a beat that is not premature."""
    qrs = qrs_complex(state, matrix)
    return beats.join(qrs, repolarisation(state, qrs))


def sinus_beat(state: HeartState, matrix: np.ndarray) -> Bumps:
    """P, QRS, ST and T of a conducted beat; without P if no P wave precedes it."""
    beat = ventricles(state, matrix)
    return beats.join(p_wave(state), beat) if state.follows else beat


def premature_beat(state: HeartState, shape: int = 0) -> Bumps:
    """A premature ventricular beat: 150 ms wide, no P wave, T opposite to the QRS.
    Shape 0 comes from the usual focus of the person, 1 and 2 from others."""
    size = float(np.clip(1.25 * state.voltage, 1.1, 2.2))
    one = np.array(state.anatomy.ectopic, dtype=float)
    one = one if not shape else one[[2, 0, 1]] * ((-1.0, 1.0, -1.0) if shape == 1 else 1.0)
    two = np.array([0.75 * one[0], 0.75 * one[1], one[2] - 0.45])
    return bumps(
        (0.050, 0.018, 0.022, size * 0.85 * one),
        (0.098, 0.022, 0.024, size * 0.70 * two),
        (0.330, 0.060, 0.048, -0.38 * size * one),
    )


def waves_of(event: str, state: HeartState, matrix: np.ndarray) -> Bumps:
    """The bumps of an event of `rhythms.events`; time zero is that of the event."""
    if event == "beat":
        return sinus_beat(state, matrix)
    if event == "qrs":
        return ventricles(state, matrix)
    if event == "spike":  # a pacemaker's stimulus of 2 to 4 ms, small because its leads are bipolar
        return bumps((0.0, 0.0011, 0.0011, (0.22, 0.42, -0.18)))
    if event.startswith("premature"):
        return premature_beat(state, int(event[-1]) - 1 if event[-1].isdigit() else 0)
    return lone_wave(state, event)
