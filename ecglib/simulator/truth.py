"""True measures of a simulated heart, from its bumps and not from samples.

They mean what `measure` means: over all leads, by the same quantile of the leads (`delineate`). A
sum of Gaussians has no first and no last moment, so in a lead P and QRS begin and end where the
wave alone, without noise, is `VISIBLE`; both ends of the QRS are set a little outside. T ends
`morphology.T_END` widths after its peak, where its height is 2 %: there `measure` and the readers
end it. The level was set so that `measure` agrees on average (benchmark `measure_simulated`).
"""

import numpy as np

from ecglib.signals.delineate import AHEAD
from ecglib.signals.leads import LEADS
from ecglib.signals.measure import SMALLEST_R, ST_AFTER_J
from ecglib.signals.p_wave import OUTER
from ecglib.simulator import beats, morphology
from ecglib.simulator.beats import Bumps
from ecglib.simulator.heart import HeartState
from ecglib.simulator.rhythms import ATRIAL_LEAD

VISIBLE = 0.005  # mV
_STEP = 0.0005  # s
_GRID = np.arange(-0.5, 1.0, _STEP)  # s from the QRS onset of the state


def truth(state: HeartState, times: np.ndarray) -> dict[str, float]:
    """Intervals, axes and amplitudes of a state, under the names of `measure.MEASURES`.

    All but `rr_sd` and `rr_rmssd`, which depend on the beats that count (`irregularity`). NaN if
    the heart has no such wave. `times` (k,), s, are its beats in the recording (`beat_times`).
    """
    matrix = beats.electrode_matrix(state.anatomy.placement)
    qrs = morphology.qrs_complex(state, matrix)
    repolarisation = morphology.repolarisation(state, qrs)
    whole = beats.leads_of(beats.join(qrs, repolarisation), _GRID, matrix)
    onset, end = _ends(qrs, matrix)
    onset, end = onset - AHEAD, end + AHEAD
    rr = float(np.diff(times).mean())
    qt = state.qt - onset
    measures = {
        "heart_rate": 60 / rr,
        "qrs": 1000 * (end - onset),
        "qt": 1000 * qt,
        "qtc_bazett": 1000 * qt / np.sqrt(rr),
        "qtc_fridericia": 1000 * qt / np.cbrt(rr),
        "qrs_axis": _axis(whole, onset, end),
        "t_axis": _axis(whole, end + 0.4 * (state.qt - end), state.qt),
        "pr": np.nan,
        "p_axis": np.nan,
    }
    if state.follows:
        p_wave = morphology.p_wave(state)
        start, stop = _ends(p_wave, matrix)
        if state.paced in ("atrial", "dual"):  # the interval then starts at the spike
            start = -state.pr - ATRIAL_LEAD
        measures["pr"] = 1000 * (onset - start)
        measures["p_axis"] = _axis(beats.leads_of(p_wave, _GRID, matrix), start, stop)
    if state.pericarditis:  # the PR segment, the reference of a reader, is depressed
        whole = whole - _between(whole, onset - 0.02, onset).mean(axis=1, keepdims=True)
    sizes = _sizes(whole, onset, end, state.qt)
    for kind, values in sizes.items():
        measures |= {f"{kind}_{lead}": float(v) for lead, v in zip(LEADS, values, strict=True)}
    return measures


def irregularity(times: np.ndarray, premature: np.ndarray) -> float:
    """The true `rr_rmssd`: RMS of successive differences of RR, relative to the mean RR.

    The RR on both sides of a premature ventricular beat do not count; NaN if no two neighbours
    are left. The arguments are the (k,) results of `beat_times`.
    """
    rr, usual = np.diff(times), ~(premature[1:] | premature[:-1])
    steps = np.diff(rr)[usual[1:] & usual[:-1]]
    return float(np.sqrt((steps**2).mean()) / rr[usual].mean()) if len(steps) else np.nan


def _ends(wave: Bumps, matrix: np.ndarray) -> tuple[float, float]:
    """Onset and end (s) of a wave over the leads in which it is visible."""
    seen = np.abs(beats.leads_of(wave, _GRID, matrix)) >= VISIBLE
    seen = seen[seen.any(axis=1)]
    if not len(seen):
        return np.nan, np.nan
    onsets, ends = _GRID[seen.argmax(axis=1)], _GRID[::-1][seen[:, ::-1].argmax(axis=1)]
    return float(np.quantile(onsets, OUTER)), float(np.quantile(ends, 1 - OUTER))


def _between(leads: np.ndarray, low: float, high: float) -> np.ndarray:
    return leads[:, np.searchsorted(_GRID, low) : np.searchsorted(_GRID, high) + 1]


def _axis(leads: np.ndarray, low: float, high: float) -> float:
    """Frontal axis (degrees) of the net area between two times."""
    part = _between(leads, low, high)
    x = part[LEADS.index("I")].sum()
    y = part[LEADS.index("aVF")].sum() * 2 / np.sqrt(3)
    return float(np.degrees(np.arctan2(y, x))) if part.size else np.nan


def _sizes(leads: np.ndarray, onset: float, end: float, qt: float) -> dict[str, np.ndarray]:
    """R, S, ST and T of each lead, (12,) mV."""
    qrs, late = _between(leads, onset, end), _between(leads, end + 0.4 * (qt - end), qt)
    r = np.maximum(qrs.max(axis=1), 0.0)
    start = np.where(r > SMALLEST_R, qrs.argmax(axis=1), 0)
    behind = [lead[first:] for lead, first in zip(qrs, start, strict=True)]
    s = np.array([min(0.0, lead.min()) for lead in behind])
    t = late[np.arange(12), np.abs(late).argmax(axis=1)]
    return {"r": r, "s": s, "st": leads[:, np.searchsorted(_GRID, end + ST_AFTER_J)], "t": t}
