"""A bar per word piece of one report: attention in two views, and what the piece depends on."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ecglib.figures import style

PANELS = {  # column -> label of its axis
    "received": "Received in\nits block",
    "to_ecg": "Given to\nthe ECG",
    "dependence": "Dependence\n(nats)",
}


def report(table: pd.DataFrame, method: str, title: str = "") -> Figure:
    """Three panels of bars, one above the other, over the pieces of a prompt and of a report.

    `table`: columns text, block (prompt, report or end), received, to_ecg, even (drawn as dashes
    over to_ecg) and dependence, in the order of the text. Bars of the prompt are grey. A missing
    value has a grey field: a prompt is not written, and the last piece of a report is not read.
    """
    style.require(["text", "block", "even", *PANELS], table, "the table")
    look, x = style.method(method), np.arange(len(table))
    is_prompt = (table["block"] == "prompt").to_numpy()
    colours = np.where(is_prompt, style.GREY, look.colour)
    with style.canvas(style.DOUBLE, 4.4, title) as figure:
        panels = figure.subplots(len(PANELS), 1, sharex=True)
        for axes, (column, label) in zip(panels, PANELS.items(), strict=True):
            axes.bar(x, table[column], 0.75, color=colours)
            for place in x[table[column].isna()]:
                axes.axvspan(place - 0.5, place + 0.5, color=style.GREY, alpha=0.15, lw=0)
            axes.axvline(is_prompt.sum() - 0.5, color="black", lw=0.6, ls=":")
            axes.set_ylabel(label)
            axes.grid(True, axis="y")
        dashes = {"marker": "_", "ms": 5, "ls": "", "color": style.ACCENT}
        panels[1].plot(x, table["even"], label="Share of the positions", **dashes)
        style.legend(figure, panels[1], ncols=1)
        panels[2].axhline(0, color="black", lw=0.6)
        pieces = [text.strip() or "\u00b7" for text in table["text"]]
        panels[-1].set_xticks(x, pieces, rotation=90)
        panels[-1].tick_params(axis="x", length=0)
        panels[-1].set_xlim(-0.7, len(table) - 0.3)
        style.panel_letters(*panels)
    return figure
