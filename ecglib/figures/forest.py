"""Differences between methods as points with intervals, per training seed where there are any."""

from textwrap import fill

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ecglib.figures import style

SPREAD = 0.51  # of a line's height, over which the seeds are spread
LOOKS = {  # of the mean over seeds, and of one: marker, colour, size, line, label
    True: ("D", style.BLACK, 4, 1.1, "Mean of the seeds"),
    False: ("o", style.GREY, 2.5, 0.6, "One seed"),
}
VERDICTS = {"holds": "full", "fails": "none"}  # how a diamond is filled


def differences(
    table: pd.DataFrame, xlabel: str = "", one_scale: bool = False, margin: float = 0.0
) -> Figure:
    """One line per comparison, with a line at zero; with seeds, a small point for each of them.
    Dashed lines are at a `margin` on either side of zero, where there is one.

    `table`: columns name, value, low, high, in order from the top; a name may be a sentence.
    Optional columns: `seed` ("all" is the mean over seeds, drawn large); `verdict`; and `panel` (a
    panel's title) or `unit` (its axis label), whose panels have a scale of their own unless
    `one_scale`.
    """
    by = next((column for column in ("panel", "unit") if column in table), "")
    longest, seeded = table["name"].str.len().max(), "seed" in table
    room = max(0.36, 0.09 * table["seed"].nunique()) if seeded else 0.2
    width, wrap = (style.DOUBLE, 50) if seeded or longest > 40 else (style.COLUMN, 22)
    panels, heights = {}, []
    for name, part in table.groupby(by, sort=False) if by else [("", table)]:
        part = part.assign(name=[balanced(line, wrap) for line in part["name"]])
        label = 0.1 + 0.125 * (1 + part["name"].str.count("\n").max())
        heights.append(part["name"].nunique() * max(label, room))
        panels[name] = part
    with style.canvas(width, 0.3 + 0.45 * len(heights) + sum(heights)) as figure:
        shape = {"sharex": one_scale, "height_ratios": heights, "squeeze": False}
        grid = figure.subplots(len(heights), 1, **shape)[:, 0]
        for axes, (name, part) in zip(grid, panels.items(), strict=True):
            panel(axes, part)
            for end in (-margin, margin) if margin else ():
                axes.axvline(end, color="black", lw=0.7, ls="--")
            axes.set_title(name if by == "panel" else "")
            axes.set_xlabel(name if by == "unit" else "")
        if by != "unit":
            grid[-1].set_xlabel(xlabel)
        style.panel_letters(*grid if len(grid) > 1 else [])
        if seeded:
            style.legend(figure, grid[0], ncols=2)
        if "verdict" in table:
            look = {"ls": "", "marker": LOOKS[True][0], "color": style.BLACK, "ms": LOOKS[True][2]}
            marks = [Line2D([], [], fillstyle=face, **look) for face in VERDICTS.values()]
            figure.legend(marks, map(str.capitalize, VERDICTS), loc="outside upper right", ncols=2)
    return figure


def balanced(text: str, most: int) -> str:
    """A text in lines of at most so many letters, as few as can be and of nearly the same length.

    >>> balanced("one two three four five", 20).splitlines()
    ['one two three', 'four five']
    """
    lines = fill(text, most, break_long_words=False).count("\n")
    widths = range(most // 2, most + 1)
    wrapped = (fill(text, width, break_long_words=False) for width in widths)
    return next(of for of in wrapped if of.count("\n") == lines)


def panel(axes: Axes, table: pd.DataFrame) -> None:
    """The lines of one panel, as `differences` draws them."""
    table = table.assign(seed=table.get("seed", "all"), verdict=table.get("verdict", "holds"))
    names = list(table["name"].unique())
    seeds = [seed for seed in table["seed"].unique() if seed != "all"]
    axes.axvline(0, color="black", lw=0.7)
    for (whole, verdict), part in table.groupby([table["seed"] == "all", "verdict"], sort=False):
        marker, colour, size, width, label = LOOKS[whole]
        places = [0 if seed == "all" else seeds.index(seed) + 1 for seed in part["seed"]]
        offset = SPREAD * np.array(places) / max(1, len(seeds))
        y = np.array([names.index(name) for name in part["name"]]) + offset
        look = {"fmt": marker, "color": colour, "markersize": size, "elinewidth": width}
        look |= {"xerr": style.interval(part), "fillstyle": VERDICTS[verdict], "label": label}
        axes.errorbar(part["value"], y, **look)
    axes.set_yticks(range(len(names)), names)
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(names) - (0.3 if seeds else 0.5), -0.5)
    axes.locator_params(axis="x", nbins=9 if seeds else 6)
    axes.grid(True, axis="x")
