"""Loss curves: a running mean on raw values, which are faint and drawn for one or two methods; or
running means alone, above their differences. Reference lines where there are any."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ecglib.figures import style

FEW = 2  # methods, up to which single updates are drawn


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


def minus(table: pd.DataFrame, method: str) -> pd.DataFrame:
    """The losses of all other methods minus those of `method` at the same step and part, where it
    has one; columns as in `loss`. Empty without `method`, or without another one."""
    table = table.assign(part=_parts(table))
    own = table.loc[table["method"] == method, ["step", "part", "loss"]]
    both = table[table["method"] != method].merge(own, on=["step", "part"], suffixes=("", "_of"))
    return both.assign(loss=both["loss"] - both["loss_of"]).drop(columns="loss_of")


def loss(
    table: pd.DataFrame,
    ylabel: str = "Loss",
    lines: dict[str, float] | None = None,
    smooth: int = 25,
    log: bool = False,
    late: bool = False,
    xlabel: str = "Training step",
    reference: str = "",
) -> Figure:
    """Loss against training step, one curve per method; on a logarithmic axis where `log`. With
    `late` the axis ends at what is drawn behind the first tenth of the steps.

    `table`: columns method, step, loss, and optionally part ("train", "validation"): validation
    values are points joined by a line. `lines`: name -> level of a line across (unigram entropy).
    Single updates are drawn of up to FEW methods; more would hide each other. With a method as
    `reference` they are not drawn, and a second panel has all losses minus its own: on the same
    batches, curves that hide each other come apart. Where there is no difference to draw, there is
    no second panel.
    """
    names = [style.method(name).name for name in table["method"].unique()]
    names += ["Validation", *(lines or {})]
    in_legend = -(-len(names) // style.columns_that_fit(names, style.COLUMN, 3))  # lines
    apart = minus(table, reference)
    heights = [1.7] if apart.empty else [1.7, 1.3]
    with style.canvas(style.COLUMN, 0.7 + 0.15 * in_legend + sum(heights)) as figure:
        grid = figure.subplots(len(heights), sharex=True, squeeze=False, height_ratios=heights)
        axes, *rest = grid[:, 0]
        _draw(axes, table, smooth, raw=apart.empty and table["method"].nunique() <= FEW)
        if set(_parts(table)) == {"train", "validation"}:
            grey = {"color": style.GREY, "marker": "o", "markeredgecolor": "white", "lw": 0.7}
            axes.plot([], [], **grey, label="Validation")
        for i, (name, level) in enumerate((lines or {}).items()):
            dashes = ("--", ":", "-.")[i % 3]
            axes.axhline(level, color="black", lw=0.8, ls=dashes, label=name)
        axes.set(ylabel=ylabel)
        if late:
            _end_at_late(axes)
        if log:
            axes.set_yscale("log")
            style.plain_log(axes.yaxis)
        for panel in rest:
            _draw(panel, apart, smooth, raw=False)
            panel.plot(apart["step"].agg(["min", "max"]), [0, 0], color="black", lw=0.8)
            _end_at_late(panel)
            panel.set_ylabel(f"Loss minus\n{style.method(reference).name}'s")
        for panel in (axes, *rest):
            panel.grid(True)
        (rest or [axes])[-1].set_xlabel(xlabel)
        style.panel_letters(*([axes, *rest] if rest else []))
        style.legend(figure, axes, ncols=3)
    return figure


def _parts(table: pd.DataFrame) -> pd.Series:
    return table.get("part", pd.Series("train", index=table.index))


def _end_at_late(axes: Axes) -> None:
    """Let the vertical axis end at what the curves reach behind the first tenth of the steps. A
    point beyond it is not drawn, because its line to the next one would look like a fall."""
    x, y = np.concatenate([line.get_xydata() for line in axes.lines]).T
    late = y[(x >= 0.1 * x.max()) & np.isfinite(y)]  # a diverged training has NaN
    if not late.size:
        return
    room = 0.05 * np.ptp(late)
    low, high = late.min() - room, late.max() + room
    axes.set_ylim(low, high)
    for line in axes.lines:
        if line.get_marker() != "None":
            y = np.asarray(line.get_ydata(), float)
            line.set_ydata(np.where((y < low) | (y > high), np.nan, y))


def _draw(axes: Axes, table: pd.DataFrame, smooth: int, raw: bool = True) -> None:
    """The curves of all methods: each update (faint, where `raw`), running mean, validation."""
    parts = _parts(table)
    for name, rows in table[parts == "train"].groupby("method", sort=False):
        look = style.method(name)
        width = max(1, min(smooth, len(rows) // 4))
        if raw and width > 1:
            axes.plot(rows["step"], rows["loss"], color=look.colour, lw=0.5, alpha=0.3)
        mean = running_mean(rows["loss"], width)
        line = {"color": style.edge(look.colour), "ls": look.linestyle, "label": look.name}
        axes.plot(rows["step"], mean, **line)
    trained = set(table.loc[parts == "train", "method"])
    for name, rows in table[parts == "validation"].groupby("method", sort=False):
        look = style.method(name)
        points = {"marker": look.marker, "markeredgecolor": "white", "markeredgewidth": 0.4}
        label = None if name in trained else look.name
        colour = style.edge(look.colour)
        axes.plot(rows["step"], rows["loss"], lw=0.7, color=colour, label=label, **points)
