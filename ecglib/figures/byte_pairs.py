"""Byte-pair tokens: their use, how many an ECG needs, where they lie, and what learning them costs."""

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from ecglib.figures import style


def usage_and_length(usage: pd.DataFrame, lengths: pd.DataFrame, title: str = "") -> Figure:
    """Two panels: uses of a token against its rank, and a histogram of tokens an ECG.

    `usage`: columns rank (from 1), uses; `lengths`: column tokens, one row an ECG.
    """
    colour = style.method("bpe").colour
    with style.sheet():
        figure = style.new_figure(style.DOUBLE, 2.5)
        left, right = figure.subplots(1, 2)
        used = usage[usage["uses"] > 0]
        left.plot(used["rank"], used["uses"], color=colour, lw=1.4)
        left.set(xscale="log", yscale="log", xlabel="Token, most used first", ylabel="Uses")
        unused = len(usage) - len(used)
        left.set_title(f"Token usage ({unused} of {len(usage)} never used)")
        left.grid(True)
        right.hist(lengths["tokens"], bins=30, color=colour, edgecolor="white", linewidth=0.4)
        middle = lengths["tokens"].median()
        right.axvline(middle, color="black", lw=0.8, ls="--")
        right.text(middle, right.get_ylim()[1] * 0.97, f" median {middle:.0f}", size=7, va="top")
        right.set(xlabel="Tokens per ECG", ylabel="ECGs", title="Tokens an ECG needs")
        right.grid(True, axis="y")
        style.panel_letter(left, "a")
        style.panel_letter(right, "b")
        figure.suptitle(title, size=8, x=0.01, ha="left")
    return figure


def overlay(segments: pd.DataFrame, signal: np.ndarray, rate: float, title: str = "") -> Figure:
    """A lead with one span a token; equal tokens have equal colours, borders are drawn.

    `segments`: columns token, begin, end (s). `signal`: (n,) mV from time 0 on, at `rate` Hz.
    """
    ids = np.unique(segments["token"])
    colours = dict(zip(ids, mpl.colormaps["viridis"](np.linspace(0, 1, len(ids))), strict=True))
    with style.sheet():
        figure = style.new_figure(style.DOUBLE, 2.4)
        axes = figure.add_subplot()
        for row in segments.itertuples():
            axes.axvspan(row.begin, row.end, color=colours[row.token], alpha=0.35, lw=0)
            axes.axvline(row.begin, color="white", lw=0.6)
        seconds = np.arange(len(signal)) / rate
        axes.plot(seconds, signal, color="black", lw=0.9)
        axes.set_xlim(segments["begin"].min(), segments["end"].max())
        axes.set(xlabel="Time (s)", ylabel="Voltage (mV)", title=title)
    return figure


TRAINERS = {  # as benchmarked: label, colour, marker
    "dictionary": ("Recount, dictionary", style.ORANGE, "s"),
    "table": ("Recount, table", style.SKY, "v"),
    "incremental": ("Ours, incremental", style.method("bpe").colour, "^"),
}


def training_cost(table: pd.DataFrame, title: str = "") -> Figure:
    """Seconds of training against the size of the corpus, both on log axes.

    `table`: columns trainer (a key of TRAINERS), ecgs, seconds. A dotted line grows as the corpus.
    """
    with style.sheet():
        figure = style.new_figure(style.COLUMN + 0.9, 2.5)
        axes = figure.add_subplot()
        for name, (label, colour, marker) in TRAINERS.items():
            part = table[table["trainer"] == name]
            axes.plot(part["ecgs"], part["seconds"], color=colour, marker=marker, ms=4, label=label)
        ours = table[table["trainer"] == "incremental"].sort_values("ecgs")
        straight = ours["seconds"].iloc[0] * ours["ecgs"] / ours["ecgs"].iloc[0]
        axes.plot(ours["ecgs"], straight, color="black", lw=0.8, ls=":", label="Linear")
        axes.set(xscale="log", yscale="log", xlabel="ECGs of 30,000 letters", ylabel="Seconds")
        axes.set_xticks(ours["ecgs"], [f"{size:g}" for size in ours["ecgs"]])
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_title(title)
        axes.grid(True)
        figure.legend(loc="outside right upper")
    return figure
