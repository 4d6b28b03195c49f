"""Measured quantities against the limits of definitions, with and without the label."""

from textwrap import fill

import pandas as pd
from matplotlib.figure import Figure

from ecglib.figures import style

LOOKS = {  # state, the lower first: colour, hatch, name
    "present": (style.ACCENT, "", "Label present"),
    "absent": (style.LIGHT_GREY, "", "Label absent"),
}
COLUMNS = ("labels", "quantity", "unit", "limit", "state", "low", "high", "ecgs")


def against_limits(table: pd.DataFrame) -> Figure:
    """One histogram per quantity, non-cases stacked on cases, with a line at the limit. Axes end
    with the bins: what lies beyond is in none of them.

    `table`: `COLUMNS`, of which `labels` is a panel's title, `state` a key of `LOOKS`, `low` and
    `high` are the ends of a bin, and `ecgs` is what it holds.
    """
    style.require(COLUMNS, table, "the table")
    panels = table.groupby("quantity", sort=False)
    with style.canvas(style.DOUBLE, 1.9) as figure:
        grid = figure.subplots(1, len(panels), squeeze=False)[0]
        for axes, (quantity, part) in zip(grid, panels, strict=True):
            bottom = 0
            for state, (colour, hatch, name) in LOOKS.items():
                bins = part[part["state"] == state]
                bar = {"color": colour, "hatch": hatch, "edgecolor": "white", "linewidth": 0}
                width = bins["high"] - bins["low"]
                axes.bar(bins["low"], bins["ecgs"], width, bottom, align="edge", label=name, **bar)
                bottom = bottom + bins["ecgs"].to_numpy()
            axes.axvline(part["limit"].iloc[0], color="black", lw=0.9, ls="--")
            title = part["labels"].iloc[0]
            axes.set_title(fill(title[0].upper() + title[1:], 21))
            axes.set_xlim(part["low"].min(), part["high"].max())
            axes.set_xlabel(f"{quantity} ({part['unit'].iloc[0]})")
            axes.locator_params(nbins=4)
        grid[0].set_ylabel("ECGs")
        style.panel_letters(*grid)
        style.legend(figure, grid[0], ncols=2)
    return figure
