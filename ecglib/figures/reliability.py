"""Reliability: the share of positives against the predicted probability, and how many cells."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from ecglib.figures import style


def diagram(table: pd.DataFrame) -> Figure:
    """Observed share of positives by bin of the predicted probability, one curve per method.

    On the grey diagonal a probability comes true as often as it says. The lower panel shows the
    number of cells (ECG and label) of each bin on a logarithmic axis. `table`: columns method,
    lower, upper (of the bin), cells, predicted (mean probability), value, low, high.
    """
    columns = ("method", "lower", "upper", "cells", "predicted", "value", "low", "high")
    style.require(columns, table, "the table of bins")
    with style.canvas(style.COLUMN, 4.4) as figure:
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
        perfect = {"color": style.LIGHT_GREY, "lw": 2, "label": "Perfect calibration"}
        upper.plot([0, 1], [0, 1], **perfect, zorder=1)
        for name, part in table.groupby("method", sort=False):
            look = style.method(name)
            points = {"marker": look.marker, "fillstyle": "none", "ms": 4, "elinewidth": 0.8}
            line = {"color": look.colour, "ls": look.linestyle, "lw": 1}
            line["zorder"] = 2.5 if look.linestyle == "-" else 3  # a broken line is seen on a whole
            reach = style.interval(part)
            upper.errorbar(
                part["predicted"], part["value"], reach, label=look.name, **points | line
            )
            edges = np.r_[part["lower"], part["upper"].iloc[-1:]]
            lower.stairs(part["cells"], edges, baseline=None, **line)
        upper.set(xlim=(0, 1), ylim=(-0.02, 1.02), ylabel="Observed share of positives")
        lower.set(xlabel="Predicted probability", ylabel="Pairs", yscale="log")
        lower.yaxis.set_major_locator(LogLocator(numticks=9))  # each power of ten
        lower.yaxis.set_minor_formatter("")
        for axes in (upper, lower):
            axes.set_xticks(np.linspace(0, 1, 6))
            axes.grid(True)
        style.panel_letters(upper, lower)
        style.legend(figure, upper, ncols=3)
    return figure
