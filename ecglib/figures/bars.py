"""Metrics with intervals: AUC by category as dots, metrics by method and labels read as bars."""

from textwrap import fill

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from ecglib.figures import forest, style

PAGE = 8.0  # inches, the most that dots take
MANY = 9  # methods, up to which one panel fits a column
WHISKER = {
    "fmt": "none",
    "ecolor": "black",
    "elinewidth": 0.8,
    "path_effects": [withStroke(linewidth=2.0, foreground="white")],  # visible on dark bars
}
PARTS = {  # column: colour, hatch, name
    "read": (style.GREY, "", "Read as present"),
    "doubted": (style.LIGHT_GREY, "////", "Read as uncertain"),
    "missing": ("#EEEEEE", "", "Not read in the report"),
}


def grouped(table: pd.DataFrame, baseline: float) -> Figure:
    """AUC of every method in every category: dots with intervals, one row per category.

    The axis is logarithmic in 1 - AUC and labelled in AUC, so that 0.98 and 0.99 are as far apart
    as 0.80 and 0.90. An AUC of 1 is drawn on the right edge, a missing one as "n/a".

    `table`: columns method, category, value, low, high, and optionally `panel` (a panel's title);
    all in order of appearance. `baseline` draws a dashed line, the level of chance.
    """
    groups, names = list(table["category"].unique()), list(table["method"].unique())
    panels = table.groupby("panel", sort=False) if "panel" in table else [("", table)]
    width = style.COLUMN if len(panels) == 1 and len(names) <= MANY else style.DOUBLE
    line = min(0.09, (PAGE / len(groups) - 0.14) / len(names))
    with style.canvas(width, 0.8 + len(groups) * (0.14 + line * len(names))) as figure:
        grid = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
        for axes, (title, part) in zip(grid, panels, strict=True):
            dots(axes, part, groups, names, baseline)
            axes.set_title(title)
        grid[0].set_yticks(range(len(groups)), [fill(str(name), 16) for name in groups])
        grid[0].set_ylim(len(groups) - 0.5, -0.5)
        style.panel_letters(*grid if len(grid) > 1 else [])
        ncols = 3 if width == style.COLUMN else 5 if len(names) == 5 else 4
        style.legend(figure, grid[0], ncols=ncols)
    return figure


def limits(table: pd.DataFrame, baseline: float, of_values: bool = False) -> tuple[float, float]:
    """The largest and the least 1 - AUC that the logarithmic axis of `dots` shows.

    With `of_values` the values alone decide on the least one, and intervals may reach the edge.
    """
    lost = 1 - table[["value", "low", "high"]].to_numpy(dtype=float)
    worst = 1.1 * np.nanmax(lost, initial=1 - baseline)
    if of_values:
        return worst, max(1e-4, 0.5 * np.nanmin(lost[:, 0], initial=0.1, where=lost[:, 0] > 0))
    return worst, 0.8 * np.nanmin(lost, initial=0.1, where=lost > 0)


def dots(
    axes: Axes,
    table: pd.DataFrame,
    groups: list[str],
    names: list[str],
    baseline: float,
    ends: tuple[float, float] | None = None,
    size: float = 4,
) -> None:
    """One panel of `grouped`; `ends` of the axis are those of `limits`, for several panels."""
    worst, edge = ends or limits(table, baseline)
    for i in range(1, len(groups), 2):
        axes.axhspan(i - 0.5, i + 0.5, color="#F2F2F2", lw=0, zorder=0)
    for i, name in enumerate(names):
        part = table[table["method"] == name].set_index("category").reindex(groups)
        x, low, high = (np.clip(1 - part[k], edge, None) for k in ("value", "low", "high"))
        y = np.arange(len(groups)) + (i - (len(names) - 1) / 2) * 0.72 / len(names)
        look, reach = style.method(name), np.nan_to_num([x - high, low - x]).clip(0)
        points = {"fmt": look.marker, "color": look.colour, "ms": size, "elinewidth": 0.275 * size}
        points["fillstyle"] = look.fillstyle
        axes.errorbar(x, y, xerr=reach, label=look.name, clip_on=False, **points)
        for place in y[part["value"].isna()]:
            _mark(axes, worst, place, np.nan)
    axes.axvline(1 - baseline, color="black", lw=0.6, ls="--", zorder=1)
    parts = (1,) if worst > 100 * edge else (5, 2, 1)
    ticks = {1 - baseline, *(part / 10**power for power in range(1, 6) for part in parts)}
    ticks = [tick for tick in sorted(ticks) if edge <= tick <= worst]
    axes.set(xscale="log", xlim=(worst, edge), xlabel="AUC (log scale of 1 - AUC)")
    axes.set_xticks(ticks, [f"{1 - tick:g}" for tick in ticks])
    axes.xaxis.set_minor_formatter("")
    axes.tick_params(axis="y", length=0)
    axes.grid(True, axis="x")


