"""Findings that the tokens lost (left), and those they hold that no report states (right, low)."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ecglib.figures import style

LOST, UNSAID, OTHER = "lost in the tokens", "never said", "other"
READINGS = {LOST: ("s", style.BLACK), UNSAID: ("v", style.ACCENT), OTHER: ("o", style.LIGHT_GREY)}
FLOOR = 1e-3  # 1 - AUC; smaller values are drawn here
TICKS = {0.5: "0.5", 0.3: "0.7", 0.1: "0.9", 0.03: "0.97", 0.01: "0.99", FLOOR: "≥ 0.999"}
NAMED, LINE = 12, 0.055  # names at most; share of the height between two of them
ENDS, BARS = ["value", "low", "high"], {"fmt": "none", "ecolor": "#DDDDDD", "elinewidth": 0.6}


def lost_or_unsaid(table: pd.DataFrame) -> Figure:
    """One point per finding: AUC from the tokens against recall, and against precision, in reports.

    `table`: columns name, positives, reading (a key of READINGS), and auc, recall and precision,
    each with its interval (`auc_low`, `auc_high`). The area grows with the positives. Findings
    whose reading is not "other" are named. A missing precision is not drawn.
    """
    style.require(table["reading"].unique(), READINGS, "READINGS")
    x = (1 - table[["auc", "auc_high", "auc_low"]]).clip(lower=FLOOR).set_axis(ENDS, axis=1)
    points = table.assign(x=x["value"], size=8 + 60 * table["positives"] / table["positives"].max())
    with style.canvas(style.DOUBLE, 3.5) as figure:
        panels = figure.subplots(1, 2, sharex=True, sharey=True)
        for axes, measure in zip(panels, ("recall", "precision"), strict=True):
            y = table[[measure, f"{measure}_low", f"{measure}_high"]].set_axis(ENDS, axis=1)
            axes.errorbar(x["value"], y["value"], style.interval(y), style.interval(x), **BARS)
            points["y"] = y["value"]
            for reading, (marker, colour) in READINGS.items():
                dots, look = points[points["reading"] == reading], {"lw": 0, "label": reading}
                look |= {"marker": marker, "color": colour, "alpha": 0.8, "zorder": 3}
                axes.scatter(dots["x"], dots["y"], dots["size"], **look)
            named = points[(points["reading"] != OTHER) & points["y"].notna()]
            _write_names(axes, named.nlargest(NAMED, "positives").sort_values("y"))
            axes.set(xscale="log", xlim=(max(0.6, 1.2 * points["x"].max()), 0.7 * FLOOR))
            axes.set_xticks([], minor=True)
            axes.set_xticks(list(TICKS), list(TICKS.values()))
            axes.set(xlabel="AUC of the probe on the tokens", ylim=(-0.06, 1.06))
            axes.set_ylabel(f"{measure.title()} in the reports")
        style.panel_letters(*panels)
        style.legend(figure, panels[0], ncols=len(READINGS))
    return figure


def _write_names(axes: Axes, points: pd.DataFrame) -> None:
    """Names beside their points, from the bottom up, each at least a line above the last."""
    height = -1.0
    for place, row in enumerate(points.itertuples(), start=1):
        room = 1.04 - LINE * (len(points) - place)  # below the names that are still to come
        height, is_left = min(max(row.y, height + LINE), room), row.reading == LOST
        line = {"arrowstyle": "-", "lw": 0.4, "color": style.GREY, "relpos": (1 - is_left, 0.5)}
        text = {"xytext": (row.x * (0.7 if is_left else 1.4), height), "va": "center", "size": 7}
        text |= {"ha": "left" if is_left else "right", "arrowprops": line}
        axes.annotate(row.name, (row.x, row.y), **text)
