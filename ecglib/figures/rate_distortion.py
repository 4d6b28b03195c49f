"""Rate and distortion: errors of tokenizers against what an ECG costs, as a curve per method."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ecglib.figures import style

QUANTITIES = {"mae_mv": "Mean absolute error", "qrs_mv": "QRS error", "st_mv": "ST error"}
COSTS = {
    "bits_per_second": "Bits per second",
    "tokens_per_ecg": "Tokens that a language model reads per ECG",
}
PANELS = (  # error, cost: two costs of one error side by side, and the errors where waves are
    ("mae_mv", "bits_per_second"),
    ("mae_mv", "tokens_per_ecg"),
    ("qrs_mv", "bits_per_second"),
    ("st_mv", "bits_per_second"),
)
BOUNDS = {"flat": ("Flat line", (0, (1, 1))), "unquantised": ("Latents, not quantised", "-")}


def curves(table: pd.DataFrame, bounds: pd.DataFrame) -> Figure:
    """The panels of PANELS: an error against a cost, both on log axes.

    Args:
        table: columns method, quantity (of QUANTITIES), bits_per_second, tokens_per_ecg, value,
            low, high (mV).
        bounds: columns method (of BOUNDS), quantity, value; lines across the panels.
    """
    style.require(["method", "quantity", *COSTS, "value", "low", "high"], table, "the table")
    with style.canvas(style.DOUBLE, 4.6) as figure:
        panels = figure.subplots(2, 2).ravel()
        for axes, (quantity, cost) in zip(panels, PANELS, strict=True):
            _panel(axes, table[table["quantity"] == quantity], cost)
            for bound in bounds[bounds["quantity"] == quantity].itertuples():
                label, dashes = BOUNDS[bound.method]
                level = 1000 * bound.value
                axes.axhline(level, color=style.GREY, lw=1, ls=dashes, label=label, zorder=1)
            axes.set(title=QUANTITIES[quantity], xlabel=COSTS[cost], ylabel="Error (µV)")
        style.panel_letters(*panels)
        style.legend(figure, panels[0], ncols=7)
    return figure


def _panel(axes: Axes, table: pd.DataFrame, cost: str) -> None:
    """One error against one cost."""
    for method, part in table.groupby("method", sort=False):
        look, part = style.method(method), part.sort_values(cost)
        lines = {"color": look.colour, "ls": look.linestyle, "lw": 1, "label": look.name}
        marks = {"marker": look.marker, "ms": 4, "fillstyle": "none", "elinewidth": 0.8}
        reach = 1000 * style.interval(part)
        axes.errorbar(part[cost], 1000 * part["value"], reach, **lines, **marks)
    axes.set(xscale="log", yscale="log")
    style.plain_log(axes.xaxis, (1,))
    style.plain_log(axes.yaxis)
    axes.grid(True)
