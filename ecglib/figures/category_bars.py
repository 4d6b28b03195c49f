"""Grouped bars of an AUC by category of labels, as ECG-Tok draws its Fig. 2."""

from textwrap import fill

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ecglib.figures import style
from ecglib.figures.bars import WHISKER

COLUMNS = ("method", "category", "value", "low", "high")
CHANCE = 0.5  # of an AUC, where the bars begin
SEEN = 0.01  # the least height of a bar that is seen; of a lower one the value is written
FLOORS = ("-", (0, (2, 1)))  # how the line of the first floor and of the second is broken


def grouped(table: pd.DataFrame, ylabel: str, floor: pd.DataFrame | None = None) -> Figure:
    """A group of bars per category, a bar with an interval per method, in order of appearance.

    Bars begin at 0.5, and go down where a value is lower. The value of a bar that is too low to be
    seen is written, that of one that is NaN as "n/a".

    Args:
        table: COLUMNS, and `positives` where these are to stand below a category.
        ylabel: what the values are.
        floor: COLUMNS of one or two more methods, drawn as lines across each group.
    """
    style.require(COLUMNS, table, "the table of bars")
    names, categories = list(table["method"].unique()), list(table["category"].unique())
    drawn = [table["value"], table["low"], *([] if floor is None else [floor["value"]])]
    least = np.nanmin(pd.concat(drawn).to_numpy(dtype=float), initial=CHANCE)
    lowest = least - 0.02 * (least < CHANCE)
    width = 0.84 / len(names)
    with style.canvas(style.DOUBLE, 2.9) as figure:
        axes = figure.add_subplot()
        for i, name in enumerate(names):
            part = table[table["method"] == name].set_index("category").reindex(categories)
            value, look = part["value"].to_numpy(dtype=float), style.method(name)
            x = np.arange(len(categories)) + (i - (len(names) - 1) / 2) * width
            bar = {"color": look.colour, "hatch": look.hatch, "lw": 0}
            bar["edgecolor"] = style.ink(look.colour)
            height = np.nan_to_num(value - CHANCE)
            axes.bar(x, height, 0.92 * width, CHANCE, label=look.name, **bar)
            edge = {"fill": False, "edgecolor": style.edge(look.colour), "lw": 0.6}
            axes.bar(x, height, 0.92 * width, CHANCE, **edge)
            axes.errorbar(x, value, yerr=style.interval(part), **WHISKER)
            tops = part["high"].fillna(CHANCE).clip(lower=CHANCE)
            for place, height, top in zip(x, value - CHANCE, tops, strict=True):
                if not abs(height) > SEEN:  # above the whisker
                    text = "n/a" if np.isnan(height) else f"{CHANCE + height:.2f}"
                    axes.text(place, top + 0.01, text, ha="center", va="bottom", rotation=90)
        if floor is not None:
            ends = np.arange(len(categories)) + np.array([[-0.46], [0.46]])
            floors = list(floor.groupby("method", sort=False))
            for (name, part), dashes in zip(floors, FLOORS[: len(floors)], strict=True):
                value = part.set_index("category")["value"].reindex(categories)
                line = axes.hlines(value, *ends, color="black", lw=1.2, ls=dashes, zorder=1.9)
                line.set_label(style.method(name).name)
        if lowest < CHANCE:
            axes.axhline(CHANCE, color="black", lw=0.6)
        texts = [fill(name, 14) for name in categories]
        if "positives" in table:
            counts = table.groupby("category")["positives"].max().reindex(categories)
            texts = [f"{text}\n({n:,.0f})" for text, n in zip(texts, counts, strict=True)]
        axes.set_xticks(range(len(categories)), texts)
        axes.set(ylabel=ylabel, ylim=(lowest, 1.0), xlim=(-0.55, len(categories) - 0.45))
        axes.tick_params(axis="x", length=0)
        axes.grid(True, axis="y")
        style.legend(figure, axes, ncols=len(axes.get_legend_handles_labels()[0]))
    return figure
