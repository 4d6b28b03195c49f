"""Simulated ECGs beside real ones: amplitudes, spectra and intervals.

Everything is drawn from quantiles over ECGs (5, 25, 50, 75, 95 %), so no recording is needed.
"""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from ecglib.figures import style
from ecglib.signals.leads import LEADS

QUANTILES = ["q05", "q25", "q50", "q75", "q95"]
COLUMNS = ("source", "view", "lead", "of", *QUANTILES)
# In the order in which the sources appear: colour, marker, line.
LOOKS = ((style.BLACK, "o", "-"), (style.ACCENT, "s", "--"), (style.GREY, "^", ":"))
MEASURES = {  # measure: axis label
    "heart_rate": "Rate (1/min)",
    "pr": "PR (ms)",
    "qrs": "QRS (ms)",
    "qtc_bazett": "QTc (ms)",
    "qrs_axis": "Axis (degrees)",
}
SPECTRUM_LEAD = "II"
OUTER = ("1", "99")  # percentiles of a lead's samples
HERTZ = (0.5, 1, 2, 5, 10, 20, 50, 100)


def sources(table: pd.DataFrame) -> Figure:
    """Amplitudes by lead, the spectrum of lead II, and rate, intervals and axis as boxes.

    `table`: columns `COLUMNS`, one row per source and number, as given by
    `cohorts.cohort_features.distribution`; at most three sources (else ValueError).
    """
    style.require(COLUMNS, table, "the table of sources")
    names = list(table["source"].unique())
    if len(names) > len(LOOKS):
        raise ValueError(f"expected at most {len(LOOKS)} sources to draw, got {len(names)}")
    with style.canvas(style.DOUBLE, 5.4) as figure:
        upper, lower = figure.subfigures(2, 1, height_ratios=[1.0, 1.0])
        left, right = upper.subplots(1, 2, width_ratios=[1.5, 1.0])
        boxes = lower.subplots(1, len(MEASURES))
        for place, (name, look) in enumerate(zip(names, LOOKS, strict=False)):
            part = table[table["source"] == name]
            _amplitudes(left, part, 0.24 * (place - (len(names) - 1) / 2), look, name)
            _spectrum(right, part[part["lead"] == SPECTRUM_LEAD], look)
            for axes, measure in zip(boxes, MEASURES, strict=True):
                _box(axes, part[part["of"] == measure], place, look[0])
        left.set_xticks(range(len(LEADS)), LEADS)
        left.set(ylabel="mV from the lead's median", xlim=(-0.6, len(LEADS) - 0.4))
        left.axhline(0, color=style.GREY, lw=0.5, zorder=0)
        left.set_title(f"Percentiles {OUTER[0]} and {OUTER[1]} of the samples")
        right.set(xscale="log", xlabel="Frequency (Hz)", ylabel="log10 power (mV$^2$/Hz)")
        right.set_xticks(HERTZ, [f"{hertz:g}" for hertz in HERTZ])
        right.minorticks_off()
        right.set_title(f"Spectrum of lead {SPECTRUM_LEAD}")
        for axes, label in zip(boxes, MEASURES.values(), strict=True):
            axes.set(title=label, xlim=(-0.7, len(names) - 0.3), xticks=[])
        for axes in (left, right, *boxes):
            axes.grid(True, axis="y")
        style.panel_letters(left, right, *boxes)
        style.legend(figure, left, ncols=len(names))
    return figure


def _amplitudes(axes: Axes, part: pd.DataFrame, shift: float, look: tuple, name: str) -> None:
    """Median over ECGs of two percentiles of each lead; the bar holds the middle half of ECGs."""
    colour, marker, _ = look
    for of in OUTER:
        rows = part[(part["view"] == "amplitude") & (part["of"] == of)].set_index("lead")
        rows = rows.reindex(list(LEADS))
        reach = np.stack([rows["q50"] - rows["q25"], rows["q75"] - rows["q50"]])
        points = {"fmt": marker, "ms": 3, "elinewidth": 1.0, "color": colour, "label": name}
        axes.errorbar(np.arange(len(LEADS)) + shift, rows["q50"], reach, **points)


def _spectrum(axes: Axes, part: pd.DataFrame, look: tuple) -> None:
    """Median over ECGs; the band holds 90 % of them, its edges thin lines."""
    colour, marker, line = look
    rows = part[part["view"] == "power"]
    hertz = rows["of"].astype(float)
    axes.fill_between(hertz, rows["q05"], rows["q95"], color=colour, alpha=0.08, lw=0)
    axes.plot(hertz, rows[["q05", "q95"]], color=colour, ls=line, lw=0.7)
    axes.plot(hertz, rows["q50"], color=colour, ls=line, marker=marker, ms=2.5)


def _box(axes: Axes, row: pd.DataFrame, place: int, colour: str) -> None:
    """Box of the middle half, whiskers to the 5th and 95th percentile, as far as they are known."""
    values = row[QUANTILES].ffill(axis=1).bfill(axis=1)
    if row.empty or values.isna().any(axis=None):
        return
    low, first, middle, third, high = values.iloc[0]
    if np.isnan(row["q05"].iloc[0]):
        low, high = first, third
    box = {"whislo": low, "q1": first, "med": middle, "q3": third, "whishi": high}
    faint = tuple(1 - 0.2 * (1 - part) for part in to_rgb(colour))  # on white paper
    line = {"color": colour, "lw": 1.0}
    looks = {"boxprops": {"facecolor": faint, "edgecolor": colour, "lw": 1.0}, "capprops": line}
    looks |= {"whiskerprops": line, "medianprops": line | {"lw": 1.6}}
    axes.bxp([box], [place], widths=0.6, showfliers=False, patch_artist=True, **looks)
