"""Two clouds, ECG tokens and text, in two dimensions, coloured by finding and by modality.

A UMAP can draw islands or a merger whatever the space is like. So each panel's title should give
the accuracy of a linear probe that separates the two modalities in the full space.
"""

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ecglib.figures import style

KINDS = {"ECG": "o", "text": "^"}
OF_KIND = {"ECG": style.BLACK, "text": "#A6611A"}  # the colours of no method or finding
ACROSS = 3  # panels of a row
COLUMNS = ("panel", "kind", "finding", "x", "y")


def panels(
    points: pd.DataFrame, titles: dict[str, str], rest: str = "other", by_kind: bool = False
) -> Figure:
    """Scatter plots in rows of three: a colour per finding, a marker per modality. `by_kind` draws
    every row twice: both kinds with a colour per modality, and below it the ECGs alone by finding.
    Where the clouds are far apart, only that second picture is large enough to show an order.

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
    hues = {"kind": OF_KIND, "finding": colours} if by_kind else {"finding": colours}
    rows = -(-len(titles) // ACROSS)
    side = 1.9 if by_kind else 2.6  # inches of a row
    with style.canvas(style.DOUBLE, 0.8 + side * rows * len(hues)) as figure:
        grid = figure.subplots(rows * len(hues), ACROSS, squeeze=False)
        drawn = []
        for number, (panel, title) in enumerate(titles.items()):
            row, column = divmod(number, ACROSS)
            part = points[points["panel"] == panel]
            for below, (hue, palette) in enumerate(hues.items()):
                axes = grid[row * len(hues) + below, column]
                _scatter(axes, part[part["kind"] == "ECG"] if below else part, hue, palette)
                axes.set_title("ECGs alone" if below else title)
                drawn.append(axes)
        for axes in set(grid.ravel()) - set(drawn):
            axes.set_visible(False)
        style.panel_letters(*(axes for axes in grid.ravel() if axes in drawn))
        _legend(figure, colours, set(points["finding"]), OF_KIND if by_kind else {})
    return figure


def _scatter(axes: Axes, part: pd.DataFrame, hue: str, palette: dict[str, str]) -> None:
    look = {"hue": hue, "palette": palette, "style": "kind", "markers": KINDS}
    size = 9 if part["kind"].nunique() > 1 else 14  # an enlarged cloud has room
    look |= {"s": size, "alpha": 0.7, "linewidth": 0, "legend": False}
    if hue == "kind":  # in order, one kind would cover the other wherever they mix
        part = part.sample(frac=1, random_state=0)
    sns.scatterplot(part, x="x", y="y", **look, ax=axes)
    axes.set(xticks=[], yticks=[], xlabel="", ylabel="", box_aspect=1)
    axes.spines[["top", "right"]].set_visible(True)


def _legend(
    figure: Figure, colours: dict[str, str], present: set[str], of_kind: dict[str, str]
) -> None:
    dots = {"ls": "", "ms": 5, "mew": 0}
    marks = [
        Line2D([], [], marker=marker, color=of_kind.get(kind, style.BLACK), **dots)
        for kind, marker in KINDS.items()
    ]
    names = [name for name in colours if name in present]
    marks += [Line2D([], [], marker="s", color=colours[name], **dots) for name in names]
    called = [name[0].upper() + name[1:] for name in [*KINDS, *names]]
    figure.legend(marks, called, loc="outside lower center", ncols=4)
