"""Many ECGs side by side, a few leads of each: what a condition looks like."""

import numpy as np
from matplotlib.figure import Figure

from ecglib.figures import style
from ecglib.signals.leads import LEADS

_STEP = 2.0  # mV between the base lines of two leads
_MM = 10.0  # mm a mV


def gallery(
    signals: dict[str, np.ndarray],
    rate: float,
    leads: tuple[str, ...] = ("II", "V1", "V5"),
    seconds: float = 3.0,
    columns: int = 4,
    title: str = "",
) -> Figure:
    """A panel an ECG, named by its key; time and voltage have the same scale in all of them.

    Args:
        signals: name -> (12, n) mV.
        rate: samples per second.
        leads: those that are drawn, from top to bottom.
        seconds: how much of the recording, from 2 s on, so that no beat is cut by its start.
        columns: panels beside each other.

    Raises:
        ValueError: no ECG, a lead is unknown, or an ECG has another shape or is too short.
    """
    if not signals:
        raise ValueError("a gallery needs at least one ECG")
    unknown = [lead for lead in leads if lead not in LEADS]
    if unknown:
        raise ValueError(f"unknown lead {unknown[0]!r}: the leads are {', '.join(LEADS)}")
    first, last = round(2 * rate), round((2 + seconds) * rate)
    for name, signal in signals.items():
        if np.ndim(signal) != 2 or len(signal) != len(LEADS) or signal.shape[1] < last:
            raise ValueError(
                f"the ECG of {name!r} must be (12, {last} or more) in mV, not {np.shape(signal)}"
            )
    rows = -(-len(signals) // columns)
    bottom, top = -_STEP * (len(leads) - 0.4), 1.6
    with style.sheet():
        figure = style.new_figure(style.DOUBLE, 0.3 + rows * (0.2 + 0.11 * _MM * (top - bottom) / 7))
        panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        time = np.arange(last - first) / rate
        for axes in panels.flat:
            axes.set(xlim=(0, seconds), ylim=(bottom, top), xticks=[], yticks=[])
            axes.spines[:].set_visible(False)
        for axes, (name, signal) in zip(panels.flat, signals.items(), strict=False):
            for place, lead in enumerate(leads):
                piece = signal[LEADS.index(lead), first:last]
                axes.plot(time, piece - _STEP * place, color="black", lw=0.6, clip_on=True)
                axes.text(0, 0.35 - _STEP * place, lead, size=5, color=style.BLUE)
            axes.set_title(name, size=6, loc="left", pad=1)
        figure.suptitle(title, size=8, x=0.01, ha="left")
    return figure
