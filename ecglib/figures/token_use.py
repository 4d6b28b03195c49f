"""Use of tokens: codewords per codebook, byte pairs per ECG, and where they are on a lead."""

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from ecglib.figures import style


def codewords(table: pd.DataFrame) -> Figure:
    """One panel per method, one curve per codebook (early dark, late light).

    A dashed line marks even use. Codewords used 1,000 times less often fall below the axis.

    `table`: columns method, codebook (from 1), rank (from 1), share (of its codes, 0..1).
    """
    names = list(table["method"].unique())
    books = int(table["codebook"].max())
    colours = mpl.colormaps["cividis"](np.linspace(0.0, 0.9, books))
    palette = dict(enumerate(map(tuple, colours), start=1))
    used = table[table["share"] > 0].assign(percent=lambda part: 100 * part["share"])
    with style.canvas(style.DOUBLE if len(names) > 1 else style.COLUMN, 2.5) as figure:
        panels = figure.subplots(1, len(names), sharey=True, squeeze=False)[0]
        for axes, name in zip(panels, names, strict=True):
            part = used[used["method"] == name]
            curves = {"x": "rank", "y": "percent", "hue": "codebook", "palette": palette}
            sns.lineplot(part, **curves, estimator=None, legend=False, lw=1.0, ax=axes)
            size = int(table.loc[table["method"] == name, "rank"].max())
            axes.axhline(100 / size, color="black", lw=0.7, ls="--")
            axes.text(size, 105 / size, "even use", size=7, ha="right", va="bottom")
            axes.set(yscale="log", xlabel="Codeword, most used first", ylabel="Share of codes (%)")
            axes.set_title(style.method(name).name)
            axes.set_xlim(1, size)
            axes.grid(True)
            axes.yaxis.set_major_formatter("{x:g}")
            axes.label_outer()
        style.panel_letters(*panels if len(names) > 1 else [])
        lowest = max(0.7 * used["percent"].min(), 0.1 / table["rank"].max())
        panels[0].set_ylim(lowest, 1.4 * used["percent"].max())
        if books > 1:
            norm = mpl.colors.BoundaryNorm(np.arange(0.5, books + 1), books)
            scale = mpl.cm.ScalarMappable(norm, mpl.colors.ListedColormap(colours))
            label = {"label": "Codebook", "ticks": range(1, books + 1)}
            bar = figure.colorbar(scale, ax=list(panels), **label)
            bar.ax.tick_params(length=0)
            bar.ax.minorticks_off()
    return figure


def byte_pairs(usage: pd.DataFrame, lengths: pd.DataFrame) -> Figure:
    """Two panels: uses of a token against its rank, and a histogram of tokens per ECG.
    `usage`: columns rank (from 1), uses; `lengths`: column tokens, one row per ECG."""
    colour = style.method("bpe").colour
    with style.canvas(style.DOUBLE, 2.5) as figure:
        left, right = figure.subplots(1, 2)
        used = usage[usage["uses"] > 0]
        left.plot(used["rank"], used["uses"], color=colour, lw=1.4)
        left.set(xscale="log", yscale="log", xlabel="Token, most used first", ylabel="Uses")
        unused = len(usage) - len(used)
        left.set_title(f"Token usage ({unused} of {len(usage)} never used)")
        left.grid(True)
        bins = {"bins": 30, "color": colour, "alpha": 1.0, "edgecolor": "white", "linewidth": 0.4}
        sns.histplot(lengths, x="tokens", ax=right, **bins)
        middle = lengths["tokens"].median()
        right.axvline(middle, color="black", lw=0.8, ls="--")
        right.text(middle, right.get_ylim()[1] * 0.97, f" median {middle:.0f}", size=7, va="top")
        right.set(xlabel="Tokens per ECG", ylabel="ECGs", title="Length of an ECG")
        right.grid(True, axis="y")
        style.panel_letters(left, right)
    return figure


def overlay(segments: pd.DataFrame, signal: np.ndarray, rate: float) -> Figure:
    """A lead with one span per token; equal tokens have equal colours, borders are drawn.
    `segments`: columns token, begin, end (s). `signal`: (n,) mV from time 0 on, at `rate` Hz."""
    ids = np.unique(segments["token"])
    colours = dict(zip(ids, mpl.colormaps["viridis"](np.linspace(0, 1, len(ids))), strict=True))
    with style.canvas(style.DOUBLE, 2.4) as figure:
        axes = figure.add_subplot()
        for row in segments.itertuples():
            axes.axvspan(row.begin, row.end, color=colours[row.token], alpha=0.35, lw=0)
            axes.axvline(row.begin, color="white", lw=0.6)
        seconds = np.arange(len(signal)) / rate
        axes.plot(seconds, signal, color="black", lw=0.9)
        axes.set_xlim(segments["begin"].min(), segments["end"].max())
        axes.set(xlabel="Time (s)", ylabel="Voltage (mV)")
    return figure
