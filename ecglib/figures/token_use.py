"""Use of tokens: codewords per codebook, byte pairs per ECG, and where they are on a lead."""

from collections.abc import Iterable
from itertools import pairwise

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from ecglib.figures import style

# Of tokens: Tol's light scheme, without its grey and its olive.
COLOURS = ("#77AADD", "#EE8866", "#EEDD88", "#FFAABB", "#99DDFF", "#44BB99", "#BBCC33")
_ID = 0.13  # inches, of an id with its margins


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
    """A lead with one span per token, and the token's id above it where there is room. Equal tokens
    have equal colours; tokens side by side have different ones, unless more than COLOURS meet.

    `segments`: columns token, begin, end (s), in order of time. `signal`: (n,) mV from time 0 on,
    at `rate` Hz; drawn is the part that has segments."""
    begin, end = segments["begin"].min(), segments["end"].max()
    seconds = np.arange(len(signal)) / rate
    inside = (seconds >= begin) & (seconds < end)
    low, high = signal[inside].min(), signal[inside].max()
    bottom, top = low - 0.08 * (high - low), high + 0.3 * (high - low)  # with room for the ids
    colours, narrowest = neighbours_differ(segments["token"]), _ID * (end - begin) / style.DOUBLE
    with style.canvas(style.DOUBLE, 2.6) as figure:
        axes = figure.add_subplot()
        for row in segments.itertuples():
            axes.axvspan(row.begin, row.end, color=colours[row.token], alpha=0.8, lw=0)
            axes.axvline(row.begin, color="white", lw=0.6)
            if row.end - row.begin >= narrowest:
                place = ((row.begin + row.end) / 2, top - 0.03 * (top - bottom))
                axes.text(*place, row.token, size=7, rotation=90, ha="center", va="top")
        axes.plot(seconds[inside], signal[inside], color="black", lw=0.9)
        axes.set(xlim=(begin, end), ylim=(bottom, top), xlabel="Time (s)", ylabel="Voltage (mV)")
    return figure


def neighbours_differ(tokens: Iterable[int]) -> dict[int, str]:
    """A colour for each token of a sequence, other than those of the tokens beside it."""
    tokens = list(tokens)
    beside: dict[int, set[int]] = {token: set() for token in tokens}
    for left, right in pairwise(tokens):
        beside[left].add(right)
        beside[right].add(left)
    chosen: dict[int, str] = {}
    for token in beside:
        taken = [chosen[other] for other in beside[token] if other in chosen]
        used = list(chosen.values())
        costs = {colour: (taken.count(colour), used.count(colour)) for colour in COLOURS}
        chosen[token] = min(costs, key=costs.get)
    return chosen
