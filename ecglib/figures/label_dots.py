"""The AUC of each label on an axis that is logarithmic in 1 - AUC: what a pooled AUC hides."""

import re

import pandas as pd
from matplotlib.figure import Figure

from ecglib.figures import bars, style

LONGEST = 32  # letters of a label's name on the axis
FEW = 16  # labels, drawn in one column
PER_METHOD = 0.028  # inches between two methods of a label


def by_label(table: pd.DataFrame, baseline: float = 0.5) -> Figure:
    """One row per label, the hardest for the first method on top; a dot with interval per method.

    Many labels are drawn in two columns. The number in brackets counts the ECGs with the label. An
    AUC of 1 is drawn on the right edge, and intervals may reach beyond it. A dashed line is at
    `baseline`.

    `table`: columns method, name (of the label), positives, value, low, high; one row per method
    and label, methods in order of appearance. Labels without a value for the first method come
    last.
    """
    columns = ("method", "name", "positives", "value", "low", "high")
    style.require(columns, table, "the table of labels")
    names = list(table["method"].unique())
    first = table[table["method"] == names[0]].sort_values(["value", "name"], kind="stable")
    labels, counts = first["name"].tolist(), first.set_index("name")["positives"]
    halves = 1 if len(labels) <= FEW else 2
    rows = -(-len(labels) // halves)
    line = max(0.125, 0.05 + PER_METHOD * len(names))
    with style.canvas(style.DOUBLE, 0.9 + line * rows) as figure:
        panels = figure.subplots(1, halves, squeeze=False)[0]
        ends = bars.limits(table, baseline, of_values=True)
        for i, axes in enumerate(panels):
            part = labels[i * rows : (i + 1) * rows]
            drawn = table[table["name"].isin(part)].rename(columns={"name": "category"})
            bars.dots(axes, drawn, part, names, baseline, ends, size=2.6)
            ticks = [f"{shorten(label)} ({counts[label]:g})" for label in part]
            axes.set_yticks(range(len(part)), ticks)
            axes.set_ylim(rows - 0.5, -0.5)
        style.legend(figure, panels[0], ncols=len(names))
    return figure


def shorten(label: str) -> str:
    """A label's name without the leads of a territory, in some LONGEST letters, cut at a word.

    >>> shorten("ST depression (inferior - II, III, aVF)"), shorten("Atrial fibrillation")
    ('ST depression (inferior)', 'Atrial fibrillation')
    """
    label = re.sub(r"\((\w+) ?- ?[IV].*\)", r"(\1)", label)
    if len(label) > LONGEST:
        label = re.sub(r" \(.*\)", "", label)
    if len(label) > LONGEST:
        label = label[: LONGEST + 1].rsplit(" ", 1)[0] + " …"
    return label
