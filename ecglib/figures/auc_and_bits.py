"""What each tokenizer keeps of the findings against what it costs."""

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from ecglib.figures import style

COLUMNS = ("method", "bits_per_ecg", "value", "low", "high")
TICKS = (0.5, 0.7, 0.8, 0.85, 0.88, 0.9, 0.93, 0.95, 0.96, 0.97, 0.98, 0.985, 0.99, 0.995)
ASIDE = 0.04  # share of the bits by which points of equal bits stand left or right of their place


def points(table: pd.DataFrame, levels: pd.DataFrame) -> Figure:
    """AUC against bits, one point per method; the axis is logarithmic in 1 - AUC. Points of equal
    bits are side by side around their place, twice ASIDE from each other, by their AUC.

    Args:
        table: COLUMNS.
        levels: columns method, value, low, high; lines across with bands (floors, the raw signal).
    """
    style.require(COLUMNS, table, "the table of points")
    style.require(["method", "value", "low", "high"], levels, "the table of levels")
    lost = 1 - pd.concat([one[end] for one in (table, levels) for end in ("low", "high")])
    place = style.side_by_side(table, "bits_per_ecg", ASIDE)
    reach = style.interval(table)[::-1]  # in 1 - AUC the upper end is below
    with style.canvas(style.DOUBLE, 3.4) as figure:
        axes = figure.add_subplot()
        for level in levels.itertuples():
            look = style.method(level.method)
            line = {"color": look.colour, "ls": look.linestyle, "lw": 1, "zorder": 1}
            axes.axhline(1 - level.value, label=look.name, **line)
            band = {"color": look.colour, "alpha": 0.15, "lw": 0, "zorder": 0}
            axes.axhspan(1 - level.high, 1 - level.low, **band)
            for end in (level.low, level.high):  # outlined, since bands may overlap
                axes.axhline(1 - end, **line | {"lw": 0.4})
        for i, row in enumerate(table.itertuples()):
            look = style.method(row.method)
            marks = {"fmt": look.marker, "color": look.colour, "ms": 4.5, "elinewidth": 0.8}
            marks |= {"fillstyle": "none", "mew": 1}  # not filled: a point behind is seen
            marks |= {"yerr": reach[:, [i]], "label": look.name, "zorder": 3}
            axes.errorbar(place.iloc[i], 1 - row.value, **marks)
        ends = 1.2 * lost.max(), 0.85 * max(lost.min(), 1e-4)
        axes.set(xscale="log", yscale="log", ylim=ends, xlabel="Bits per ECG")
        axes.set_ylabel("Macro-AUC (log scale of 1 - AUC)")
        ticks = [tick for tick in TICKS if ends[1] <= 1 - tick <= ends[0]]
        axes.set_yticks([1 - tick for tick in ticks], [f"{tick:g}" for tick in ticks])
        axes.yaxis.set_minor_locator(NullLocator())
        style.plain_log(axes.xaxis)
        axes.grid(True)
        style.legend(figure, axes, ncols=6)
    return figure
