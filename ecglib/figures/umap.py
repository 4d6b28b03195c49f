"""Two clouds, ECG tokens and text, in two dimensions: trained beside untrained.

The coordinates come in a table. A UMAP can draw islands or a merger whatever the space is like, so
each panel states in its title how well a linear probe tells the two modalities apart in the full
space.
"""

import pandas as pd
from matplotlib.figure import Figure

from ecglib.figures import style

MODALITY = {"ecg": (style.BLUE, "o", "ECG tokens"), "text": (style.ORANGE, "^", "Text")}


def scatter(table: pd.DataFrame, probe: dict[str, str], title: str = "") -> Figure:
    """One panel a method, in order of appearance.

    `table`: columns method, modality ("ecg" | "text"), x, y. `probe`: method -> the probe accuracy
    as text, for example "0.62 [0.58, 0.66]".
    """
    names = list(table["method"].unique())
    with style.sheet():
        width = min(style.DOUBLE, 0.4 + 3.1 * len(names))
        figure = style.new_figure(width, 0.85 + (width - 0.4) / len(names) * 0.84)
        panels = figure.subplots(1, len(names), squeeze=False)[0]
        for axes, name in zip(panels, names, strict=True):
            for modality, (colour, marker, label) in MODALITY.items():
                part = table[(table["method"] == name) & (table["modality"] == modality)]
                axes.scatter(
                    part["x"],
                    part["y"],
                    s=9,
                    color=colour,
                    marker=marker,
                    alpha=0.6,
                    linewidths=0,
                    label=label,
                )
            axes.set(xticks=[], yticks=[], xlabel="UMAP 1", ylabel="UMAP 2")
            axes.set_title(f"{style.method(name).name}\nmodality probe {probe[name]} (0.5 = mixed)")
            axes.set_box_aspect(1)
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=2, markerscale=1.6)
        figure.suptitle(title, size=8, x=0.01, ha="left")
    return figure
