"""The style sheet, the widths, and the one map from a method to its colour, marker, line and name.

A colour has one meaning. Tokenizers have the colours of Okabe and Ito. Systems have dark colours
of Tol's muted scheme, and a variant of a system or tokenizer a light tone of its colour. Controls
without the right ECG are yellow, floors are grey, a network on the raw signal is brown. Black is
the truth, the original, or data of no method in particular. ACCENT marks what is no method: a fit,
a scale bar, simulated among real. Findings have Tol's bright colours. Two methods of one figure
never share a colour, except a method and its linear probe (open markers, circles as hatch). What
codes decode to is a dark tone. Markers, line styles and hatches differ too, so none needs colour.

A figure is as wide as one column of a journal's page or as both. No text is smaller than 7 pt, but
for the stamp, which says which run made the figure.
"""

import csv
import warnings
from collections.abc import Container, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from string import ascii_lowercase
from textwrap import fill

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator
from PIL import Image

SHEET = Path(__file__).with_name("ecglib.mplstyle")
COLUMN = 3.4  # inches, one column of a journal page
DOUBLE = 7.0  # inches, both columns

BLACK, GREY, LIGHT_GREY, ACCENT = "#000000", "#7F7F7F", "#BFBFBF", "#D55E00"


@dataclass(frozen=True)
class Method:
    """How a method is drawn, everywhere."""

    colour: str
    marker: str
    linestyle: str
    name: str
    hatch: str = ""
    fillstyle: str = "full"


with Path(__file__).with_name("methods.csv").open(newline="", encoding="utf-8") as _file:
    METHOD = {row.pop("key"): Method(**row) for row in csv.DictReader(_file)}
FINDINGS = ("#4477AA", "#EE6677", "#228833", "#CCBB44", "#66CCEE", "#AA3377")  # Tol, bright


def method(key: str) -> Method:
    """The drawing style of a method; ValueError for a name without an entry in METHOD."""
    if key not in METHOD:
        raise ValueError(
            f"method {key!r} has no colour; add it to ecglib/figures/methods.csv, which has "
            f"{', '.join(METHOD)}"
        )
    return METHOD[key]


