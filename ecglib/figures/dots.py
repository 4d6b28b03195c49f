"""Rows of dots with intervals: AUC by category, label, subgroup or condition.

The axis is logarithmic in 1 - AUC, labelled in AUC: 0.98 and 0.99 are as far apart as 0.8 and 0.9.
"""

import re
from textwrap import fill

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ecglib.figures import style

PAGE = 7.0  # inches, the most that the rows take
SPREAD = 0.72  # of a row's height, over which its dots are spread
MANY = 9  # methods, up to which one panel fits a column
FEW = 16  # rows, up to which `cut` leaves them in one column
LONGEST = 32  # letters of a label's name on the axis
SPELT = {"no_qrs": "No QRS complex", "slopping": "sloping"}  # what the paper's list has otherwise
SPELT |= {"nonspecific intraventricular conduction delay": "nonspecific IV conduction delay"}
# The least range of the axis, and what is marked of a decade.
TICKS = {100: (3, 1), 10: (5, 2, 1), 3: (7, 5, 4, 3, 2, 1)}
TICKS |= {0: (9, 8, 7, 6, 5, 4, 3, 2.5, 2, 1.8, 1.6, 1.4, 1.2, 1)}
COLUMNS = ("method", "category", "value", "low", "high")


def rows(
    table: pd.DataFrame, layout: str = "beside", span: tuple[str, ...] = (), xlabel: str = "AUC"
) -> Figure:
    """One row per category, with a dot and an interval per method, in order of appearance.

    A value of 1 and intervals beyond the right edge are drawn at the edge, a value that is NaN as
    "n/a". A dashed line is at 0.5, the level of chance, where the axis reaches it (`dashed`).

    Args:
        table: COLUMNS, and optionally `panel` (a panel's title) and `count` (a number behind the
            category, in brackets).
        layout: "beside", panels with the same categories; "below", panels with categories of their
            own; "cut", one panel in two columns where it has many categories.
        span: floors, and last the method up to which the row is shaded from the best of them; or
            none. A row is not shaded where a floor is the best.
        xlabel: what the values are: AUC, or a mean of AUCs.
    """
    style.require(COLUMNS, table, "the table of dots")
    names, down, cut = list(table["method"].unique()), layout == "below", layout == "cut"
    panels = _panels(table, layout)
    whole = table if layout == "beside" else None
    groups = [list((part if whole is None else whole)["category"].unique()) for _, part in panels]
    heights = [len(own) for own in groups]
    tallest = sum(heights) if down else max(heights)
    most = int(table.groupby([*(["panel"] if "panel" in table else []), "category"]).size().max())
    row = min(0.14 + 0.09 * most, PAGE / tallest)  # inches
    size = float(np.clip(72 * SPREAD * row / most, 2, 4))  # points, as far as dots are apart
    one = down or (not cut and len(panels) == 1 and len(names) <= MANY)
    height = 0.8 + tallest * row + 0.22 * down * len(panels)
    with style.canvas(style.COLUMN if one else style.DOUBLE, height) as figure:
        shape = {"nrows": len(panels), "height_ratios": heights} if down else {"ncols": len(panels)}
        grid = figure.subplots(**shape, sharex=True, sharey=whole is not None, squeeze=False)
        for axes, (title, part), own in zip(grid.ravel(), panels, groups, strict=True):
            _draw(axes, part, own, names, limits(table), size)
            _shade(axes, part, own, span)
            axes.set_xlabel(f"{xlabel} (log scale of 1 - AUC)")
            axes.set_yticks(range(len(own)), _labels(table, own, 34 if cut else 16))
            axes.set(title=fill(title, 40), ylim=((len(own) if down else tallest) - 0.5, -0.5))
            if down:
                axes.label_outer()
        style.panel_letters(*grid.ravel() if len(panels) > 1 and not cut else [])
        style.legend(figure, grid[0, 0], ncols=3 if one else 5 if len(names) == 5 else 4)
    return figure


