"""How many clusters of ECGs there are, how large each is, and how much of each was drawn."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ecglib.figures import style

LABELS = {"inertia": "Inertia / inertia of 2 clusters", "silhouette": "Mean silhouette"}


def panels(choice: pd.DataFrame, rule: int, shares: pd.DataFrame, drawn: list[str]) -> Figure:
    """Inertia and silhouette by the number of clusters, with a line at the number that `rule`
    takes; and the share of each cluster in all ECGs (bars) and in the ECGs that were drawn.

    Args:
        choice: columns clusters, inertia, silhouette.
        rule: a number of clusters.
        shares: one row per cluster; column share, and one per method of `drawn`, all 0 to 1.
        drawn: methods, each with marks of its own.
    """
    style.require(["clusters", *LABELS], choice, "the table of clusters")
    style.require(["share", *drawn], shares, "the table of shares")
    curves = choice.assign(inertia=choice["inertia"] / choice["inertia"].iloc[0])
    shares = shares.sort_values("share", ascending=False, kind="stable")
    place = np.arange(1, len(shares) + 1)
    with style.canvas(style.DOUBLE, 2.4) as figure:
        axes = figure.subplots(1, 3)
        for panel, (column, label) in zip(axes, LABELS.items(), strict=False):
            panel.plot(curves["clusters"], curves[column], color="#555555", marker="o", ms=3, lw=1)
            panel.axvline(rule, color="#555555", ls=":", lw=1)
            panel.set(xlabel="Number of clusters", ylabel=label)
        panel = axes[-1]
        panel.bar(place, 100 * shares["share"], color="#CCCCCC", label="all training ECGs")
        for name in drawn:
            look = style.method(name)
            marks = {"color": style.edge(look.colour), "marker": look.marker, "ms": 4, "ls": ""}
            panel.plot(place, 100 * shares[name], label=look.name, fillstyle="none", **marks)
        panel.set(xlabel="Cluster, the largest first", ylabel="Share of the ECGs (%)")
        style.panel_letters(*axes)
        style.legend(figure, panel, ncols=3)
    return figure
