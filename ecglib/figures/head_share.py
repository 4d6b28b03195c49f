"""What a classifier adds to a linear layer on the same vectors: two dots per method."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ecglib.figures import style

ROW = 0.19  # inches per method
SHIFT = 0.16  # of the two dots of a row, in rows


def by_method(table: pd.DataFrame, xlabel: str = "Macro-AUC") -> Figure:
    """One row per method, from the top in order of appearance, with intervals.

    `table`: columns method, network ("linear" is drawn open, any other filled), value, low, high.
    """
    style.require(("method", "network", "value", "low", "high"), table, "table")
    names = list(table["method"].unique())
    with style.canvas(style.COLUMN, 0.7 + ROW * len(names)) as figure:
        axes = figure.add_subplot()
        for kind, is_linear in (("Own network", False), ("Linear layer", True)):
            part = table[(table["network"] == "linear") == is_linear].set_index("method")
            part = part.reindex(names)
            y = np.arange(len(names)) + SHIFT * (1 if is_linear else -1)
            reach = style.interval(part)
            for i, name in enumerate(names):
                if np.isnan(part["value"].iloc[i]):
                    continue
                look = style.method(name)
                dot = {"fmt": look.marker, "color": look.colour, "ms": 4, "elinewidth": 1.0}
                dot |= {"mfc": "white"} if is_linear else {}
                at = part["value"].iloc[i], y[i]
                axes.errorbar(*at, xerr=reach[:, i : i + 1], clip_on=False, **dot)
            face = "white" if is_linear else style.GREY
            axes.plot([], [], "o", ms=4, color=style.GREY, mfc=face, label=kind)
        axes.set_yticks(range(len(names)), [style.method(name).name for name in names])
        axes.set(ylim=(len(names) - 0.5, -0.5), xlabel=xlabel)
        axes.tick_params(axis="y", length=0)
        axes.grid(True, axis="x")
        style.legend(figure, axes, ncols=2)
    return figure
