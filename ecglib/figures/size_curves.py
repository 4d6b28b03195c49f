"""What labels buy: a measure against the number of labelled ECGs, one curve per method."""

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from ecglib.figures import style

TICKS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999)


def curves(table: pd.DataFrame, ylabel: str) -> Figure:
    """AUC (logarithmic in 1 - AUC) against labelled ECGs (logarithmic), with intervals.

    `table`: columns method, labelled_ecgs, value, low, high; methods in order of appearance. Curves
    are moved sideways by a few per cent, so that their intervals can be told apart.
    """
    style.require(["method", "labelled_ecgs", "value", "low", "high"], table.columns, "the table")
    names = list(table["method"].unique())
    lost = 1 - table[["value", "low", "high"]].to_numpy(dtype=float)
    with style.canvas(style.COLUMN, 2.8) as figure:
        axes = figure.add_subplot()
        for i, name in enumerate(names):
            part = table[table["method"] == name].sort_values("labelled_ecgs")
            look, aside = style.method(name), 1 + 0.05 * (i - (len(names) - 1) / 2)
            lines = {"color": look.colour, "ls": look.linestyle, "lw": 1, "label": look.name}
            marks = {"marker": look.marker, "ms": 4, "fillstyle": "none", "elinewidth": 0.8}
            reach = style.interval(part)[::-1]  # the axis shows 1 - AUC
            axes.errorbar(aside * part["labelled_ecgs"], 1 - part["value"], reach, **lines, **marks)
        axes.set(xscale="log", yscale="log", xlabel="Labelled training ECGs", ylabel=ylabel)
        lowest, highest = 0.85 * lost[lost > 0].min(initial=0.5), 1.15 * lost.max()
        axes.set_ylim(min(highest, 1.0), lowest)
        ticks = [tick for tick in TICKS if lowest <= 1 - tick <= highest]
        axes.yaxis.set_major_locator(FixedLocator([1 - tick for tick in ticks]))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.set_yticklabels([f"{tick:g}" for tick in ticks])
        counts = sorted(table["labelled_ecgs"].unique())
        axes.xaxis.set_major_locator(FixedLocator(counts))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xticklabels([f"{count:,.0f}" for count in counts])
        axes.grid(True)
        style.legend(figure, axes, ncols=2)
    return figure
