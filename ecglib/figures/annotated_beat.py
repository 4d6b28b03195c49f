"""One heartbeat of one lead with the names of its waves and intervals."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ecglib.figures import style

STEP = 0.16  # of the height of the trace, between two brackets
EDGES = ("p_onset", "p_end", "qrs_onset", "qrs_end", "t_end")
ST_AFTER_J, T_AFTER_J = 0.05, 0.1  # s, from where ST is named and T is looked for


def annotated(
    time: np.ndarray, trace: np.ndarray, edges: dict[str, float], next_r: float
) -> Figure:
    """A trace with the names of its waves, and a bracket with its length for each interval.

    Args:
        time, trace: (n,) s and (n,) mV, of a beat whose P, R and T point upwards.
        edges: `EDGES`, in s.
        next_r: s of the R wave of the following beat.
    """
    style.require(EDGES, edges, "the edges of the waves")
    p, q, j = edges["p_onset"], edges["qrs_onset"], edges["qrs_end"]

    def extreme(start: float, end: float, sign: int) -> float:
        """The time of the highest (sign 1) or lowest point between two times."""
        inside = np.flatnonzero((time >= start) & (time <= end))
        return float(time[inside[np.argmax(sign * trace[inside])]])

    r = extreme(q, j, 1)
    named = {"P": extreme(p, edges["p_end"], 1), "Q": extreme(q, r, -1), "R": r}
    named |= {"S": extreme(r, j, -1), "J": j, "ST": j + ST_AFTER_J}
    named["T"] = extreme(j + T_AFTER_J, edges["t_end"], 1)
    spans = {"PR": (p, q), "QRS": (q, j), "QT": (q, edges["t_end"])}
    spans["RR"] = (r, extreme(next_r - 0.05, next_r + 0.05, 1))
    with style.canvas(style.DOUBLE, 2.4) as figure:
        axes = figure.subplots()
        axes.plot(time, trace, color="black", lw=1.0)
        for name, at in named.items():
            value, up = float(np.interp(at, time, trace)), name not in "QS"
            place = {"xytext": (0, 3 if up else -3), "textcoords": "offset points", "ha": "center"}
            look = {"va": "bottom" if up else "top", "weight": "bold"}
            axes.annotate(name, (at, value), **place, **look)
        _brackets(axes, spans, trace.min(), float(np.ptp(trace)))
        axes.set(xlim=(time[0], time[-1]), xlabel="Time (s)", ylabel="Lead II (mV)")
        axes.set_yticks(np.arange(0, trace.max() + 0.25, 0.5))
    return figure


def _brackets(axes: Axes, spans: dict[str, tuple[float, float]], low: float, size: float) -> None:
    """The intervals below each other, with their lengths in ms."""
    look = {"color": style.ACCENT, "va": "center", "size": 7}
    look["bbox"] = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}
    for line, (name, (start, end)) in enumerate(spans.items(), start=1):
        level = low - size * STEP * (line + 0.4)
        axes.vlines([start, end], level, low, color=style.LIGHT_GREY, lw=0.5, ls=":")
        axes.plot([start, end], [level, level], "|-", color=style.ACCENT, lw=1.2, ms=5)
        text = f"{name} {1000 * (end - start):.0f} ms"
        axes.annotate(text, (end, level), (4, 0), textcoords="offset points", **look)
    axes.set_ylim(low - size * STEP * (len(spans) + 1.2), low + 1.2 * size)
