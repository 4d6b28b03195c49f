"""Sets of ECGs beside each other: how large, of which frequencies, with which intervals.

Everything is drawn from quantiles over ECGs (5, 25, 50, 75, 95 %), so no recording is needed.
"""

from textwrap import fill

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ecglib.figures import style
from ecglib.figures.bars import WHISKER
from ecglib.signals.leads import LEADS

COLUMNS = ("side", "view", "lead", "of", "q05", "q25", "q50", "q75", "q95")
# In the order in which the sides appear: colour, marker, line.
LOOKS = ((style.BLACK, "o", "-"), (style.BLUE, "s", "--"), (style.VERMILION, "^", ":"))
MEASURES = {  # measure: axis label
    "heart_rate": "Rate (1/min)",
    "pr": "PR (ms)",
    "qrs": "QRS (ms)",
    "qtc_bazett": "QTc (ms)",
    "qrs_axis": "Axis (degrees)",
}


def sides(table: pd.DataFrame, lead: str = "II", outer: tuple[str, str] = ("1", "99")) -> Figure:
    """Amplitudes by lead, the spectrum of one lead, and rate, intervals and axis as boxes.

    Args:
        table: columns `COLUMNS`, one row a side and number, as `cohorts.comparison_cohort.distribution`
            gives them; at most three sides.
        lead: whose spectrum is drawn.
        outer: the lower and the upper percentile of the samples of a lead.

    Raises:
        ValueError: a column is missing, or there are more sides than looks.
    """
    missing = [name for name in COLUMNS if name not in table.columns]
    if missing:
        raise ValueError(f"the table of sides lacks the column {missing[0]}")
    names = list(table["side"].unique())
    if len(names) > len(LOOKS):
        raise ValueError(f"at most {len(LOOKS)} sides can be drawn, not {len(names)}")
    looks = dict(zip(names, LOOKS, strict=False))
    with style.sheet():
        figure = style.new_figure(style.DOUBLE, 5.4)
        upper, lower = figure.subfigures(2, 1, height_ratios=[1.0, 1.0])
        left, right = upper.subplots(1, 2, width_ratios=[1.5, 1.0])
        boxes = lower.subplots(1, len(MEASURES))
        for place, (name, look) in enumerate(looks.items()):
            mine = table[table["side"] == name]
            shift = 0.24 * (place - (len(looks) - 1) / 2)
            _amplitudes(left, mine, outer, shift, look, name)
            _spectrum(right, mine[mine["lead"] == lead], look)
            for axes, measure in zip(boxes, MEASURES, strict=True):
                _box(axes, mine[mine["of"] == measure], place, look)
        left.set_xticks(range(len(LEADS)), LEADS)
        left.set(ylabel="mV from the lead's median", xlim=(-0.6, len(LEADS) - 0.4))
        left.axhline(0, color=style.GREY, lw=0.5, zorder=0)
        low, high = outer
        left.set_title(f"Percentiles {low} and {high} of the samples")
        right.set(xscale="log", xlabel="Frequency (Hz)", ylabel="log10 power (mV$^2$/Hz)")
        right.set_xticks([0.5, 1, 2, 5, 10, 20, 50, 100], ["0.5", 1, 2, 5, 10, 20, 50, 100])
        right.minorticks_off()
        right.set_title(f"Spectrum of lead {lead}")
        for axes, label in zip(boxes, MEASURES.values(), strict=True):
            axes.set(title=label, xlim=(-0.7, len(names) - 0.3), xticks=[])
        for axes in (left, right, *boxes):
            axes.grid(True, axis="y")
        for axes, letter in zip((left, right, boxes[0]), "abc", strict=True):
            style.panel_letter(axes, letter)
        handles, labels = left.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=len(names))
    return figure


