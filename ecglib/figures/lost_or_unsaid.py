"""Findings that are hard to read (left), and others that few reports state (right, low)."""

from textwrap import fill

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke

from ecglib.figures import style

HARD, UNSAID, OTHER = "hard to read", "stated in under half", "stated in half or more"
READINGS = {HARD: ("s", style.BLACK), UNSAID: ("v", style.ACCENT), OTHER: ("o", style.LIGHT_GREY)}
FLOOR = 1e-3  # 1 - AUC; smaller values are drawn here
TICKS = {0.5: "0.5", 0.2: "0.8", 0.1: "0.9", 0.03: "0.97", 0.01: "0.99", FLOOR: "≥ 0.999"}
NAMED = 16  # findings with a number and a name, at most; those that reports state least
ROOM = 36  # letters of a name in one line
WIDE = 4.5  # points of print that a digit takes
SIDES = [(1, 0.4), (1, -0.4), (-1, 0.4), (-1, -0.4), (0, 1), (0, -1), (1, 1.2), (-1, 1.2), (2, 0)]
ENDS, BARS = ["value", "low", "high"], {"fmt": "none", "ecolor": "#DDDDDD", "elinewidth": 0.6}


def lost_or_unsaid(table: pd.DataFrame) -> Figure:
    """One point per finding: AUC from the tokens against recall, and against precision, in reports.

    `table`: columns name, positives, reading (a key of READINGS), and auc, recall and precision,
    each with its interval (`auc_low`, `auc_high`). The area grows with the positives. The findings
    of the lowest recall have numbers and names, those stated in half or more never. A missing
    precision is not drawn.
    """
    style.require(table["reading"].unique(), READINGS, "READINGS")
    x = (1 - table[["auc", "auc_high", "auc_low"]]).clip(lower=FLOOR).set_axis(ENDS, axis=1)
    most = table["positives"].max()
    points = table.assign(x=x["value"], size=_area(table["positives"], most))
    named = points[points["reading"] != OTHER].nsmallest(NAMED, "recall")
    named = named.sort_values(["reading", "recall"], ascending=[True, False], ignore_index=True)
    with style.canvas(style.DOUBLE, 3.3) as figure:
        *panels, names = figure.subplots(1, 3, width_ratios=[1, 1, 0.8])
        panels[1].sharey(panels[0])
        for axes, measure in zip(panels, ("recall", "precision"), strict=True):
            y = table[[measure, f"{measure}_low", f"{measure}_high"]].set_axis(ENDS, axis=1)
            axes.errorbar(x["value"], y["value"], style.interval(y), style.interval(x), **BARS)
            for reading, (marker, colour) in READINGS.items():
                dots = points[points["reading"] == reading]
                look = {"marker": marker, "color": colour, "alpha": 0.8, "zorder": 3, "lw": 0}
                axes.scatter(dots["x"], dots[measure], dots["size"], **look)
            lowest = 1.3 * np.nanmax(x)
            axes.set(xscale="log", xlim=(lowest, 0.7 * FLOOR), ylim=(-0.06, 1.06))
            axes.set_xticks([], minor=True)
            ticks = {place: name for place, name in TICKS.items() if place < lowest}
            axes.set_xticks(list(ticks), list(ticks.values()))
            axes.set_xlabel("AUC in decoded ECGs\n(log scale of 1 - AUC)")
            axes.set_ylabel(f"{measure.title()} in the reports")
        names.axis("off")
        lines = [f"{row.Index + 1}  {row.name}" for row in named.itertuples()]
        key = "\n".join(fill(line, ROOM, subsequent_indent=4 * " ") for line in lines)
        names.text(0, 1, key, va="top", size=7, linespacing=1.4)
        style.panel_letters(*panels)
        drawn = [name for name in READINGS if name in set(points["reading"])]
        marks = [Line2D([], [], ls="", marker=m, color=c) for m, c in map(READINGS.get, drawn)]
        called = [name.capitalize() for name in drawn]
        figure.legend(marks, called, loc="outside upper right", ncols=len(drawn))
        figure.legend(*_sizes(table["positives"]), loc="outside lower left", ncols=4)
        figure.draw_without_rendering()  # from here on the panels have their sizes
        for axes, measure in zip(panels, ("recall", "precision"), strict=True):
            number_apart(axes, named[["x", measure]].dropna(), points[["x", measure]].dropna())
    return figure


def _area(positives: pd.Series, most: float) -> pd.Series:
    """The area of a mark in square points of print."""
    return 8 + 60 * positives / most


def _sizes(positives: pd.Series) -> tuple[list[Line2D], list[str]]:
    """Marks and names of the least, the median and the largest number of positives."""
    numbers = positives.quantile([0, 0.5, 1], interpolation="nearest").drop_duplicates()
    look = {"ls": "", "marker": "o", "color": style.BLACK, "fillstyle": "none"}
    marks = [Line2D([], [], ms=area**0.5, **look) for area in _area(numbers, positives.max())]
    names = [f"{number:.0f}" for number in numbers]
    return [Line2D([], [], ls=""), *marks], ["ECGs with the finding:", *names]


def number_apart(axes: Axes, named: pd.DataFrame, points: pd.DataFrame) -> None:
    """Write at each named point its index + 1, on the side where the number covers the fewest
    points and, above all, no number before it. Both tables have the columns x and y."""
    scale = 72 / axes.figure.dpi  # pixels to points of print
    marks, numbers = scale * axes.transData.transform(points.to_numpy()), np.empty((0, 3))
    for index, place in named.iterrows():
        half = WIDE * len(str(index + 1)) / 2
        at = scale * axes.transData.transform(place.to_numpy())
        middles = at + np.array(SIDES) * (half + 4, 8)
        gaps = np.abs(np.vstack([marks, numbers[:, :2]]) - middles[:, None])  # (sides, all, 2)
        widths = np.r_[np.full(len(marks), 3.0), numbers[:, 2]] + half
        costs = np.repeat([3, 10], [len(marks), len(numbers)])  # of covering one
        covered = (gaps[..., 0] < widths) & (gaps[..., 1] < 7)
        best = middles[(covered @ costs).argmin()]
        numbers = np.vstack([numbers, [*best, half]])
        look = {"xytext": best - at, "textcoords": "offset points", "size": 7, "zorder": 4}
        line = {"arrowstyle": "-", "lw": 0.5, "shrinkA": 0, "shrinkB": 1}
        look |= {"ha": "center", "va": "center", "arrowprops": line}
        number = axes.annotate(str(index + 1), place, **look)
        number.set_path_effects([withStroke(linewidth=1.5, foreground="white")])