def _fill(hatch: str | list[str]) -> dict:
    return {"hatch": hatch, "edgecolor": "white", "linewidth": 0}


def _mark(axes: Axes, x: float, y: float, value: float) -> None:
    """Text where a bar or dot would not be seen: a black 0, or a grey "n/a" for no value."""
    text, colour = ("n/a", style.GREY) if np.isnan(value) else (f"{value:g}", style.BLACK)
    offset = {"xytext": (3, 0), "textcoords": "offset points", "va": "center"}
    axes.annotate(text, (x, y), **offset, size=7, color=colour)


def methods(
    table: pd.DataFrame,
    metrics: dict[str, str],
    ncols: int = 3,
    xlabel: str = "",
    baseline: dict[str, float] | None = None,
    differences: pd.DataFrame | None = None,
    difference_label: str = "Paired difference",
) -> Figure:
    """One panel per metric, one horizontal bar per method, with intervals; one scale for all.

    `table`: columns method, metric, value, low, high; `metrics`: column value -> panel title. The
    order of methods is that of first appearance, from the top. A zero is written as 0, a missing
    value as "n/a". `baseline` draws a dashed line in the panels of some metrics (the level of
    chance, for instance). `differences` (columns name, value, low, high) adds a panel below, with
    a scale of its own and a line at zero.
    """
    names = list(table["method"].unique())
    looks = [style.method(name) for name in names]
    ncols = min(ncols, len(metrics))
    nrows = -(-len(metrics) // ncols)
    heights = [nrows * (0.55 + 0.2 * len(names)) + 0.15]
    if differences is not None:
        heights.append(0.5 + 0.24 * differences["name"].nunique())
    width = style.COLUMN if ncols == 1 else style.DOUBLE
    with style.canvas(width, sum(heights)) as figure:
        grid = figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)
        upper, *lower = grid[:, 0]
        panels = upper.subplots(nrows, ncols, sharex=True, sharey=True, squeeze=False)
        for axes, (metric, label) in zip(panels.ravel(), metrics.items(), strict=False):
            part = table[table["metric"] == metric].set_index("method").reindex(names)
            value, y = part["value"].to_numpy(dtype=float), np.arange(len(names))
            colours, hatches = [look.colour for look in looks], [look.hatch for look in looks]
            axes.barh(y, np.nan_to_num(value), 0.72, color=colours, **_fill(hatches))
            axes.errorbar(value, y, xerr=style.interval(part), **WHISKER)
            for place in y[np.isnan(value) | (value == 0)]:
                _mark(axes, np.nan_to_num(part["high"].iloc[place]), place, value[place])
            if metric in (baseline or {}):
                axes.axvline(baseline[metric], color="black", lw=0.8, ls="--")
            axes.set_title(label)
            axes.set_yticks(y, [look.name for look in looks])
            axes.tick_params(axis="y", length=0)
            axes.tick_params(axis="x", labelbottom=True)
            axes.grid(True, axis="x")
        panels[0, 0].invert_yaxis()
        panels[0, 0].set_xlim(left=0)
        upper.supxlabel(xlabel, size=8)
        for axes in panels.ravel()[len(metrics) :]:
            axes.set_visible(False)
        letters = list(panels.ravel()[: len(metrics)])
        for part in lower:
            letters.append(part.subplots())
            forest.panel(letters[-1], differences)
            letters[-1].set_xlabel(difference_label)
        style.panel_letters(*letters if len(letters) > 1 else [])
    return figure


def label_recovery(table: pd.DataFrame, title: str = "") -> Figure:
    """Share of a cohort's findings that can be read in its reports, one stacked bar per finding.

    `table`: columns finding, present (ECGs), read, doubted (percent of those ECGs) and precision
    (0 to 1, a dot); drawn from the top in the order given, in two columns of equal length.
    """
    table = table.assign(missing=100 - table["read"] - table["doubted"])
    rows = -(-len(table) // 2)
    with style.canvas(style.DOUBLE, 0.9 + 0.14 * rows, title) as figure:
        for i, axes in enumerate(figure.subplots(1, 2, sharex=True)):
            part = table.iloc[i * rows : (i + 1) * rows]
            y, left = np.arange(len(part)), np.zeros(len(part))
            for name, (colour, hatch, label) in PARTS.items():
                axes.barh(y, part[name], 0.78, left, color=colour, label=label, **_fill(hatch))
                left = left + part[name].to_numpy()
            dots = {"color": style.ACCENT, "ms": 3, "label": "Precision", "clip_on": False}
            axes.plot(100 * part["precision"], y, "o", zorder=3, **dots)
            names = [f"{n} ({k})" for n, k in zip(part["finding"], part["present"], strict=True)]
            axes.set_yticks(y, names)
            axes.tick_params(axis="y", length=0)
            axes.set(xlim=(0, 100), ylim=(rows - 0.4, -0.6), xlabel="Percent")
        style.legend(figure, axes, ncols=4)
    return figure
