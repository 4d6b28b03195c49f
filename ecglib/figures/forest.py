"""Differences between methods as points with intervals, per training seed where there are any."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ecglib.figures import style

SPREAD = 0.17  # of a line's height between two seeds


def differences(table: pd.DataFrame, xlabel: str = "") -> Figure:
    """One line per comparison, with a line at zero; with seeds, a small point for each of them.

    `table`: columns name, value, low, high, in order from the top. Optional columns: `seed` ("all"
    is the mean over seeds, drawn large), and `panel` (a panel's title) or `unit` (its axis label),
    whose panels have a scale of their own.
    """
    by = next((column for column in ("panel", "unit") if column in table), None)
    panels = dict(list(table.groupby(by, sort=False))) if by else {"": table}
    lines = [part["name"].nunique() for part in panels.values()]
    seeded = "seed" in table
    width = style.DOUBLE if seeded else style.COLUMN + 1.2
    with style.canvas(
        width, 0.25 + 0.5 * len(lines) + (0.36 if seeded else 0.24) * sum(lines)
    ) as f:
        grid = f.subplots(len(lines), 1, height_ratios=lines, squeeze=False)[:, 0]
        for axes, (name, part) in zip(grid, panels.items(), strict=True):
            _panel(axes, part if seeded else part.assign(seed="all"))
            axes.set_title(name if by == "panel" else "")
            axes.set_xlabel(name if by == "unit" else "")
        if by != "unit":
            grid[-1].set_xlabel(xlabel)
        if seeded:
            style.legend(f, grid[0], ncols=2)
    return f


def _panel(axes: Axes, table: pd.DataFrame) -> None:
    names = list(table["name"].unique())
    seeds = [seed for seed in table["seed"].unique() if seed != "all"]
    looks = {True: ("D" if seeds else "o", style.BLUE, 5 if seeds else 4, 1.1, "mean of the seeds")}
    looks[False] = ("o", style.GREY, 2.5, 0.6, "one seed")
    axes.axvline(0, color="black", lw=0.7)
    for whole, part in table.groupby(table["seed"] == "all", sort=False):
        marker, colour, size, width, label = looks[whole]
        offset = [0 if whole else SPREAD * (seeds.index(seed) + 1) for seed in part["seed"]]
        y = np.array([names.index(name) for name in part["name"]]) + offset
        points = {"fmt": marker, "color": colour, "markersize": size, "elinewidth": width}
        axes.errorbar(part["value"], y, xerr=style.interval(part), label=label, **points)
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - (0.3 if seeds else 0.5), -0.5)
    axes.locator_params(axis="x", nbins=9 if seeds else 6)
    axes.grid(True, axis="x")
