"""The use of codebooks beside the error of the reconstruction, of trainings that differ in care."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ecglib.figures import style

USES = {
    "pooled_percent": "Codewords in use in 16 ECGs (%)",
    "used_percent": "Codewords in use in all ECGs (%)",
    "perplexity_percent": "Perplexity, lowest codebook (%)",
}


def scatter(table: pd.DataFrame) -> Figure:
    """Error against use, a column of panels per measure of use. The error's axis is broken at the
    widest gap between the points. Filled points have the released updates of the codebooks, small
    ones no revival of codewords. Strokes at the top of the first panel: the use in the paper, which
    states no error.

    `table`: columns method, training ("released" or "ours"), revival ("none" or "revival"), those
    of USES, paper_percent, value, low, high (mV).
    """
    forms = ["method", "training", "revival"]
    style.require([*forms, *USES, "paper_percent", "value", "low", "high"], table, "the table")
    value = np.sort(table["value"])
    gap = np.argmax(value[1:] / value[:-1])
    is_above = table["value"] > value[gap]
    with style.canvas(style.DOUBLE, 3.8) as figure:
        grid = figure.subplots(2, len(USES), sharex=True, sharey="row", height_ratios=[2, 3])
        for panels, of_row in zip(grid, (table[is_above], table[~is_above]), strict=True):
            for axes, use in zip(panels, USES, strict=True):
                for form, part in of_row.groupby(forms, sort=False):
                    error = 1000 * style.interval(part)
                    axes.errorbar(part[use], 1000 * part["value"], error, **_mark(*form))
                axes.set(xlim=(-4, 104), yscale="log")
                axes.yaxis.set_major_formatter("{x:g}")
                axes.yaxis.set_minor_formatter("{x:g}")
                axes.grid(True)
        for axes, label in zip(grid[-1], USES.values(), strict=True):
            axes.set_xlabel(label)
        top = {"transform": grid[0, 0].get_xaxis_transform(), "clip_on": False, "ms": 9, "mew": 2}
        for method, use in table.groupby("method", sort=False)["paper_percent"].first().items():
            grid[0, 0].plot([use], [1.06], "|", color=style.method(method).colour, **top)
        figure.supylabel("Mean absolute error (µV, broken log scale)", size=8)
        for method in table["method"].unique():
            look = style.method(method)
            grid[0, 0].plot([], [], look.marker, color=look.colour, ms=5, label=look.name)
        keys = {"Filled: released updates": {"ms": 5}, "Open: ours": {"ms": 5, "mfc": "none"}}
        keys |= {"Small: no revival": {"ms": 3}}
        for label, look in keys.items():
            grid[0, 0].plot([], [], "o", color="black", label=label, **look)
        grid[0, 0].plot([], [], "|", color="black", ms=9, mew=2, label="Use in the paper")
        style.panel_letters(*grid[0])
        style.legend(figure, grid[0, 0], ncols=4)
    return figure


def _mark(method: str, training: str, revival: str) -> dict[str, Any]:
    """How a point of this form is drawn."""
    look = style.method(method)
    mark = {"fmt": look.marker, "color": look.colour, "elinewidth": 0.8}
    mark["ms"] = 3 if revival == "none" else 5
    if training != "released":
        return mark | {"fillstyle": "none"}
    return mark | {"mec": "white", "mew": 0.4}  # white around a mark that lies on another


def courses(table: pd.DataFrame) -> Figure:
    """Use and error during training, a column of panels per form of it.
    `table`: columns form (a panel's title), method, step, used_percent, error_uv."""
    rows = {"used_percent": "Codewords in use (%)"}
    rows |= {"error_uv": "Mean absolute error\n(µV, log scale)"}
    style.require(["form", "method", "step", *rows], table, "the table")
    forms = list(dict.fromkeys(table["form"]))
    with style.canvas(style.DOUBLE, 3.6) as figure:
        grid = figure.subplots(2, len(forms), sharex=True, sharey="row", squeeze=False)
        for column, form in zip(grid.T, forms, strict=True):
            for axes, quantity in zip(column, rows, strict=True):
                for method, part in table[table["form"] == form].groupby("method", sort=False):
                    look = style.method(method)
                    line = {"color": look.colour, "ls": look.linestyle, "label": look.name}
                    axes.plot(part["step"], part[quantity], marker=look.marker, ms=3, **line)
                axes.grid(True)
            column[0].set_title(form)
            column[0].set_ylim(-4, 104)
            column[1].set(xlabel="Training step", yscale="log")
            style.plain_log(column[1].yaxis)
        for axes, label in zip(grid[:, 0], rows.values(), strict=True):
            axes.set_ylabel(label)
        style.panel_letters(*grid.ravel())
        style.legend(figure, grid[0, 0], ncols=3)
    return figure
