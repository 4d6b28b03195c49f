"""How much room a cohort leaves: the AUC of each condition, from the floor to the raw signal."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ecglib.figures import style

PER_LINE = 0.135  # inches
FEW = 10  # conditions, drawn in one column


def by_condition(table: pd.DataFrame, ends: tuple[str, str]) -> Figure:
    """One line per condition, in two columns where there are many; a marker per method.

    A grey bar reaches from the first method of `ends` to the second. Conditions are in the order
    of the table, from the top. The number in brackets counts the ECGs with the condition.

    `table`: columns method, group, positives, value; one row per method and group.
    """
    style.require(("method", "group", "positives", "value"), table, "the table of conditions")
    groups, names = list(table["group"].unique()), list(table["method"].unique())
    counts = table.groupby("group")["positives"].first()
    value = table.pivot(index="group", columns="method", values="value").reindex(groups)
    columns = 1 if len(groups) < FEW else 2
    rows = -(-len(groups) // columns)
    with style.canvas(style.DOUBLE, 0.9 + PER_LINE * rows) as figure:
        panels = figure.subplots(1, columns, sharex=True, squeeze=False)[0]
        for i, axes in enumerate(panels):
            part = value.iloc[i * rows : (i + 1) * rows]
            y = np.arange(len(part))
            for low in range(1, rows, 2):
                axes.axhspan(low - 0.5, low + 0.5, color="#F2F2F2", lw=0, zorder=0)
            axes.hlines(y, *(part[end] for end in ends), color=style.LIGHT_GREY, lw=2, zorder=1)
            for name in names:
                look = style.method(name)
                point = {"color": look.colour, "ms": 3.5, "ls": "none", "label": look.name}
                axes.plot(part[name], y, look.marker, clip_on=False, zorder=3, **point)
            axes.set_yticks(y, [f"{name} ({counts[name]})" for name in part.index])
            axes.tick_params(axis="y", length=0)
            axes.set(ylim=(rows - 0.4, -0.6), xlabel="AUC")
            axes.grid(True, axis="x")
        style.legend(figure, panels[0], ncols=len(names))
    return figure