@contextmanager
def sheet() -> Iterator[None]:
    """Matplotlib's defaults plus this project's sheet, inside the block only."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.style.use(SHEET)
        yield


@contextmanager
def canvas(
    width: float, height: float, title: str = "", constrained: bool = True
) -> Iterator[Figure]:
    """An empty figure (inches) to draw on inside the block, where the sheet is in force.

    The figure is outside pyplot's registry, so nothing has to be closed.
    """
    with sheet():
        figure = Figure(figsize=(width, height), layout="constrained" if constrained else "none")
        FigureCanvasAgg(figure)
        if title:
            lines = [fill(line, int(15 * width)) for line in title.splitlines()]
            figure.suptitle("\n".join(lines), size=8, x=0.01, ha="left")
        yield figure


def _is_pale(colour: str) -> bool:
    """Whether white on a colour, or the colour on white, is hard to see."""
    red, green, blue = to_rgb(colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.72


def edge(colour: str) -> str:
    """The outline of a bar: its colour, or a darker tone where the colour is pale."""
    return to_hex([0.6 * part for part in to_rgb(colour)]) if _is_pale(colour) else colour


def ink(colour: str) -> str:
    """The hatch of a bar: white, or a darker tone of a pale colour."""
    return edge(colour) if _is_pale(colour) else "white"


def require(names: Iterable[str], given: Container[str], owner: str) -> None:
    """Raise ValueError unless all names are given: columns of a table, keys of a mapping."""
    if missing := [name for name in names if name not in given]:
        raise ValueError(f"{owner} must have {', '.join(names)}; got no {', '.join(missing)}")


def interval(table: pd.DataFrame) -> np.ndarray:
    """Lengths of whiskers below and above the value, (2, n); 0 where there is no interval.

    `table`: columns value, low, high.
    """
    low, high = table["value"] - table["low"], table["high"] - table["value"]
    return np.nan_to_num(np.clip(np.stack([low, high]).astype(float), 0.0, None))


def side_by_side(table: pd.DataFrame, column: str, aside: float) -> pd.Series:
    """Places on a logarithmic axis where points of an equal `column` do not hide each other: in the
    order of their `value`, around the true place, each twice `aside` (a share) from the next."""
    equal = table.groupby(column)["value"]
    steps = 2 * equal.rank("first") - equal.transform("size") - 1
    return table[column] * (1 + aside * steps)


def legend(figure: Figure, *panels: Axes, ncols: int) -> None:
    """One legend of some panels for the whole figure; in as many columns as fit."""
    entries = {}
    for axes in panels:
        entries |= dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
    ncols = columns_that_fit(list(entries), figure.get_figwidth(), ncols)
    figure.legend(entries.values(), entries.keys(), loc="outside upper right", ncols=ncols)


def columns_that_fit(names: list[str], width: float, most: int) -> int:
    """Columns of a legend of some names in `width` inches: at most `most`, and one at least. As
    matplotlib lays them out, a column has the room of its widest name."""
    widths = [0.44 + 0.052 * len(name) for name in names]  # the key, letters of 7 pt
    for columns in range(min(most, len(names)), 1, -1):
        if sum(max(part) for part in np.array_split(widths, columns)) <= width:
            return columns
    return 1


class _Marked(LogLocator):
    """Ticks at some values times each power of ten, at more where the range is below a decade."""

    def __init__(self, marked: tuple[int, ...]) -> None:
        super().__init__(subs=marked)
        self.marked = marked

    def tick_values(self, vmin: float, vmax: float) -> np.ndarray:
        """As matplotlib asks for them."""
        self.set_params(subs=self.marked if vmax > 10 * vmin else (1, 1.5, 2, 3, 4, 5, 7))
        return super().tick_values(vmin, vmax)


def plain_log(axis: Axis, marked: tuple[int, ...] = (1, 2, 5)) -> None:
    """Plain numbers on a logarithmic axis, at `marked` times each power of ten."""
    axis.set_major_locator(_Marked(marked))
    axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter("")


def panel_letters(*panels: Axes) -> None:
    """A bold letter above the top left corner of each panel: a, b, ..."""
    letter = {"xycoords": "axes fraction", "textcoords": "offset points", "ha": "right"}
    for axes, name in zip(panels, ascii_lowercase, strict=False):
        axes.annotate(name, (0, 1), (-4, 6), **letter, size=8, weight="bold")


def mark(axes: Axes, x: float, y: float, value: float, digits: int = 2) -> None:
    """Text where a bar or dot would not be seen: its value, or a grey "n/a" for no value."""
    text, colour = ("n/a", GREY) if np.isnan(value) else (f"{value:.{digits}g}", BLACK)
    offset = {"xytext": (3, 0), "textcoords": "offset points", "va": "center"}
    axes.annotate(text, (x, y), **offset, size=7, color=colour)


def stamp(figure: Figure, text: str) -> None:
    """A small grey line at the bottom right: which run and key made the figure."""
    layout = figure.get_layout_engine()
    if layout is not None:  # keep a strip free for the stamp
        layout.set(rect=(0, 0.14 / figure.get_figheight(), 1, 1 - 0.14 / figure.get_figheight()))
    look = {"size": 5, "color": GREY, "ha": "right", "va": "bottom", "family": "DejaVu Sans"}
    figure.text(0.995, 0.004, text, **look)


def _settle(figure: Figure) -> None:
    """Lay the figure out once, and round the places: their last digits differ by process."""
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for axes in figure.axes:
        axes.set_position(np.round(axes.get_position(original=True).bounds, 5))


def save(figure: Figure, path: Path, dpi: int | None = None) -> Path:
    """Write PDF or PNG (by suffix) such that equal figures give equal bytes. `dpi`: of pictures;
    None is the style sheet's, as journals ask for."""
    fmt = path.suffix.removeprefix(".")
    metadata = {"pdf": {"CreationDate": None}, "png": {"Software": None}}
    if fmt not in metadata:
        raise ValueError(f"{path}: expected a figure as .pdf or .png, got {fmt!r}")
    path.parent.mkdir(parents=True, exist_ok=True)
    with sheet(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "There are no gridspecs")  # of subfigures, harmless
        if figure.get_layout_engine() is not None:
            _settle(figure)
        dots = mpl.rcParams["savefig.dpi"] if dpi is None else dpi
        figure.savefig(path, format=fmt, metadata=metadata[fmt], dpi=dots)
    if fmt == "png":  # 256 colours are enough for a drawing and take a third of the space
        with Image.open(path) as picture:
            few = picture.convert("RGB").quantize(256, dither=Image.Dither.NONE)
            few.save(path, "PNG", optimize=True, dpi=picture.info["dpi"])
    return path
