"""What a model says of a heart whose rhythm changes, against the time of the newest sample."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ecglib.figures import style


def shares(table: pd.DataFrame, spans: dict[str, tuple[float, float, float]]) -> Figure:
    """A panel per condition: the share of reports that state it, with its interval.

    `table`: columns condition, method, seconds, value, low, high. `spans`: condition -> the seconds
    between which the heart has it, and the length of a window in seconds. The light area is where a
    part of the window has it, the dark one where all of it has.
    """
    columns = ["condition", "method", "seconds", "value", "low", "high"]
    style.require(columns, table, "the table")
    with style.canvas(style.COLUMN, 0.5 + 1.25 * len(spans)) as figure:
        panels = figure.subplots(len(spans), 1, sharex=True, sharey=True, squeeze=False)[:, 0]
        for axes, (name, (start, end, window)) in zip(panels, spans.items(), strict=True):
            axes.axvspan(start, end + window, color=style.GREY, alpha=0.15, lw=0)
            axes.axvspan(start + window, end, color=style.GREY, alpha=0.3, lw=0)
            for method, part in table[table["condition"] == name].groupby("method", sort=False):
                look, part = style.method(method), part.sort_values("seconds")
                axes.fill_between(
                    part["seconds"], part["low"], part["high"], color=look.colour, alpha=0.25, lw=0
                )
                line = {"color": look.colour, "ls": look.linestyle, "label": look.name}
                axes.plot(part["seconds"], part["value"], **line)
            axes.set_title(name, loc="left")
            axes.set(ylim=(-0.03, 1.03), yticks=np.arange(0, 1.1, 0.5))
            axes.grid(True)
        panels[len(panels) // 2].set_ylabel("Share of reports that state it")
        panels[-1].set_xlabel("Time of the newest sample (s)")
        style.panel_letters(*(panels if len(panels) > 1 else []))
    return figure
