"""Use of codewords, most used first, per codebook."""

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ecglib.figures import style


def sorted_usage(table: pd.DataFrame, title: str = "") -> Figure:
    """One panel per method, one curve per codebook (early dark, late light), even use as a dashed line.

    Codewords used a thousand times less than evenly fall below the axis.

    `table`: columns method, codebook (from 1), rank (from 1), share (of its codes, 0..1).
    """
    names = list(table["method"].unique())
    books = int(table["codebook"].max())
    colours = mpl.colormaps["cividis"](np.linspace(0.0, 0.9, books))
    with style.sheet():
        figure = style.new_figure(min(style.DOUBLE, 0.9 + 2.6 * len(names)), 2.5)
        panels = figure.subplots(1, len(names), sharey=True, squeeze=False)[0]
        for axes, name in zip(panels, names, strict=True):
            part = table[table["method"] == name]
            for book, rows in part.groupby("codebook", sort=True):
                used = rows[rows["share"] > 0]
                axes.plot(used["rank"], 100 * used["share"], color=colours[book - 1], lw=1.0)
            size = int(part["rank"].max())
            axes.axhline(100 / size, color="black", lw=0.7, ls="--")
            axes.text(size, 105 / size, "even use", size=6.5, ha="right", va="bottom")
            axes.set(yscale="log", xlabel="Codeword, most used first")
            axes.set_title(style.method(name).name)
            axes.set_xlim(1, size)
            axes.grid(True)
            axes.yaxis.set_major_formatter("{x:g}")
        shares = 100 * table.loc[table["share"] > 0, "share"]
        panels[0].set_ylim(max(0.7 * shares.min(), 0.1 / table["rank"].max()), 1.4 * shares.max())
        panels[0].set_ylabel("Share of codes (%)")
        if books > 1:
            bounds = np.arange(0.5, books + 1)
            norm = mpl.colors.BoundaryNorm(bounds, books)
            scale = mpl.cm.ScalarMappable(norm, mpl.colors.ListedColormap(colours))
            bar = figure.colorbar(
                scale, ax=list(panels), label="Codebook", ticks=range(1, books + 1)
            )
            bar.ax.tick_params(length=0)
            bar.ax.minorticks_off()
        figure.suptitle(title, size=8, x=0.01, ha="left")
    return figure
