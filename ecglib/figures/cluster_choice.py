"""How many clusters of ECGs there are, and how large each is."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ecglib.figures import style

LABELS = {"inertia": "Inertia (share of that of two)", "silhouette": "Silhouette"}


def panels(choice: pd.DataFrame, rule: int, shares: np.ndarray) -> Figure:
    """Inertia and silhouette by the number of clusters, a line at the number that `rule` takes; and
    the clusters by their share of the ECGs, beside the share that an even draw gives each.

    Args:
        choice: columns clusters, inertia, silhouette.
        rule: a number of clusters.
        shares: (k,) of the ECGs, in the drawn clusters.
    """
    style.require(["clusters", *LABELS], choice, "the table of clusters")
    look = style.method("bpe")
    drawn = choice.assign(inertia=choice["inertia"] / choice["inertia"].iloc[0])
    shares = 100 * np.sort(shares)[::-1]
    with style.canvas(style.DOUBLE, 2.3) as figure:
        axes = figure.subplots(1, 3)
        for panel, (column, label) in zip(axes, LABELS.items(), strict=False):
            line = {"color": look.colour, "marker": look.marker, "ms": 3, "lw": 1}
            panel.plot(drawn["clusters"], drawn[column], **line)
            panel.axvline(rule, color="#555555", ls=":", lw=1)
            panel.set(xlabel="Number of clusters", ylabel=label)
        panel = axes[-1]
        panel.bar(np.arange(1, len(shares) + 1), shares, color=look.colour)
        panel.axhline(100 / len(shares), color="#D55E00", ls="--", lw=1, label="even draw")
        panel.set(xlabel="Cluster, the largest first", ylabel="Share of training ECGs (%)")
        panel.legend()
        style.panel_letters(*axes)
    return figure
