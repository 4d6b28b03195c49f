"""Measured quantities against the limits of definitions, with and without the label."""

import pandas as pd
from matplotlib.figure import Figure

from ecglib.figures import style

LOOKS = {  # state: colour, hatch, name
    "absent": (style.LIGHT_GREY, "", "Label absent"),
    "present": (style.ACCENT, "////", "Label present"),
}


def against_limits(table: pd.DataFrame) -> Figure:
    """One histogram per quantity, cases stacked on non-cases, with a line at the limit.

    `table`: columns quantity (a panel's title), unit, limit, state (a key of `LOOKS`), low, high
    (ends of a bin), ecgs (in it).
    """
    style.require(("quantity", "unit", "limit", "state", "low", "high", "ecgs"), table, "the table")
    panels = table.groupby("quantity", sort=False)
    with style.canvas(style.DOUBLE, 1.9) as figure:
        grid = figure.subplots(1, len(panels), squeeze=False)[0]
        for axes, (title, part) in zip(grid, panels, strict=True):
            bottom = 0
            for state, (colour, hatch, name) in LOOKS.items():
                bins = part[part["state"] == state]
                bar = {"color": colour, "hatch": hatch, "edgecolor": "white", "linewidth": 0}
                width = bins["high"] - bins["low"]
                axes.bar(bins["low"], bins["ecgs"], width, bottom, align="edge", label=name, **bar)
                bottom = bottom + bins["ecgs"].to_numpy()
            axes.axvline(part["limit"].iloc[0], color="black", lw=0.9, ls="--")
            axes.set(title=title, xlabel=part["unit"].iloc[0])
            axes.locator_params(nbins=4)
        grid[0].set_ylabel("ECGs")
        style.panel_letters(*grid)
        style.legend(figure, grid[0], ncols=2)
    return figure
