"""Bars with intervals: metrics by group and method, and one metric by method."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from ecglib.figures import style


def _interval(table: pd.DataFrame) -> np.ndarray:
    """Lengths below and above the value, (2, n); no whisker where there is no interval."""
    lower = (table["value"] - table["low"]).to_numpy(dtype=float)
    upper = (table["high"] - table["value"]).to_numpy(dtype=float)
    return np.nan_to_num(np.clip(np.stack([lower, upper]), 0.0, None))


WHISKER = {
    "fmt": "none",
    "ecolor": "black",
    "elinewidth": 0.8,
    "path_effects": [withStroke(linewidth=2.0, foreground="white")],  # visible on dark bars
}


def grouped(
    table: pd.DataFrame,
    group: str = "category",
    ylabel: str = "Micro-AUC",
    ylim: tuple[float, float] = (0.5, 1.0),
    baseline: float | None = None,
    title: str = "",
) -> Figure:
    """Bars of every method beside each other in every group.

    `table`: columns method, `group`, value, low, high; groups and methods in order of appearance.
    A missing value leaves a gap marked "n/a". `baseline` draws a dashed line (chance, for
    instance).
    """
    groups, methods = list(table[group].unique()), list(table["method"].unique())
    width = 0.8 / len(methods)
    lowest = float(np.nanmin(table[["value", "low"]].to_numpy(dtype=float), initial=ylim[0]))
    ylim = (np.floor(10 * lowest) / 10, ylim[1])  # never cut a bar away
    with style.sheet():
        figure = style.new_figure(style.DOUBLE, 2.7)
        axes = figure.add_subplot()
        for i, name in enumerate(methods):
            look = style.method(name)
            part = table[table["method"] == name].set_index(group).reindex(groups)
            x = np.arange(len(groups)) + (i - (len(methods) - 1) / 2) * width
            _bars(axes, x, part, width, look, ylim)
        if baseline is not None:
            axes.axhline(baseline, color="black", lw=0.6, ls="--", zorder=0)
        axes.set_xticks(range(len(groups)), [_wrap(str(name)) for name in groups])
        axes.tick_params(axis="x", length=0)
        axes.set(ylim=ylim, ylabel=ylabel, xlim=(-0.55, len(groups) - 0.45))
        axes.grid(True, axis="y")
        handles, labels = axes.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper right", ncols=len(methods))
        figure.suptitle(title, size=8, x=0.01, ha="left")
    return figure


def _bars(
    axes: Axes, x: np.ndarray, part: pd.DataFrame, width: float, look: style.Method, ylim: tuple
) -> None:
    """One method's bars; the axis floor is their foot, so that a cut axis shows no false zero."""
    value = part["value"].to_numpy(dtype=float)
    axes.bar(
        x,
        np.nan_to_num(value - ylim[0]),
        0.92 * width,
        bottom=ylim[0],
        color=look.colour,
        edgecolor="white",
        hatch=look.hatch,
        linewidth=0,
        label=look.name,
    )
    there = ~np.isnan(value)
    whiskers = _interval(part)[:, there]
    axes.errorbar(x[there], value[there], whiskers, **WHISKER)
    for position in x[~there]:
        axes.text(position, ylim[0], " n/a", rotation=90, size=6, ha="center", va="bottom")


def _wrap(name: str, width: int = 12) -> str:
    """Break a long group name at spaces."""
    lines, line = [], ""
    for word in name.split():
        if line and len(line) + len(word) >= width:
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}".strip()
    return "\n".join([*lines, line])


def methods(
    table: pd.DataFrame,
    metrics: dict[str, str],
    ncols: int = 3,
    percent: bool = False,
    sharex: bool = True,
    xlabel: str = "",
    title: str = "",
    baseline: dict[str, float] | None = None,
) -> Figure:
    """One panel a metric, one horizontal bar a method, with intervals.

    `table`: columns method, metric, value, low, high; `metrics`: column value -> panel title. The
    order of methods is that of first appearance, from the top. `sharex` gives all panels one scale.
    `baseline` draws a dashed line in the panels of some metrics (chance, for instance).
    """
    names = list(table["method"].unique())
    ncols = min(ncols, len(metrics))
    nrows = -(-len(metrics) // ncols)
    scale = 100.0 if percent else 1.0
    with style.sheet():
        figure = style.new_figure(style.DOUBLE, nrows * (0.55 + 0.2 * len(names)) + 0.15)
        panels = figure.subplots(nrows, ncols, sharex=sharex, sharey=True, squeeze=False)
        for axes, (metric, label) in zip(panels.ravel(), metrics.items(), strict=False):
            part = table[table["metric"] == metric].set_index("method").reindex(names)
            value = scale * part["value"].to_numpy(dtype=float)
            looks = [style.method(name) for name in names]
            y = np.arange(len(names))
            axes.barh(
                y,
                np.nan_to_num(value),
                0.72,
                color=[look.colour for look in looks],
                hatch=[look.hatch for look in looks],
                edgecolor="white",
                linewidth=0,
            )
            there = ~np.isnan(value)
            whiskers = scale * _interval(part)[:, there]
            axes.errorbar(value[there], y[there], xerr=whiskers, **WHISKER)
            if metric in (baseline or {}):
                axes.axvline(scale * baseline[metric], color="black", lw=0.8, ls="--")
            axes.set_title(label)
            axes.set_yticks(y, [look.name for look in looks])
            axes.tick_params(axis="y", length=0)
            axes.tick_params(axis="x", labelbottom=True)
            axes.grid(True, axis="x")
        panels[0, 0].invert_yaxis()
        for axes in panels.ravel():
            axes.set_xlim(left=0)
        figure.supxlabel(xlabel, size=8)
        for axes in panels.ravel()[len(metrics) :]:
            axes.set_visible(False)
        figure.suptitle(title, size=8, x=0.01, ha="left")
    return figure


def differences(table: pd.DataFrame, xlabel: str = "", title: str = "") -> Figure:
    """Paired differences as points with intervals and a line at zero.

    `table`: columns name, value, low, high; one row a comparison, from the top. With a column
    `unit` each unit has a panel with a scale of its own and stands under it, in place of `xlabel`.
    """
    panels = dict(list(table.groupby("unit", sort=False))) if "unit" in table else {xlabel: table}
    rows = [len(part) for part in panels.values()]
    with style.sheet():
        height = 0.25 + 0.5 * len(rows) + 0.24 * sum(rows)
        figure = style.new_figure(style.COLUMN + 1.2, height)
        found = figure.subplots(len(rows), 1, height_ratios=rows, squeeze=False)[:, 0]
        for axes, (unit, part) in zip(found, panels.items(), strict=True):
            y = np.arange(len(part))
            axes.axvline(0.0, color="black", lw=0.7)
            look = {"fmt": "o", "color": style.BLUE, "elinewidth": 1.0}
            axes.errorbar(part["value"], y, xerr=_interval(part), **look)
            axes.set_yticks(y, part["name"])
            axes.set(xlabel=unit, ylim=(len(part) - 0.5, -0.5))
            axes.locator_params(axis="x", nbins=6)
            axes.grid(True, axis="x")
        figure.suptitle(title, size=8, x=0.01, ha="left")
    return figure
