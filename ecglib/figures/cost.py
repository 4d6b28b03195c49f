"""The error of a reconstruction against the cost of an ECG."""

import pandas as pd
from matplotlib.figure import Figure

from ecglib.figures import style

ASIDE = 0.02  # share of the cost by which two points of one cost are left and right of their place


def cost_quality(
    table: pd.DataFrame,
    cost: str,
    xlabel: str,
    ylabel: str,
    curves: pd.DataFrame | None = None,
) -> Figure:
    """One point per method: an error with its interval against the cost, both on log axes.

    `table`: columns method, `cost`, value, low, high. `curves`: columns method, `cost`, value, the
    same methods at several costs, drawn as thin lines under the points. Points of one cost are side
    by side.
    """
    curves = table.head(0) if curves is None else curves
    table = table.assign(place=style.side_by_side(table, cost, ASIDE))
    with style.canvas(style.COLUMN, 2.7) as figure:
        axes = figure.add_subplot()
        for method, part in table.groupby("method", sort=False):
            look = style.method(method)
            marker = {"fmt": look.marker, "ms": 5, "markeredgewidth": 1.1, "label": look.name}
            # Not filled: points at one place show both.
            marker |= {"color": look.colour, "fillstyle": "none", "elinewidth": 0.9}
            axes.errorbar(part["place"], part["value"], style.interval(part), **marker)
        for method, part in curves.sort_values(cost).groupby("method", sort=False):
            look = style.method(method)
            thin = {"lw": 0.8, "marker": ".", "ms": 3, "alpha": 0.7, "zorder": 1}
            axes.plot(part[cost], part["value"], color=look.colour, ls=look.linestyle, **thin)
        x = pd.concat([table[cost], curves[cost]]).to_numpy(dtype=float)
        axes.set(xscale="log", xlim=(x.min() / 1.6, x.max() * 1.6), xlabel=xlabel, ylabel=ylabel)
        wide = x.max() > 100 * x.min()
        style.plain_log(axes.xaxis, (1,) if wide else (1, 2, 5))
        axes.set_yscale("log")
        style.plain_log(axes.yaxis)
        axes.grid(True)
        style.legend(figure, axes, ncols=3)
    return figure
