"""Error of a noisy ECG against the error of what a tokenizer makes of it, by kind of noise."""

import pandas as pd
from matplotlib.figure import Figure

from ecglib.figures import style


def by_kind(table: pd.DataFrame) -> Figure:
    """One panel per kind of noise, both axes logarithmic; below the diagonal noise is removed.
    `table`: columns kind, snr, method, input, value, low, high: errors to the clean ECG in mV."""
    kinds = list(table["kind"].unique())
    limits = 0.8e3 * table["input"].min(), 1.25e3 * table["input"].max()
    least = min(limits[0], 0.8e3 * table["low"].min())
    with style.canvas(style.DOUBLE, 2.5) as figure:
        whole = figure.subfigures()  # its label keeps off the stamp, which a figure's does not
        panels = whole.subplots(1, len(kinds), sharex=True, sharey=True, squeeze=False)[0]
        for axes, kind in zip(panels, kinds, strict=True):
            axes.plot(limits, limits, color="black", lw=0.7, ls="--", label="No change")
            for name, part in table[table["kind"] == kind].groupby("method", sort=False):
                part, look = part.sort_values("input"), style.method(name)
                line = {"color": look.colour, "ls": look.linestyle, "lw": 1, "label": look.name}
                line |= {"marker": look.marker, "ms": 3.5, "elinewidth": 0.6}
                reach = 1000 * style.interval(part)
                axes.errorbar(1000 * part["input"], 1000 * part["value"], reach, **line)
            axes.set(xscale="log", yscale="log", title=kind.capitalize())
            ticks = [t for t in (5, 10, 20, 50, 100, 200, 500) if least <= t <= limits[1]]
            across = [t for t in ticks if t >= limits[0]]
            axes.set_xticks(across, [f"{t:g}" for t in across])
            axes.set_yticks(ticks, [f"{t:g}" for t in ticks])
            axes.minorticks_off()
            axes.grid(True)
        panels[0].set_ylabel("Error of the output (µV)")
        whole.supxlabel("Error of the noisy input (µV)", size=8)
        style.panel_letters(*panels)
        style.legend(figure, panels[0], ncols=7)
    return figure
