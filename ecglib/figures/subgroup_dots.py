"""AUC by sex, age band and site: a panel per variable, on one axis."""

import pandas as pd
from matplotlib.figure import Figure

from ecglib.figures import bars, style


def by_subgroup(table: pd.DataFrame, names: dict[str, str], baseline: float = 0.5) -> Figure:
    """AUC of every method in every subgroup: dots with intervals, logarithmic in 1 - AUC.

    The number in brackets counts the labels that a subgroup measures. A subgroup without a value
    is marked "n/a". Intervals may reach beyond the right edge.

    Args:
        table: columns method, column (the variable), subgroup, labels, value, low, high; in order
            of appearance.
        names: variable -> title of its panel; the panels are in this order.
        baseline: level of chance, a dashed line.
    """
    columns = ("method", "column", "subgroup", "labels", "value", "low", "high")
    style.require(columns, table, "the table of subgroups")
    style.require(names, set(table["column"]), "the table of subgroups")
    methods, ends = list(table["method"].unique()), bars.limits(table, baseline, of_values=True)
    parts = {title: table[table["column"] == column] for column, title in names.items()}
    groups = {title: list(part["subgroup"].unique()) for title, part in parts.items()}
    heights = [len(group) for group in groups.values()]
    line = 0.12 + 0.075 * len(methods)
    height = 0.75 + line * sum(heights) + 0.22 * len(heights)
    with style.canvas(style.COLUMN, height) as figure:
        grid = figure.subplots(len(parts), 1, height_ratios=heights, sharex=True, squeeze=False)
        for axes, (title, part) in zip(grid[:, 0], parts.items(), strict=True):
            drawn = part.rename(columns={"subgroup": "category"})
            bars.dots(axes, drawn, groups[title], methods, baseline, ends)
            counts = part.groupby("subgroup")["labels"].first()
            ticks = [f"{group} ({counts[group]})" for group in groups[title]]
            axes.set_yticks(range(len(ticks)), ticks)
            axes.set_ylim(len(ticks) - 0.5, -0.5)
            axes.set_title(title)
            axes.label_outer()
        style.panel_letters(*grid[:, 0] if len(grid) > 1 else [])
        style.legend(figure, grid[0, 0], ncols=3)
    return figure
