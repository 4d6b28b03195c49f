"""The use of codebooks beside the error of the reconstruction, of trainings that differ in care."""

import pandas as pd
from matplotlib.figure import Figure

from ecglib.figures import style

USES = {
    "pooled_percent": "Codewords in use in 16 ECGs (%)",
    "used_percent": "Codewords in use in all ECGs (%)",
    "perplexity_percent": "Perplexity, lowest codebook (%)",
}


def scatter(table: pd.DataFrame) -> Figure:
    """Error against use, a panel per measure of use; filled points have the released updates of the
    codebooks, small ones no revival of codewords. Strokes at the top of the first panel: the use in
    the paper, which states no error.

    `table`: columns method, training ("released" or "ours"), revival ("none" or "revival"), those
    of USES, paper_percent, value, low, high (mV).
    """
    forms = ["method", "training", "revival"]
    style.require([*forms, *USES, "paper_percent", "value", "low", "high"], table, "the table")
    with style.canvas(style.DOUBLE, 2.7) as figure:
        panels = figure.subplots(1, len(USES), sharey=True)
        for axes, (use, label) in zip(panels, USES.items(), strict=True):
            for (method, training, revival), part in table.groupby(forms, sort=False):
                look, error = style.method(method), 1000 * style.interval(part)
                marks = {"fmt": look.marker, "color": look.colour, "elinewidth": 0.8}
                marks["ms"] = 3 if revival == "none" else 5
                if training != "released":
                    marks["fillstyle"] = "none"
                else:  # white around a mark that lies on another
                    marks |= {"mec": "white", "mew": 0.4}
                if revival != "none":
                    marks["label"] = look.name + (", ours" if training != "released" else "")
                axes.errorbar(part[use], 1000 * part["value"], error, **marks)
            axes.set(xlabel=label, xlim=(-4, 104), yscale="log")
            axes.yaxis.set_major_formatter("{x:g}")
            axes.yaxis.set_minor_formatter("{x:g}")
            axes.grid(True)
        for method, use in table.groupby("method", sort=False)["paper_percent"].first().items():
            top = {"transform": panels[0].get_xaxis_transform(), "clip_on": False}
            top |= {"ms": 9, "mew": 2}
            panels[0].plot([use], [1.03], "|", color=style.method(method).colour, **top)
        panels[0].set_ylabel("Mean absolute error\n(µV, log scale)")
        panels[0].plot([], [], "o", color="black", ms=5.5, label="Filled: released updates")
        panels[0].plot([], [], "o", color="black", ms=3, label="Small: no revival")
        stroke = {"color": "black", "ms": 9, "mew": 2, "label": "Use in the paper"}
        panels[0].plot([], [], "|", **stroke)
        style.panel_letters(*panels)
        style.legend(figure, panels[0], ncols=len(panels) + 3)
    return figure


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
