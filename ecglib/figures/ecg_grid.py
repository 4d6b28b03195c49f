"""Many ECGs side by side, a few leads of each: what a condition looks like."""

from textwrap import fill

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ecglib.figures import style
from ecglib.signals.leads import LEADS

_STEP = 2.0  # mV between the base lines of two leads
_INCH = 0.155  # a mV
_NAME = 25  # letters of a line above a panel


def gallery(
    signals: dict[str, np.ndarray],
    rate: float,
    leads: tuple[str, ...] = ("II", "V1", "V5"),
    start: float = 2.0,
    seconds: float = 3.0,
    columns: int = 4,
    title: str = "",
) -> Figure:
    """A panel an ECG, named by its key; time and voltage have the same scale in all of them.

    The last panel has a bar of 1 s and 1 mV.

    Args:
        signals: name -> (12, n) mV.
        rate: samples per second.
        leads: those that are drawn, from top to bottom.
        start, seconds: the piece of the recording that is drawn.
        columns: panels beside each other.

    Raises:
        ValueError: no ECG, a lead is unknown, or an ECG has another shape or is too short.
    """
    if not signals:
        raise ValueError("a gallery needs at least one ECG")
    unknown = [lead for lead in leads if lead not in LEADS]
    if unknown:
        raise ValueError(f"unknown lead {unknown[0]!r}: the leads are {', '.join(LEADS)}")
    first, last = round(start * rate), round((start + seconds) * rate)
    for name, signal in signals.items():
        if np.ndim(signal) != 2 or len(signal) != len(LEADS) or signal.shape[1] < last:
            raise ValueError(
                f"the ECG of {name!r} must be (12, {last} or more) in mV, not {np.shape(signal)}"
            )
    rows = -(-len(signals) // columns)
    bottom, top = -_STEP * (len(leads) - 0.2), 1.6
    with style.sheet():
        figure = style.new_figure(style.DOUBLE, 0.3 + rows * (0.28 + _INCH * (top - bottom)))
        panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        for axes in panels.flat:
            # The names of the leads stand left of the traces.
            axes.set(xlim=(-0.14 * seconds, seconds), ylim=(bottom, top), xticks=[], yticks=[])
            axes.spines[:].set_visible(False)
        for axes, (name, signal) in zip(panels.flat, signals.items(), strict=False):
            _panel(axes, signal[:, first:last], rate, leads)
            axes.set_title(fill(name, _NAME), size=6, loc="left", pad=1)
        _bar(panels.flat[len(signals) - 1], seconds, bottom)
        figure.suptitle(title, size=8, x=0.01, ha="left")
    return figure


def _panel(axes: Axes, signal: np.ndarray, rate: float, leads: tuple[str, ...]) -> None:
    """The leads of one ECG below each other."""
    time = np.arange(signal.shape[1]) / rate
    for place, lead in enumerate(leads):
        level = -_STEP * place
        axes.plot(time, signal[LEADS.index(lead)] + level, color="black", lw=0.6)
        axes.text(-0.03 * time[-1], level, lead, size=5, color=style.BLUE, ha="right", va="center")


def _bar(axes: Axes, seconds: float, bottom: float) -> None:
    """1 s and 1 mV, in the lower right corner."""
    x, y = seconds - 1.0, bottom - 0.2
    line = {"color": style.VERMILION, "lw": 1.0, "clip_on": False}
    axes.plot([x, x, x + 1.0], [y + 1.0, y, y], **line)
    text = {"size": 5, "color": style.VERMILION, "clip_on": False}
    axes.text(x + 0.5, y - 0.1, "1 s", ha="center", va="top", **text)
    axes.text(x - 0.05, y + 0.5, "1 mV", ha="right", va="center", **text)
