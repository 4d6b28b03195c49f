"""A paper's method as a drawing: a row per stage, and in it boxes from the input to the output."""

from textwrap import fill

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, Patch

from ecglib.figures import style

ROLES = {"data": "white", "frozen": "#D9D9D9", "trained": "#FFD58A"}
BOX, GAP, HEIGHT = 1.0, 0.28, 0.62  # width of a box, distance to the next, share of a row
LETTERS = 16  # in a line of a box


def stages(table: pd.DataFrame) -> Figure:
    """One row of boxes per stage, joined by arrows from the left to the right.

    `table`: columns stage (the title of a row), box (what stands in it), size (numbers below its
    name, or ""), role: "data", "frozen" or "trained" in this stage; and optionally inner (the name
    of a trained part inside of a frozen box, or ""). Rows and boxes in the order of the table.
    Raises ValueError: a column lacks, or a role is another one.
    """
    table = table.assign(inner=table.get("inner", ""))
    style.require(["stage", "box", "size", "role"], table, "the table")
    style.require(table["role"], ROLES, "the roles")
    rows = [part for _, part in table.groupby("stage", sort=False)]
    longest = max(map(len, rows))
    width = longest * (BOX + GAP) - GAP
    with style.canvas(style.DOUBLE, 0.3 + 1.05 * len(rows)) as figure:
        axes = figure.add_subplot()
        for index, part in enumerate(rows):
            _row(axes, -index, part)
        axes.set(xlim=(-0.05, width + 0.05), ylim=(0.6 - len(rows), 0.62))
        axes.axis("off")
        roles = {*table["role"], *(["trained"] if table["inner"].any() else [])}
        drawn = {name: colour for name, colour in ROLES.items() if name in roles}
        edge = {"edgecolor": "black", "lw": 0.6}
        keys = [Patch(facecolor=of, label=n.title(), **edge) for n, of in drawn.items()]
        figure.legend(handles=keys, loc="outside upper right", ncols=len(drawn))
    return figure


def _row(axes: Axes, y: float, part: pd.DataFrame) -> None:
    """The boxes of one stage, its title above the first."""
    axes.text(0, y + HEIGHT / 2 + 0.08, part["stage"].iloc[0], size=8, weight="bold", va="bottom")
    for place, line in enumerate(part.itertuples()):
        x = place * (BOX + GAP)
        shape = {"boxstyle": "round,pad=0,rounding_size=0.05", "ec": "black", "lw": 0.7}
        corner, middle = (x, y - HEIGHT / 2), y
        axes.add_patch(FancyBboxPatch(corner, BOX, HEIGHT, fc=ROLES[line.role], **shape))
        look = {"size": 7, "ha": "center", "va": "center", "linespacing": 1.15}
        if line.inner:  # in the lower third, and the box's own name above it
            lower = (x + 0.2 * BOX, y - 0.4 * HEIGHT)
            inner = FancyBboxPatch(lower, 0.6 * BOX, HEIGHT / 3, fc=ROLES["trained"], **shape)
            axes.add_patch(inner)
            axes.text(x + BOX / 2, y - 0.23 * HEIGHT, line.inner, **look)
            middle = y + 0.2 * HEIGHT
        text = fill(line.box, LETTERS) + (f"\n{fill(line.size, LETTERS + 4)}" if line.size else "")
        axes.text(x + BOX / 2, middle, text, **look)
        if place:
            arrow = {"arrowstyle": "-|>", "lw": 0.8, "shrinkA": 1, "shrinkB": 1, "color": "black"}
            axes.annotate("", (x, y), (x - GAP, y), arrowprops=arrow)
