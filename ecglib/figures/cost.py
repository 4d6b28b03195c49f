"""What an ECG costs (tokens, bits; log axis) against what it yields, with intervals."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from ecglib.figures import style


def cost_quality(
    table: pd.DataFrame,
    cost: str = "tokens_per_ecg",
    xlabel: str = "Tokens per ECG",
    ylabel: str = "Finding F1",
    title: str = "",
) -> Figure:
    """One point a method: its cost (log axis) against a quality with its interval.

    `table`: columns method, `cost`, value, low, high.
    """
    with style.sheet():
        figure = style.new_figure(style.COLUMN + 0.6, 2.6)
        axes = figure.add_subplot()
        for row in table.itertuples():
            look = style.method(row.method)
            whiskers = np.array([[row.value - row.low], [row.high - row.value]])
            axes.errorbar(
                [getattr(row, cost)],
                [row.value],
                np.nan_to_num(np.clip(whiskers, 0, None)),
                fmt=look.marker,
                color=look.colour,
                markersize=6,
                fillstyle="none",  # of two at one place both are seen
                markeredgewidth=1.6,
                elinewidth=0.9,
                label=look.name,
            )
        axes.set_xscale("log")
        x = table[cost].to_numpy(dtype=float)
        axes.set_xlim(x.min() / 1.6, x.max() * 1.6)
        wide = x.max() > 100 * x.min()
        axes.xaxis.set_major_locator(LogLocator(subs=(1,) if wide else (1, 2, 5)))
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_formatter("")
        axes.set(xlabel=xlabel, ylabel=ylabel, title=title)
        axes.grid(True)
        figure.legend(loc="outside right upper")
    return figure
