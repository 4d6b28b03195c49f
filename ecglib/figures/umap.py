"""Two clouds, ECG tokens and text, in two dimensions, coloured by finding.

A UMAP can draw islands or a merger whatever the space is like. So each panel's title should give
the accuracy of a linear probe that separates the two modalities in the full space.
"""

import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ecglib.figures import style

KINDS = {"ECG": "o", "text": "^"}
COLUMNS = ("panel", "kind", "finding", "x", "y")


def panels(points: pd.DataFrame, titles: dict[str, str], rest: str = "other") -> Figure:
    """Scatter plots in rows of three: a colour per finding, a marker per modality.

    `points`: columns panel, kind ("ECG" or "text"), finding, x, y. `titles`: panel -> its title, in
    order. At most six findings have a colour; `rest` is the value of `finding` that is none of
    them, and grey. Raises ValueError for more, or where a column, a panel or a kind is missing.
    """
    style.require(COLUMNS, points, "the table of points")
    style.require(titles, set(points["panel"]), "the panels of the points")
    style.require(points["kind"].unique(), KINDS, "KINDS")
    names = [name for name in points["finding"].unique() if name != rest]
    if len(names) > len(style.FINDINGS):
        raise ValueError(f"expected at most {len(style.FINDINGS)} findings, got {len(names)}")
    colours = dict(zip(names, style.FINDINGS, strict=False)) | {rest: style.LIGHT_GREY}
    points = points.sort_values("finding", key=lambda column: column != rest, kind="stable")
    look = {"hue": "finding", "palette": colours, "style": "kind", "markers": KINDS}
    look |= {"s": 9, "alpha": 0.7, "linewidth": 0, "legend": False}
    rows = -(-len(titles) // 3)
    with style.canvas(style.DOUBLE, 0.8 + 2.6 * rows) as figure:
        grid = figure.subplots(rows, 3, squeeze=False).ravel()
        for axes, (panel, title) in zip(grid, titles.items(), strict=False):
            part = points[points["panel"] == panel]
            sns.scatterplot(part, x="x", y="y", **look, ax=axes)
            axes.set(xticks=[], yticks=[], xlabel="", ylabel="", title=title, box_aspect=1)
            axes.spines[["top", "right"]].set_visible(True)
        for axes in grid[len(titles) :]:
            axes.set_visible(False)
        style.panel_letters(*grid[: len(titles)])
        dots = {"ls": "", "ms": 5, "mew": 0}
        marks = [Line2D([], [], marker=m, color=style.BLACK, **dots) for m in KINDS.values()]
        present = [name for name in colours if name in set(points["finding"])]
        marks += [Line2D([], [], marker="s", color=colours[name], **dots) for name in present]
        figure.legend(marks, [*KINDS, *present], loc="outside lower center", ncols=4)
    return figure
