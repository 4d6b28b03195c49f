"""A score against the size of added noise, by kind of noise."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ecglib.figures import size_curves, style

ASIDE = 0.05  # of the step from one size to the next, by which methods are apart


def by_kind(table: pd.DataFrame, ylabel: str, levels: pd.DataFrame) -> Figure:
    """One panel per kind of noise, one line per method; noise grows to the right.

    Args:
        table: columns kind, method, snr (dB; infinite without noise), value, low, high. Kinds and
            methods in order of appearance.
        ylabel: the score.
        levels: columns method, value, low, high: a line across with a band for each (a floor).
    """
    style.require(["kind", "method", "snr", "value", "low", "high"], table, "the table of noise")
    style.require(["method", "value", "low", "high"], levels, "the table of levels")
    kinds, names = list(table["kind"].unique()), list(table["method"].unique())
    sizes = sorted(table["snr"].unique(), reverse=True)
    ticks = ["none" if np.isinf(size) else f"{size:g}" for size in sizes]
    with style.canvas(style.DOUBLE, 2.5) as figure:
        whole = figure.subfigures()  # its label keeps off the stamp, which a figure's does not
        panels = whole.subplots(1, len(kinds), sharex=True, sharey=True, squeeze=False)[0]
        for axes, kind in zip(panels, kinds, strict=True):
            for turn, name in enumerate(names):
                part = table[(table["kind"] == kind) & (table["method"] == name)]
                part, look = part.sort_values("snr", ascending=False), style.method(name)
                place = np.array([sizes.index(size) for size in part["snr"]])
                place = place + ASIDE * (turn - (len(names) - 1) / 2)
                line = {"color": style.edge(look.colour), "ls": look.linestyle, "lw": 1}
                line |= {"marker": look.marker, "ms": 3.5, "elinewidth": 0.7, "label": look.name}
                axes.errorbar(place, part["value"], style.interval(part), **line)
            size_curves.draw_levels(axes, levels)
            axes.set_xticks(range(len(sizes)), ticks)
            axes.set_title(kind.capitalize())
            axes.grid(True)
        panels[0].set_ylabel(ylabel)
        whole.supxlabel("Signal-to-noise ratio of the added noise (dB)", size=8)
        style.panel_letters(*panels)
        style.legend(figure, panels[0], ncols=5)
    return figure
