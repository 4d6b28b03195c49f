"""What each tokenizer keeps of the findings against what it costs."""

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from ecglib.figures import style

COLUMNS = ("tokenizer", "reader", "bits_per_ecg", "value", "low", "high")
TICKS = (0.5, 0.7, 0.8, 0.85, 0.9, 0.93, 0.95, 0.96, 0.97, 0.98, 0.985, 0.99, 0.995)
READERS = {"decoded": "full", "vectors": "none"}  # reader -> fill of its markers


def points(table: pd.DataFrame, levels: pd.DataFrame) -> Figure:
    """AUC against bits, one point per tokenizer and reader; the axis is logarithmic in 1 - AUC.

    Args:
        table: COLUMNS, `reader` one of READERS: filled markers for decoded ECGs that the network on
            the raw signal reads, open ones for a classifier of the vectors.
        levels: columns method, value; lines across (floors, the raw signal).
    """
    style.require(COLUMNS, table, "the table of points")
    lost = 1 - pd.concat([table["low"], table["high"], levels["value"]])
    with style.canvas(style.DOUBLE, 3.4) as figure:
        axes = figure.add_subplot()
        for level in levels.itertuples():
            look = style.method(level.method)
            line = {"color": look.colour, "ls": look.linestyle, "lw": 1, "zorder": 1}
            axes.axhline(1 - level.value, label=look.name, **line)
        for row in table.itertuples():
            look = style.method(row.tokenizer)
            marks = {"fmt": look.marker, "color": look.colour, "ms": 5, "elinewidth": 0.8}
            reach = [[row.high - row.value], [row.value - row.low]]
            marks |= {"fillstyle": READERS[row.reader], "zorder": 3}
            name = look.name if row.reader == "decoded" else f"{look.name}, vectors"
            axes.errorbar(row.bits_per_ecg, 1 - row.value, yerr=reach, label=name, **marks)
        ends = 1.2 * lost.max(), 0.85 * max(lost.min(), 1e-4)
        axes.set(xscale="log", yscale="log", ylim=ends, xlabel="Bits per ECG")
        axes.set_ylabel("Macro-AUC (log scale of 1 - AUC)")
        ticks = [tick for tick in TICKS if ends[1] <= 1 - tick <= ends[0]]
        axes.set_yticks([1 - tick for tick in ticks], [f"{tick:g}" for tick in ticks])
        axes.yaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_minor_formatter("")
        axes.grid(True)
        style.legend(figure, axes, ncols=6)
    return figure