def _panels(table: pd.DataFrame, layout: str) -> list[tuple[str, pd.DataFrame]]:
    """Titles and tables of the panels. Raises ValueError: an unknown layout."""
    if layout == "cut":
        groups = list(table["category"].unique())
        size = len(groups) if len(groups) <= FEW else -(-len(groups) // 2)
        cuts = [groups[i : i + size] for i in range(0, len(groups), size)]
        return [("", table[table["category"].isin(cut)]) for cut in cuts]
    if layout not in ("beside", "below"):
        raise ValueError(f"expected a layout of beside, below or cut, got {layout!r}")
    return list(table.groupby("panel", sort=False)) if "panel" in table else [("", table)]


def limits(table: pd.DataFrame) -> tuple[float, float]:
    """The largest 1 - AUC that the axis shows, and the least: intervals end it, unless they go far
    beyond the values."""
    lost = 1 - table[["value", "low", "high"]].to_numpy(dtype=float)
    of_value = 0.5 * np.nanmin(lost[:, 0], initial=0.1, where=lost[:, 0] > 0)
    least = max(1e-4, of_value, 0.9 * np.nanmin(lost, initial=0.1))
    return 1.1 * np.nanmax(lost, initial=2 * least), least


def at_edge(table: pd.DataFrame) -> str:
    """A sentence for a caption: what `rows` draws at the right edge, and where the edge is."""
    edge = f"{1 - limits(table)[1]:.4f}".rstrip("0")
    return f"Values above {edge} are drawn at the right edge, and intervals beyond it end there."


def dashed(table: pd.DataFrame) -> str:
    """A sentence for a caption where `rows` draws a line at 0.5; otherwise nothing."""
    return " Dashed: 0.5." if limits(table)[0] >= 0.5 else ""


def _draw(
    axes: Axes,
    table: pd.DataFrame,
    groups: list[str],
    names: list[str],
    ends: tuple[float, float],
    size: float,
) -> None:
    """The dots of one panel, of a size in points."""
    worst, edge = ends
    table = table.sort_values("method", key=lambda name: name.map(names.index), kind="stable")
    of_row = table.groupby("category")["method"]
    size_of = of_row.transform("size")
    table = table.assign(shift=SPREAD * (of_row.cumcount() - (size_of - 1) / 2) / size_of.max())
    for name in names:
        own = table[table["method"] == name].set_index("category")
        part = own.reindex(groups)
        x, low, high = (np.clip(1 - part[k], edge, None) for k in ("value", "low", "high"))
        y = np.arange(len(groups)) + part["shift"].fillna(0).to_numpy()
        look, reach = style.method(name), np.nan_to_num([x - high, low - x]).clip(0)
        points = {"fmt": look.marker, "color": look.colour, "ms": size, "elinewidth": 0.275 * size}
        points["mew"] = 1.0 if look.marker in "xX+" else 0.5
        points["fillstyle"] = look.fillstyle
        axes.errorbar(x, y, xerr=reach, label=look.name, clip_on=False, **points)
        for place in y[part.index.isin(own.index[own["value"].isna()])]:
            style.mark(axes, worst, place, np.nan)
    parts = next(parts for times, parts in TICKS.items() if worst > times * edge)
    ticks = {0.5, *(part / 10**power for power in range(1, 6) for part in parts)}
    ticks = [tick for tick in sorted(ticks) if edge <= tick <= worst]
    axes.set(xscale="log", xlim=(worst, edge))
    turned = {"rotation": 45} if worst > 1000 * edge else {}  # long labels, near each other
    axes.set_xticks(ticks, [f"{1 - tick:g}" for tick in ticks], **turned)
    axes.axvline(0.5, color="black", lw=0.6, ls="--", zorder=1)
    axes.xaxis.set_minor_formatter("")
    axes.tick_params(axis="y", length=0)
    axes.grid(True, axis="x")


def _shade(axes: Axes, part: pd.DataFrame, groups: list[str], span: tuple[str, ...]) -> None:
    """Shade every second row; with a `span` each row, from the best floor to the last method."""
    look = {"lw": 0, "zorder": 0}
    if not span:
        for i in range(1, len(groups), 2):
            axes.axhspan(i - 0.5, i + 0.5, color="#F2F2F2", **look)
        return
    value = part.pivot(index="category", columns="method", values="value").loc[groups]
    begin, end = 1 - value[list(span[:-1])].max(axis=1), 1 - value[span[-1]]
    end = end.clip(lower=axes.get_xlim()[1])
    for place, (left, right) in enumerate(zip(begin, end, strict=True)):
        if left > right:
            rows_of = [place - 0.5, place + 0.5]
            axes.fill_betweenx(rows_of, left, right, color=style.LIGHT_GREY, alpha=0.5, **look)


def _labels(table: pd.DataFrame, groups: list[str], width: int) -> list[str]:
    """The categories of a panel as they are written beside their rows."""
    first = table.drop_duplicates("category").set_index("category")
    counts = [f" ({first.loc[name, 'count']:g})" if "count" in table else "" for name in groups]
    names = [fill(shorten(str(name)), width) for name in groups]
    return [name + count for name, count in zip(names, counts, strict=True)]


def shorten(label: str) -> str:
    """A label's name without the leads of a territory, in some LONGEST letters, cut at a word.

    >>> shorten("ST depression (inferior - II, III, aVF)"), shorten("Atrial fibrillation")
    ('ST depression (inferior)', 'Atrial fibrillation')
    """
    for listed, spelt in SPELT.items():
        label = label.replace(listed, spelt)
    label = re.sub(r"\((\w+) ?- ?[IV].*\)", r"(\1)", label)
    if len(label) > LONGEST:
        label = re.sub(r" \(.*\)", "", label)
    if len(label) > LONGEST:
        label = label[: LONGEST + 1].rsplit(" ", 1)[0] + " …"
    return label
