"""Confusion matrices: how often each answer was given where each answer was true."""

from textwrap import fill

import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from ecglib.figures import style

LONG = 12  # characters; longer names do not fit below a column
DARK = 0.7  # share of a row, above which white is easier to read than black


def matrices(tables: dict[str, pd.DataFrame]) -> Figure:
    """Panels of counts, shaded by share of the row; `tables`: title -> true (rows) x given."""
    widths = [table.shape[1] + 2 for table in tables.values()]
    with style.canvas(style.DOUBLE, 1.1 + 0.29 * max(map(len, tables.values()))) as figure:
        panels = figure.subplots(1, len(tables), squeeze=False, width_ratios=widths)[0]
        for axes, (title, table) in zip(panels, tables.items(), strict=True):
            named, numbered = _named(table)
            look = {"annot": named, "fmt": "d", "cmap": "Blues", "vmin": 0, "vmax": 1}
            share = named.div(named.sum(axis=1), axis=0).fillna(0)
            sns.heatmap(share, **look, cbar=False, ax=axes)
            for text, dark in zip(axes.texts, share.to_numpy().ravel() > DARK, strict=True):
                text.set_color("white" if dark else "black")
            given = "Answer given (numbers of the rows)" if numbered else "Answer given"
            axes.set(title=title, xlabel=given, ylabel="True answer")
            axes.tick_params("x", rotation=0, length=0)
            axes.tick_params("y", rotation=0, length=0)
        bar = {"label": "Share of a row", "ticks": [0, 0.5, 1], "fraction": 0.02, "pad": 0.01}
        figure.colorbar(panels[-1].collections[0], ax=panels, **bar)
        style.panel_letters(*panels)
    return figure


def _named(table: pd.DataFrame) -> tuple[pd.DataFrame, bool]:
    """The table with names as they are drawn, and whether its columns have numbers for names. An
    answer that is never true has no row, so its column keeps its name."""
    if max(map(len, [*table.columns, *table.index])) <= LONG:
        return table, False
    number = {name: str(place) for place, name in enumerate(table.index, 1)}
    rows = {name: fill(f"{place}. {name}", 36) for name, place in number.items()}
    columns = {
        name: number.get(name, fill(name, 9, break_long_words=False)) for name in table.columns
    }
    return table.rename(index=rows, columns=columns), True
