"""Bars: metrics by method with intervals, and the findings that can be read in reports."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from ecglib.figures import forest, style
from ecglib.figures.dots import shorten

WHISKER = {
    "fmt": "none",
    "ecolor": "black",
    "elinewidth": 0.8,
    "path_effects": [withStroke(linewidth=2.0, foreground="white")],  # visible on dark bars
}
SHORT = 0.01  # of an axis, below which a bar is not seen
ONE_SEED = "†"  # behind the name of what has one training seed, where others have more
PARTS = {  # column: colour, hatch, name
    "read": (style.GREY, "", "Read as present"),
    "doubted": (style.LIGHT_GREY, "////", "Read as uncertain"),
    "missing": ("#EEEEEE", "", "Not read in the report"),
}


def _fill(hatch: str | list[str]) -> dict:
    return {"hatch": hatch, "edgecolor": "white", "linewidth": 0}


def methods(
    table: pd.DataFrame,
    metrics: dict[str, str],
    ncols: int = 3,
    xlabel: str = "",
    baseline: dict[str, float] | None = None,
    differences: pd.DataFrame | None = None,
    difference_label: str = "Paired difference",
    one_scale: bool = True,
    start: float = 0.0,
) -> Figure:
    """One panel per metric, one horizontal bar per method, with intervals.

    `table`: columns method, metric, value, low, high; `metrics`: column value -> panel title. The
    order of methods is that of first appearance, from the top. A method with one training seed gets
    ONE_SEED behind its name where `table` has a column seeds and others have more. Bars begin at
    `start`; those of lower values go to the left of a line there. A value with hardly a bar is
    written, a missing value as "n/a". `baseline` draws a dashed line in the panels of some metrics
    (the level of chance, for instance). Without `one_scale` each panel has a scale of its own.
    `differences` (columns name, value, low, high) adds a panel below, with its own scale and a line
    at zero.
    """
    names = list(table["method"].unique())
    looks, labels = [style.method(name) for name in names], _labels(table)
    ncols = min(ncols, len(metrics))
    nrows = -(-len(metrics) // ncols)
    heights = [nrows * (0.55 + 0.2 * len(names)) + 0.15]
    if differences is not None:
        heights.append(0.5 + 0.24 * differences["name"].nunique())
    width = style.COLUMN if ncols == 1 else style.DOUBLE
    with style.canvas(width, sum(heights)) as figure:
        grid = figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)
        upper, *lower = grid[:, 0]
        panels = upper.subplots(nrows, ncols, sharex=one_scale, sharey=True, squeeze=False)
        drawn = panels.ravel()[: len(metrics)]
        of_metric = [table[table["metric"] == metric] for metric in metrics]
        parts = [part.set_index("method").reindex(names) for part in of_metric]
        for axes, (metric, label), part in zip(drawn, metrics.items(), parts, strict=True):
            value, y = part["value"].to_numpy(dtype=float), np.arange(len(names))
            _bars(axes, value, looks, start)
            axes.errorbar(value, y, xerr=style.interval(part), **WHISKER)
            if metric in (baseline or {}):
                axes.axvline(baseline[metric], color="black", lw=0.8, ls="--")
            axes.set_title(label)
            axes.set_yticks(y, labels)
            axes.tick_params(axis="y", length=0)
            axes.tick_params(axis="x", labelbottom=True)
            axes.locator_params("x", nbins=4 if ncols > 3 and one_scale else "auto")
            axes.grid(True, axis="x")
        panels[0, 0].set_ylim(len(names) - 0.5, -0.5)
        for axes in drawn:
            _from(axes, start)
        for axes, part in zip(drawn, parts, strict=True):  # when all panels have their scale
            _write_short(axes, part, start)
        upper.supxlabel(xlabel, size=8)
        for axes in panels.ravel()[len(metrics) :]:
            axes.set_visible(False)
        letters = list(drawn)
        for part in lower:
            letters.append(part.subplots())
            forest.panel(letters[-1], differences)
            letters[-1].set(title="Paired differences", xlabel=difference_label)
        style.panel_letters(*letters if len(letters) > 1 else [])
    return figure


def _bars(axes: Axes, value: np.ndarray, looks: list[style.Method], start: float) -> None:
    """Bars from `start`; outlined, because a white hatch would take away their ends."""
    colours, y = [look.colour for look in looks], np.arange(len(value))
    length = np.nan_to_num(value - start)
    filled = _fill([look.hatch for look in looks]) | {"edgecolor": [*map(style.ink, colours)]}
    axes.barh(y, length, 0.72, start, color=colours, **filled)
    seen = length != 0
    edges = {"edgecolor": np.array([*map(style.edge, colours)])[seen], "lw": 0.6}
    axes.barh(y[seen], length[seen], 0.72, start, fill=False, **edges)


def _from(axes: Axes, start: float) -> None:
    """Let the axis begin at `start`, or below it with a line there, for panels of one scale."""
    panels = [one for one in axes.get_shared_x_axes().get_siblings(axes) if one.has_data()]
    low = min(panel.dataLim.xmin for panel in panels)
    high = max(panel.dataLim.xmax for panel in panels)
    if low < start:
        axes.set_xlim(left=low - 0.02 * (high - low))
        axes.axvline(start, color="black", lw=0.6)
    else:
        axes.set_xlim(left=start)


def _write_short(axes: Axes, part: pd.DataFrame, start: float) -> None:
    """Write values whose bars are shorter than SHORT of the axis, and those that are missing."""
    value = part["value"].to_numpy(dtype=float)
    short = np.abs(value - start) < SHORT * np.ptp(axes.get_xlim())
    ends = part[["value", "high"]].max(axis=1).fillna(start).clip(lower=start)
    digits = 3 if start else 2  # near an AUC of 0.5 two would all be 0.5
    for place in np.flatnonzero(np.isnan(value) | short):
        style.mark(axes, ends.iloc[place], place, value[place], digits)


def _labels(table: pd.DataFrame) -> list[str]:
    """The names of the methods, marked where they have one training seed and others more."""
    seeds = table.assign(seeds=table.get("seeds", 1)).groupby("method", sort=False)["seeds"].max()
    marks = np.where((seeds == 1) & (seeds.max() > 1), f" {ONE_SEED}", "")
    return [style.method(name).name + mark for name, mark in zip(seeds.index, marks, strict=True)]


def label_recovery(table: pd.DataFrame) -> Figure:
    """Share of a cohort's findings that can be read in its reports, one stacked bar per finding.

    `table`: columns finding, present (ECGs), read, doubted (percent of those ECGs) and precision
    (0 to 1, a dot where it is below 0.995); drawn from the top in the order given, in two columns
    of equal length.
    """
    table = table.assign(missing=100 - table["read"] - table["doubted"])
    rows = -(-len(table) // 2)
    with style.canvas(style.DOUBLE, 0.9 + 0.14 * rows) as figure:
        whole = figure.subfigures()  # its label keeps off the stamp, which a figure's does not
        for i, axes in enumerate(whole.subplots(1, 2, sharex=True)):
            part = table.iloc[i * rows : (i + 1) * rows]
            y, left = np.arange(len(part)), np.zeros(len(part))
            for name, (colour, hatch, label) in PARTS.items():
                axes.barh(y, part[name], 0.78, left, color=colour, label=label, **_fill(hatch))
                left = left + part[name].to_numpy()
            precision = 100 * part["precision"]
            precision = precision.where(precision < 99.5)  # at 100 it would hide the bar's end
            dots = {"color": style.ACCENT, "ms": 3, "label": "Precision below 99.5 %"}
            axes.plot(precision, y, "o", zorder=3, **dots)
            pairs = zip(part["finding"], part["present"], strict=True)
            names = [f"{shorten(name)} ({present})" for name, present in pairs]
            axes.set_yticks(y, names)
            axes.tick_params(axis="y", length=0)
            axes.set(xlim=(0, 100), ylim=(rows - 0.4, -0.6))
        whole.supxlabel("Percent", size=8)
        style.legend(figure, axes, ncols=4)
    return figure
