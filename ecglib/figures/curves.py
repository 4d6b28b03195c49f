"""Loss curves: raw values faint, a running mean on top, reference lines where there are any."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from ecglib.figures import style


def running_mean(values: np.ndarray | pd.Series, width: int) -> np.ndarray:
    """Centred mean over `width` points, over fewer at both ends."""
    return pd.Series(values).rolling(width, center=True, min_periods=1).mean().to_numpy()


def last_fifth(table: pd.DataFrame) -> pd.Series:
    """Mean training loss over the last fifth of a method's steps; `table`: method, step, loss, and
    part where there is validation, too."""
    if "part" in table:
        table = table[table["part"] == "train"]
    late = table["step"] >= 0.8 * table.groupby("method")["step"].transform("max")
    return table[late].groupby("method")["loss"].mean()


def ends(table: pd.DataFrame) -> pd.DataFrame:
    """Per method, how its training ended: columns training (`last_fifth`), validation (the last
    look) and lowest (of all looks); `table`: method, step, loss, part."""
    looks = table[table["part"] == "validation"].sort_values("step").groupby("method")["loss"]
    by_method = pd.DataFrame({"training": last_fifth(table)})
    return by_method.assign(validation=looks.last(), lowest=looks.min())


def loss(
    table: pd.DataFrame,
    ylabel: str = "Loss",
    lines: dict[str, float] | None = None,
    smooth: int = 25,
    log: bool = False,
    late: bool = False,
    xlabel: str = "Training step",
) -> Figure:
    """Loss against training step, one curve per method; on a logarithmic axis where `log`. With
    `late` the axis ends at the highest loss behind the first tenth of the steps.

    `table`: columns method, step, loss, and optionally part ("train", "validation"): validation
    values are points joined by a line. `lines`: name -> level of a line across (unigram entropy).
    """
    parts = table.get("part", pd.Series("train", index=table.index))
    entries = table["method"].nunique() + len(lines or {})
    with style.canvas(style.COLUMN, 2.4 + 0.07 * entries) as figure:
        axes = figure.add_subplot()
        for name, rows in table[parts == "train"].groupby("method", sort=False):
            look = style.method(name)
            width = max(1, min(smooth, len(rows) // 4))
            axes.plot(rows["step"], rows["loss"], color=look.colour, lw=0.5, alpha=0.3)
            mean = running_mean(rows["loss"], width)
            axes.plot(rows["step"], mean, color=look.colour, ls=look.linestyle, label=look.name)
        trained = set(table.loc[parts == "train", "method"])
        for name, rows in table[parts == "validation"].groupby("method", sort=False):
            look = style.method(name)
            points = {"marker": look.marker, "markeredgecolor": "white", "markeredgewidth": 0.4}
            label = None if name in trained else look.name
            points |= {"lw": 0.7, "color": look.colour, "label": label}
            axes.plot(rows["step"], rows["loss"], **points)
        if set(parts) == {"train", "validation"}:
            grey = {"color": style.GREY, "marker": "o", "markeredgecolor": "white", "lw": 0.7}
            axes.plot([], [], **grey, label="validation")
        for i, (name, level) in enumerate((lines or {}).items()):
            dashes = ("--", ":", "-.")[i % 3]
            axes.axhline(level, color="black", lw=0.8, ls=dashes, label=name)
        axes.set(xlabel=xlabel, ylabel=ylabel)
        if late:
            drawn = table.loc[table["step"] >= 0.1 * table["step"].max(), "loss"]
            room = 0.05 * (drawn.max() - drawn.min())
            axes.set_ylim(drawn.min() - room, drawn.max() + room)
        if log:
            axes.set_yscale("log")
            axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))
            axes.yaxis.set_minor_formatter(NullFormatter())
        axes.grid(True)
        style.legend(figure, axes, ncols=3)
    return figure
