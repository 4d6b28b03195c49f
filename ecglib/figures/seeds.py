"""Differences between methods for each training seed, and over all of them."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ecglib.figures import style

SPREAD = 0.17  # of a row's height between two seeds


def forest(table: pd.DataFrame, xlabel: str, title: str = "") -> Figure:
    """One row a comparison: small points for the seeds, a large one with its interval for all.

    `table`: columns panel, name, seed ("all" for the mean), value, low, high; panels, each with a
    scale of its own, and rows in order of appearance.
    """
    panels = dict(list(table.groupby("panel", sort=False)))
    rows = [part["name"].nunique() for part in panels.values()]
    with style.sheet():
        figure = style.new_figure(style.DOUBLE, 0.6 + 0.36 * sum(rows) + 0.3 * len(rows))
        found = figure.subplots(len(rows), 1, height_ratios=rows, squeeze=False)[:, 0]
        for axes, (name, part) in zip(found, panels.items(), strict=True):
            _panel(axes, part)
            axes.set_title(name)
        found[-1].set_xlabel(xlabel)
        handles = dict(zip(*reversed(found[0].get_legend_handles_labels()), strict=True))
        figure.legend(handles.values(), handles.keys(), loc="outside upper right", ncols=2)
        figure.suptitle(title, size=8, x=0.01, ha="left")
    return figure


def _panel(axes: Axes, table: pd.DataFrame) -> None:
    names = list(table["name"].unique())
    seeds = [seed for seed in table["seed"].unique() if seed != "all"]
    for row in table.itertuples():
        y, whole = names.index(row.name), row.seed == "all"
        if not whole:
            y += SPREAD * (seeds.index(row.seed) + 1)
        axes.errorbar(
            [row.value],
            [y],
            xerr=np.nan_to_num([[row.value - row.low], [row.high - row.value]]),
            fmt="D" if whole else "o",
            color=style.BLUE if whole else style.GREY,
            markersize=5 if whole else 2.5,
            elinewidth=1.2 if whole else 0.6,
            label="mean of the seeds" if whole else "one seed",
        )
    axes.axvline(0, color="black", lw=0.7)
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.3, -0.5)
    axes.grid(True, axis="x")
