"""Cost on a log axis: of an ECG against the quality it buys, and of training byte pairs."""

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from ecglib.figures import style

TRAINERS = {  # as benchmarked: label, colour, marker
    "dictionary": ("Recount, dictionary", style.LIGHT_GREY, "s"),
    "table": ("Recount, table", style.GREY, "v"),
    "incremental": ("Ours, incremental", style.method("bpe").colour, "^"),
}


def cost_quality(
    table: pd.DataFrame, cost: str, xlabel: str, ylabel: str, curves: pd.DataFrame | None = None
) -> Figure:
    """One point per method: its cost (log axis) against a quality with its interval.

    `table`: columns method, `cost`, value, low, high. `curves`: columns method, `cost`, value, the
    same methods at several costs, drawn as thin lines under the points.
    """
    with style.canvas(style.COLUMN, 2.7) as figure:
        axes = figure.add_subplot()
        for method, part in table.groupby("method", sort=False):
            look = style.method(method)
            marker = {"fmt": look.marker, "ms": 6, "markeredgewidth": 1.6, "label": look.name}
            # Not filled: points at one place show both.
            marker |= {"color": look.colour, "fillstyle": "none", "elinewidth": 0.9}
            axes.errorbar(part[cost], part["value"], style.interval(part), **marker)
        curves = table.head(0) if curves is None else curves
        for method, part in curves.sort_values(cost).groupby("method", sort=False):
            look = style.method(method)
            thin = {"lw": 0.8, "marker": ".", "ms": 3, "alpha": 0.7, "zorder": 1}
            axes.plot(part[cost], part["value"], color=look.colour, ls=look.linestyle, **thin)
        x = pd.concat([table[cost], curves[cost]]).to_numpy(dtype=float)
        axes.set(xscale="log", xlim=(x.min() / 1.6, x.max() * 1.6), xlabel=xlabel, ylabel=ylabel)
        wide = x.max() > 100 * x.min()
        axes.xaxis.set_major_locator(LogLocator(subs=(1,) if wide else (1, 2, 5)))
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_formatter("")
        axes.grid(True)
        style.legend(figure, axes, ncols=3)
    return figure


def training_cost(table: pd.DataFrame) -> Figure:
    """Seconds of training against the size of the corpus (dotted: proportional), on log axes.
    `table`: columns trainer (a key of TRAINERS), ecgs, seconds."""
    with style.canvas(style.COLUMN, 2.6) as figure:
        axes = figure.add_subplot()
        for name, (label, colour, marker) in TRAINERS.items():
            part = table[table["trainer"] == name]
            axes.plot(part["ecgs"], part["seconds"], color=colour, marker=marker, ms=4, label=label)
        ours = table[table["trainer"] == "incremental"].sort_values("ecgs")
        linear = ours["seconds"].iloc[0] * ours["ecgs"] / ours["ecgs"].iloc[0]
        axes.plot(ours["ecgs"], linear, color="black", lw=0.8, ls=":", label="Linear")
        axes.set(xscale="log", yscale="log", xlabel="ECGs of 30,000 letters", ylabel="Seconds")
        axes.set_xticks(ours["ecgs"], [f"{size:g}" for size in ours["ecgs"]])
        axes.xaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter("{x:g}")
        axes.grid(True)
        style.legend(figure, axes, ncols=2)
    return figure
