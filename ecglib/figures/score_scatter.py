"""Scores of words against the findings of reports, a point per system."""

from collections.abc import Collection

import pandas as pd
from matplotlib.figure import Figure

from ecglib.figures import style


def panels(table: pd.DataFrame, titles: dict[str, str], named: Collection[str]) -> Figure:
    """A panel per score of `titles` (column -> its label), in rows of two.

    `table`: columns method, findings and those of `titles`, a row per system. Systems of `named`
    have their colour and a line in the legend, in the order given; all others are grey rings.
    """
    style.require(["method", "findings", *titles], table, "the table of scores")
    rows = -(-len(titles) // 2)
    is_named = table["method"].isin(named)
    others, apart = table[~is_named], table[is_named]
    apart = apart.sort_values("method", key=lambda name: name.map(list(named).index))
    with style.canvas(style.DOUBLE, 0.9 + 2.3 * rows) as figure:
        grid = figure.subplots(rows, 2, sharex=True, squeeze=False)
        drawn = list(grid.ravel())[: len(titles)]
        for axes, (score, label) in zip(drawn, titles.items(), strict=True):
            grey = {"color": style.GREY, "ms": 4, "label": "Other systems", "fillstyle": "none"}
            axes.plot(others["findings"], others[score], "o", **grey)
            for one in apart.itertuples():
                look = style.method(one.method)
                dot = {"color": look.colour, "marker": look.marker, "ms": 6, "label": look.name}
                axes.plot(one.findings, getattr(one, score), ls="", **dot)
            axes.set_ylabel(label)
            axes.grid(True)
        for axes in grid[-1]:
            axes.set_xlabel("Mean F1 of findings per report")
        for axes in list(grid.ravel())[len(titles) :]:
            axes.set_visible(False)
        style.panel_letters(*drawn)
        style.legend(figure, drawn[0], ncols=4)
    return figure
