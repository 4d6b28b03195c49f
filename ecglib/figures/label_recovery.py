"""What of the findings of a cohort can be read in its reports: one bar a finding."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ecglib.figures import style

PARTS = {  # column: colour, hatch, name
    "read": (style.SKY, "", "Read as present"),
    "doubted": (style.ORANGE, "////", "Read as uncertain"),
    "missing": ("#EEEEEE", "", "Not read in the report"),
}


def shares(table: pd.DataFrame, title: str = "") -> Figure:
    """Stacked bars of percent, and precision as a dot, in two columns of equal length.

    `table`: columns finding, present (ECGs), read, doubted (percent of those ECGs) and precision
    (0 to 1); drawn from the top in the order given.
    """
    table = table.assign(missing=100 - table["read"] - table["doubted"])
    rows = -(-len(table) // 2)
    with style.sheet():
        figure = style.new_figure(style.DOUBLE, 1.05 + 0.135 * rows)
        for i, axes in enumerate(figure.subplots(1, 2, sharex=True)):
            part = table.iloc[i * rows : (i + 1) * rows]
            y, left = np.arange(len(part)), np.zeros(len(part))
            for name, (colour, hatch, label) in PARTS.items():
                look = dict(color=colour, hatch=hatch, edgecolor="white", linewidth=0, label=label)
                axes.barh(y, part[name], 0.78, left=left, **look)
                left = left + part[name].to_numpy()
            dots = dict(color="black", ms=2.4, label="Precision", clip_on=False, zorder=3)
            axes.plot(100 * part["precision"], y, "o", **dots)
            names = [f"{n} ({k})" for n, k in zip(part["finding"], part["present"], strict=True)]
            axes.set_yticks(y, names, size=5.5)
            axes.tick_params(axis="y", length=0)
            axes.set(xlim=(0, 100), ylim=(rows - 0.4, -0.6), xlabel="Percent")
        handles, labels = axes.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=4)
        figure.suptitle(title, size=8, x=0.01, ha="left")
    return figure