def _amplitudes(
    axes: Axes, mine: pd.DataFrame, outer: tuple[str, str], shift: float, look: tuple, name: str
) -> None:
    """Median over ECGs of two percentiles of each lead; the bar holds the middle half of ECGs."""
    colour, marker, _ = look
    for place, of in enumerate(outer):
        rows = mine[(mine["view"] == "amplitude") & (mine["of"] == of)].set_index("lead")
        rows = rows.reindex(list(LEADS))
        middle = rows["q50"].to_numpy()
        reach = np.stack([middle - rows["q25"], rows["q75"] - middle])
        axes.errorbar(
            np.arange(len(LEADS)) + shift,
            middle,
            reach,
            fmt=marker,
            ms=3,
            elinewidth=1.0,
            color=colour,
            label=name if place == 0 else None,
        )


def _spectrum(axes: Axes, mine: pd.DataFrame, look: tuple) -> None:
    """Median over ECGs; the band holds 90 % of them."""
    colour, marker, line = look
    rows = mine[mine["view"] == "power"]
    hertz = rows["of"].astype(float)
    axes.fill_between(hertz, rows["q05"], rows["q95"], color=colour, alpha=0.12, lw=0)
    axes.plot(hertz, rows["q50"], color=colour, ls=line, marker=marker, ms=2.5)


def _box(axes: Axes, row: pd.DataFrame, place: int, look: tuple) -> None:
    """Box of the middle half, whiskers to the 5th and 95th percentile, as far as they are known."""
    values = row[list(COLUMNS[4:])].ffill(axis=1).bfill(axis=1)
    if row.empty or values.isna().any(axis=None):
        return
    low, first, middle, third, high = values.iloc[0]
    if np.isnan(row["q05"].iloc[0]):
        low, high = first, third
    box = {"whislo": low, "q1": first, "med": middle, "q3": third, "whishi": high}
    colour = look[0]
    line = {"color": colour, "lw": 1.0}
    axes.bxp(
        [box],
        positions=[place],
        widths=0.6,
        showfliers=False,
        patch_artist=True,
        boxprops={"facecolor": (*_faint(colour), 1.0), "edgecolor": colour, "lw": 1.0},
        medianprops=line | {"lw": 1.6},
        whiskerprops=line,
        capprops=line,
    )


def _faint(colour: str) -> tuple[float, float, float]:
    """The colour on white paper at a fifth of its strength."""
    values = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    return tuple(1 - 0.2 * (1 - value) for value in values)


def looked_at(table: pd.DataFrame, title: str = "") -> Figure:
    """AUC of a classifier by what it sees, one panel a comparison, with intervals.

    Args:
        table: columns ``pair`` (which two sets), ``seen``, ``how`` ("alone": it sees nothing else;
            "shuffled": it sees all, and this is taken from it), ``value``, ``low``, ``high``.
    """
    marks = {
        "alone": ("o", style.BLUE, "This alone"),
        "shuffled": ("D", style.ORANGE, "All, with this shuffled"),
    }
    seen = list(table["seen"].unique())
    pairs = list(table["pair"].unique())
    with style.sheet():
        figure = style.new_figure(style.DOUBLE, 1.1 + 0.22 * len(seen))
        panels = figure.subplots(1, len(pairs), sharex=True, sharey=True, squeeze=False)[0]
        for axes, pair in zip(panels, pairs, strict=True):
            for place, (how, (marker, colour, label)) in enumerate(marks.items()):
                part = table[(table["pair"] == pair) & (table["how"] == how)].set_index("seen")
                part = part.reindex(seen)
                y = np.arange(len(seen)) + 0.16 * (2 * place - 1)
                reach = np.stack([part["value"] - part["low"], part["high"] - part["value"]])
                axes.errorbar(part["value"], y, xerr=reach, **WHISKER)
                axes.plot(part["value"], y, marker, color=colour, label=label, ls="none")
            axes.axvline(0.5, color="black", lw=0.6, ls="--", zorder=0)
            axes.set_title(fill(pair, 40))
            axes.grid(True, axis="x")
            axes.set(xlabel="AUC", ylim=(len(seen) - 0.5, -0.5), xlim=(0.4, 1.02))
        panels[0].set_yticks(range(len(seen)), seen)
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper right", ncols=2)
        figure.suptitle(title, size=8, x=0.01, ha="left")
    return figure
