"""Errors of a cardiologist's measurements after a tokenizer: by quantity, and by condition."""

from textwrap import fill

import numpy as np
import pandas as pd
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ecglib.figures import bars, style

TITLES = {
    "heart_rate": "Heart rate (1/min)",
    "pr": "PR interval (ms)",
    "qrs_duration": "QRS duration (ms)",
    "qt": "QT interval (ms)",
    "r_amplitude": "R amplitude (mV)",
    "t_amplitude": "T amplitude (mV)",
    "st_level": "ST level (mV)",
}
SHORT = {"pr": "PR", "qrs_duration": "QRS", "qt": "QT", "r_amplitude": "R", "st_level": "ST"}
KEY = (
    {"ls": "", "marker": "|", "ms": 6, "mew": 1.2, "label": "Error of those kept"},
    {"ls": "--", "lw": 0.8, "label": "Margin"},
)
KEY_PLACE = {"loc": "outside upper right", "ncols": 2}
SCALE = (0.25, 0.5, 1.0, 2.0, 4.0)  # margins; of the colours, logarithmic


def by_quantity(table: pd.DataFrame, margins: dict[str, float]) -> Figure:
    """Mean absolute error with its interval, one panel per quantity; and the PR that are lost.

    A black tick marks the error of the measurements that are kept.

    `table`: columns method, quantity (of TITLES), value, low, high, kept, and lost, lost_low,
    lost_high (%). `margins`: quantity -> dashed line.
    """
    lost = table[table["quantity"] == "pr"]
    ends = {"value": lost["lost"], "low": lost["lost_low"], "high": lost["lost_high"]}
    lost = lost.assign(quantity="lost", **ends)
    long = pd.concat([table, lost]).rename(columns={"quantity": "metric"})
    titles = TITLES | {"lost": "PR lost (%)"}
    label = "Mean absolute error in the unit of the panel (last panel: share of ECGs with a PR)"
    figure = bars.methods(long, titles, 4, label, margins, one_scale=False)
    for axes, quantity in zip(figure.axes, TITLES, strict=False):
        kept = table[table["quantity"] == quantity].set_index("method")["kept"]
        kept = kept.reindex(table["method"].unique())
        axes.scatter(kept, range(len(kept)), 40, "black", "|", linewidths=1.2, zorder=3)
        axes.set_xlim(0, np.nanmax([axes.get_xlim()[1], 1.05 * kept.max()]))
    with style.sheet():
        figure.legend(handles=[Line2D([], [], color="black", **look) for look in KEY], **KEY_PLACE)
    return figure


def by_condition(table: pd.DataFrame, margins: dict[str, float]) -> Figure:
    """Heat map: error over its margin, by condition (rows), in one panel per method.

    The scale of the colours is logarithmic: red above the margin, blue below it. A dot marks an
    error above the margin, grey a condition in which nothing could be measured.

    `table`: columns method, condition, quantity (of SHORT), value and ecgs (with a measurement,
    of which the most stand beside the condition); conditions from the top.
    """
    names, conditions = list(table["method"].unique()), list(table["condition"].unique())
    ecgs = table.groupby("condition")["ecgs"].max()
    table = table.assign(share=table["value"] / table["quantity"].map(margins))
    with style.canvas(style.DOUBLE, 0.8 + 0.125 * len(conditions)) as figure:
        panels = figure.subplots(1, len(names), sharey=True, squeeze=False)[0]
        for axes, name in zip(panels, names, strict=True):
            part = table[table["method"] == name]
            grid = part.pivot_table(index="condition", columns="quantity", values="share")
            grid = grid.reindex(index=conditions, columns=list(SHORT)).to_numpy()
            axes.set_facecolor("#DDDDDD")
            visible = np.clip(grid, SCALE[0], None)  # a logarithm has no place for zero
            image = axes.imshow(visible, cmap="RdYlBu_r", norm=LogNorm(*SCALE[::4]), aspect="auto")
            y, x = np.nonzero(grid > 1)
            axes.scatter(x, y, s=3, c=np.where(grid[y, x] > 3, "white", "black"), linewidths=0)
            axes.set_xticks(range(len(SHORT)), SHORT.values(), rotation=90)
            axes.set_title(fill(style.method(name).name, 8, break_on_hyphens=False))
            axes.tick_params(length=0)
            axes.spines[:].set_visible(False)
        panels[0].set_yticks(
            range(len(conditions)), [f"{fill(name, 40)} ({ecgs[name]})" for name in conditions]
        )
        ticks = {"ticks": SCALE, "format": "{x:g}"}
        bar = figure.colorbar(image, ax=panels, shrink=0.4, aspect=25, extend="both", **ticks)
        bar.minorticks_off()
        bar.set_label("Mean absolute error / margin")
    return figure
