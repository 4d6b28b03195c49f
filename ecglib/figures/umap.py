"""Two clouds, ECG tokens and text, in two dimensions: trained beside untrained.

A UMAP can draw islands or a merger whatever the space is like. So each panel's title gives the
accuracy of a linear probe that separates the two modalities in the full space.
"""

import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from ecglib.figures import style

MODALITY = {"ecg": (style.BLUE, "o", "ECG tokens"), "text": (style.ORANGE, "^", "Text")}
LOOKS = {
    "palette": {label: colour for colour, _, label in MODALITY.values()},
    "markers": {label: marker for _, marker, label in MODALITY.values()},
}


def scatter(table: pd.DataFrame, probe: dict[str, str], title: str = "") -> Figure:
    """One panel per method, in order of appearance.

    `table`: columns method, modality ("ecg" | "text"), x, y. `probe`: method -> the probe accuracy
    as text, for example "0.62 [0.58, 0.66]".
    """
    names = list(table["method"].unique())
    table = table.assign(label=table["modality"].map({k: look[2] for k, look in MODALITY.items()}))
    width = min(style.DOUBLE, 0.4 + 3.1 * len(names))
    with style.canvas(width, 0.85 + (width - 0.4) / len(names) * 0.84, title) as figure:
        panels = figure.subplots(1, len(names), squeeze=False)[0]
        for axes, name in zip(panels, names, strict=True):
            points = {"x": "x", "y": "y", "hue": "label", "style": "label", **LOOKS}
            part = table[table["method"] == name]
            sns.scatterplot(part, **points, s=12, alpha=0.6, linewidth=0, ax=axes)
            handles, labels = axes.get_legend_handles_labels()
            axes.get_legend().remove()
            axes.set(xticks=[], yticks=[], xlabel="UMAP 1", ylabel="UMAP 2")
            axes.set_title(f"{style.method(name).name}\nmodality probe {probe[name]} (0.5 = mixed)")
            axes.set_box_aspect(1)
        figure.legend(handles, labels, loc="outside lower center", ncols=2, markerscale=1.6)
    return figure
