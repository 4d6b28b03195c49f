"""A measure against a size, one curve per method.

The size is a number of labelled ECGs, vectors, hidden tokens or weights, or a share of patients.
"""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from ecglib.figures import style

ASIDE = 0.015  # share of a size by which two points are left and right of their place
TICKS = (0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.93, 0.95, 0.97, 0.98, 0.99, 0.995, 0.998, 0.999)


def curves(
    table: pd.DataFrame,
    size: str,
    xlabel: str,
    ylabel: str,
    of_auc: bool = False,
    levels: pd.DataFrame | None = None,
) -> Figure:
    """A measure with its intervals against a size on a logarithmic axis. Each method is
    moved a little aside by its turn, so points of one size are side by side.

    `table`: columns method, `size`, value, low, high; methods in order of appearance. `of_auc`
    makes the axis logarithmic in 1 - AUC. `levels`: columns method, value, low, high; a line across
    with a band for each (a floor).
    """
    style.require(["method", size, "value", "low", "high"], table, "the table")
    levels = table.head(0) if levels is None else levels
    style.require(["method", "value", "low", "high"], levels, "the table of levels")
    levels = levels.assign(**(1 - levels[["value", "low", "high"]])) if of_auc else levels
    names = list(table["method"].unique())
    lost = 1 - table[["value", "low", "high"]].to_numpy(dtype=float)
    with style.canvas(style.COLUMN, 2.8) as figure:
        axes = figure.add_subplot()
        for turn, name in enumerate(names):
            part = table[table["method"] == name].sort_values(size)
            place = part[size] * (1 + ASIDE * (2 * turn + 1 - len(names)))
            look = style.method(name)
            lines = {"color": style.edge(look.colour), "ls": look.linestyle, "lw": 1}
            lines["label"] = look.name
            marks = {"marker": look.marker, "ms": 4, "fillstyle": "none", "elinewidth": 0.8}
            y, reach = part["value"], style.interval(part)
            y, reach = (1 - y, reach[::-1]) if of_auc else (y, reach)
            axes.errorbar(place, y, reach, **lines, **marks)
        draw_levels(axes, levels)
        axes.set(xscale="log", xlabel=xlabel, ylabel=ylabel)
        if of_auc:
            lowest, highest = 0.85 * lost[lost > 0].min(initial=0.5), 1.15 * lost.max()
            axes.set(yscale="log", ylim=(min(highest, 1.0), lowest))
            axes.set_ylabel(f"{ylabel} (log scale of 1 - AUC)")
            ticks = [tick for tick in TICKS if lowest <= 1 - tick <= highest]
            axes.set_yticks([1 - tick for tick in ticks], [f"{tick:g}" for tick in ticks])
            axes.yaxis.set_minor_locator(NullLocator())
        counts = sorted(table[size].unique())
        axes.xaxis.set_major_locator(FixedLocator(counts))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xticklabels(
            [f"{count:,.0f}" if count >= 100 else f"{count:.3g}" for count in counts]
        )
        axes.grid(True)
        style.legend(figure, axes, ncols=2)
    return figure


def draw_levels(axes: Axes, levels: pd.DataFrame) -> None:
    """A line across with a band for each row of method, value, low, high (a floor)."""
    for level in levels.itertuples():
        look = style.method(level.method)
        axes.axhline(level.value, color=look.colour, ls=look.linestyle, lw=1, label=look.name)
        axes.axhspan(level.low, level.high, color=look.colour, alpha=0.15, lw=0, zorder=0)
