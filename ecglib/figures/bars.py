"""Bars with intervals: metrics by category and method, one metric by method, labels by finding."""

from textwrap import fill

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from ecglib.figures import style

WHISKER = {
    "fmt": "none",
    "ecolor": "black",
    "elinewidth": 0.8,
    "path_effects": [withStroke(linewidth=2.0, foreground="white")],  # visible on dark bars
}
PARTS = {  # column: colour, hatch, name
    "read": (style.SKY, "", "Read as present"),
    "doubted": (style.ORANGE, "////", "Read as uncertain"),
    "missing": ("#EEEEEE", "", "Not read in the report"),
}


def grouped(table: pd.DataFrame, baseline: float) -> Figure:
    """Micro-AUC of every method in every category, methods side by side.

    `table`: columns method, category, value, low, high; both in order of appearance. A missing
    value leaves a gap marked "n/a". Bars start at the floor of the axis, so no false zero is drawn.
    `baseline` draws a dashed line, the level of chance.
    """
    groups, methods = list(table["category"].unique()), list(table["method"].unique())
    width = 0.8 / len(methods)
    lowest = float(np.nanmin(table[["value", "low"]].to_numpy(dtype=float), initial=baseline))
    floor = np.floor(10 * lowest) / 10  # never cut a bar away
    with style.canvas(style.DOUBLE, 2.7) as figure:
        axes = figure.add_subplot()
        for i, name in enumerate(methods):
            part = table[table["method"] == name].set_index("category").reindex(groups)
            x = np.arange(len(groups)) + (i - (len(methods) - 1) / 2) * width
            look, value = style.method(name), part["value"].to_numpy(dtype=float)
            bar = {"color": look.colour, "label": look.name, **_fill(look.hatch)}
            axes.bar(x, np.nan_to_num(value - floor), 0.92 * width, bottom=floor, **bar)
            known = ~np.isnan(value)
            axes.errorbar(x[known], value[known], style.interval(part)[:, known], **WHISKER)
            for position in x[~known]:
                axes.text(position, floor, " n/a", rotation=90, size=6, ha="center", va="bottom")
        axes.axhline(baseline, color="black", lw=0.6, ls="--", zorder=0)
        axes.set_xticks(
            range(len(groups)), [fill(str(name), 12, break_long_words=False) for name in groups]
        )
        axes.tick_params(axis="x", length=0)
        axes.set(ylim=(floor, 1.0), ylabel="Micro-AUC", xlim=(-0.55, len(groups) - 0.45))
        axes.grid(True, axis="y")
        style.legend(figure, axes, ncols=len(methods))
    return figure


def _fill(hatch: str | list[str]) -> dict:
    return {"hatch": hatch, "edgecolor": "white", "linewidth": 0}


def methods(
    table: pd.DataFrame,
    metrics: dict[str, str],
    ncols: int = 3,
    xlabel: str = "",
    baseline: dict[str, float] | None = None,
) -> Figure:
    """One panel per metric, one horizontal bar per method, with intervals; one scale for all.

    `table`: columns method, metric, value, low, high; `metrics`: column value -> panel title. The
    order of methods is that of first appearance, from the top. `baseline` draws a dashed line in
    the panels of some metrics (the level of chance, for instance).
    """
    names = list(table["method"].unique())
    looks = [style.method(name) for name in names]
    ncols = min(ncols, len(metrics))
    nrows = -(-len(metrics) // ncols)
    with style.canvas(style.DOUBLE, nrows * (0.55 + 0.2 * len(names)) + 0.15) as figure:
        panels = figure.subplots(nrows, ncols, sharex=True, sharey=True, squeeze=False)
        for axes, (metric, label) in zip(panels.ravel(), metrics.items(), strict=False):
            part = table[table["metric"] == metric].set_index("method").reindex(names)
            value, y = part["value"].to_numpy(dtype=float), np.arange(len(names))
            colours, hatches = [look.colour for look in looks], [look.hatch for look in looks]
            axes.barh(y, np.nan_to_num(value), 0.72, color=colours, **_fill(hatches))
            axes.errorbar(value, y, xerr=style.interval(part), **WHISKER)
            if metric in (baseline or {}):
                axes.axvline(baseline[metric], color="black", lw=0.8, ls="--")
            axes.set_title(label)
            axes.set_yticks(y, [look.name for look in looks])
            axes.tick_params(axis="y", length=0)
            axes.tick_params(axis="x", labelbottom=True)
            axes.grid(True, axis="x")
        panels[0, 0].invert_yaxis()
        panels[0, 0].set_xlim(left=0)
        figure.supxlabel(xlabel, size=8)
        for axes in panels.ravel()[len(metrics) :]:
            axes.set_visible(False)
    return figure


def label_recovery(table: pd.DataFrame, title: str = "") -> Figure:
    """Share of a cohort's findings that can be read in its reports, one stacked bar per finding.

    `table`: columns finding, present (ECGs), read, doubted (percent of those ECGs) and precision
    (0 to 1, a dot); drawn from the top in the order given, in two columns of equal length.
    """
    table = table.assign(missing=100 - table["read"] - table["doubted"])
    rows = -(-len(table) // 2)
    with style.canvas(style.DOUBLE, 1.05 + 0.135 * rows, title) as figure:
        for i, axes in enumerate(figure.subplots(1, 2, sharex=True)):
            part = table.iloc[i * rows : (i + 1) * rows]
            y, left = np.arange(len(part)), np.zeros(len(part))
            for name, (colour, hatch, label) in PARTS.items():
                axes.barh(y, part[name], 0.78, left, color=colour, label=label, **_fill(hatch))
                left = left + part[name].to_numpy()
            dots = {"color": "black", "ms": 2.4, "label": "Precision", "clip_on": False}
            axes.plot(100 * part["precision"], y, "o", zorder=3, **dots)
            names = [f"{n} ({k})" for n, k in zip(part["finding"], part["present"], strict=True)]
            axes.set_yticks(y, names, size=5.5)
            axes.tick_params(axis="y", length=0)
            axes.set(xlim=(0, 100), ylim=(rows - 0.4, -0.6), xlabel="Percent")
        style.legend(figure, axes, ncols=4, loc="outside lower center")
    return figure
