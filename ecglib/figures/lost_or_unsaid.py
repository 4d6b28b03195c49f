"""Findings that the tokens lost (left), and those they hold that no report states (right, low)."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ecglib.figures import style

READINGS = {  # marker, colour
    "lost in the tokens": ("s", style.BLACK),
    "never said": ("v", style.ACCENT),
    "other": ("o", style.LIGHT_GREY),
}
FLOOR = 1e-3  # 1 - AUC; smaller values are drawn here
TICKS = {0.5: "0.5", 0.3: "0.7", 0.1: "0.9", 0.03: "0.97", 0.01: "0.99", FLOOR: "≥ 0.999"}
LINE = 0.055  # of the height, between two names


def lost_or_unsaid(table: pd.DataFrame) -> Figure:
    """One point per finding: AUC from the tokens against recall, and against precision, in reports.

    `table`: columns name, positives, reading (a key of READINGS), and auc, recall and precision,
    each with its interval (`auc_low`, `auc_high`). The area grows with the positives. Names are
    written at the points whose reading is not "other". A missing precision is not drawn.
    """
    style.require(table["reading"].unique(), READINGS, "READINGS")
    table = table.assign(
        x=1 - table["auc"], x_low=1 - table["auc_high"], x_high=1 - table["auc_low"]
    )
    table[["x", "x_low", "x_high"]] = table[["x", "x_low", "x_high"]].clip(lower=FLOOR)
    table["size"] = 8 + 60 * table["positives"] / table["positives"].max()
    with style.canvas(style.DOUBLE, 3.5) as figure:
        panels = figure.subplots(1, 2, sharex=True, sharey=True)
        for axes, measure in zip(panels, ("recall", "precision"), strict=True):
            part = table.dropna(subset=measure).sort_values(measure)
            bars = {"fmt": "none", "ecolor": "#DDDDDD", "elinewidth": 0.6}
            ends = _interval(part, measure), _interval(part, "x")
            axes.errorbar(part["x"], part[measure], *ends, **bars)
            for reading, (marker, colour) in READINGS.items():
                dots = part[part["reading"] == reading]
                look = {"s": dots["size"], "marker": marker, "color": colour, "label": reading}
                axes.scatter(dots["x"], dots[measure], **look, alpha=0.8, lw=0, zorder=3)
            _write_names(axes, part[part["reading"] != "other"], measure)
            axes.set(xscale="log", xlim=(max(0.6, 1.2 * table["x"].max()), 0.7 * FLOOR))
            axes.set_xticks([], minor=True)
            axes.set_xticks(list(TICKS), list(TICKS.values()))
            axes.set(xlabel="AUC of the probe on the tokens", ylim=(-0.06, 1.06))
            axes.set_ylabel(f"{measure.title()} in the reports")
        style.panel_letters(*panels)
        style.legend(figure, panels[0], ncols=len(READINGS))
    return figure


def _interval(table: pd.DataFrame, name: str) -> np.ndarray:
    columns = {name: "value", f"{name}_low": "low", f"{name}_high": "high"}
    return style.interval(table[list(columns)].rename(columns=columns))


def _write_names(axes: Axes, table: pd.DataFrame, measure: str) -> None:
    """Names beside their points, from the bottom up, each at least a line above the last."""
    line = {"arrowprops": {"arrowstyle": "-", "lw": 0.4, "color": style.GREY}, "va": "center"}
    height = -1.0
    for place, row in enumerate(table.itertuples(), start=1):
        room = 1.04 - LINE * (len(table) - place)  # below the names that are still to come
        height = min(max(getattr(row, measure), height + LINE), room)
        ha, times = ("left", 1 / 1.5) if row.reading == "lost in the tokens" else ("right", 1.5)
        text = {"xytext": (row.x * times, height), "ha": ha, "size": 7}
        axes.annotate(row.name, (row.x, getattr(row, measure)), **text, **line)
