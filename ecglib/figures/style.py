"""The style sheet, sizes, and the one map from a method to its colour, marker, line and name.

Colours are those of Okabe and Ito, which colour-blind readers can distinguish. No figure relies on
colour alone: markers, line styles and hatches differ too.
"""

from collections.abc import Container, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from string import ascii_lowercase

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

SHEET = Path(__file__).with_name("ecglib.mplstyle")
COLUMN = 3.4  # inches, one column of a journal page
DOUBLE = 7.0  # inches, both columns

BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
YELLOW, BLUE, VERMILION, PURPLE = "#F0E442", "#0072B2", "#D55E00", "#CC79A7"
GREY, LIGHT_GREY = "#7F7F7F", "#BFBFBF"


@dataclass(frozen=True)
class Method:
    """How a method is drawn, everywhere."""

    colour: str
    marker: str
    linestyle: str
    name: str
    hatch: str = ""


METHOD = {
    "vq": Method(SKY, "v", ":", "VQ", "..."),
    "rvq": Method(ORANGE, "s", "--", "RVQ", "///"),
    "qinco": Method(BLUE, "o", "-", "QINCo"),
    "fsq": Method(PURPLE, "D", "-.", "FSQ", "\\\\\\"),
    "bpe": Method(GREEN, "^", "-.", "Byte pairs", "---"),
    "prevalence": Method(LIGHT_GREY, "x", ":", "Prevalence only"),
    "ecg_tok": Method(BLUE, "o", "-", "ECG-Tok"),
    "ecg_tok_cold": Method(SKY, "v", "--", "ECG-Tok, no warm-up", "///"),
    "no_ecg": Method(VERMILION, "s", "--", "No ECG", "\\\\\\"),
    "shuffled": Method(ORANGE, "^", "-.", "Shuffled ECG", "..."),
    "majority": Method(LIGHT_GREY, "x", ":", "Majority"),
    "text_only": Method(GREY, "h", ":", "Words alone", "|||"),
    "retrieval": Method(GREY, "P", ":", "Nearest neighbour", "xxx"),
    "oracle": Method(BLACK, "*", "-", "Oracle"),
    "heartllm": Method(GREEN, "D", "-", "HeartLLM"),
    "heartllm_no_pretraining": Method(PURPLE, "d", "--", "HeartLLM, no pretraining", "///"),
    "untrained": Method(GREY, "p", ":", "Untrained", "---"),
}


def method(key: str) -> Method:
    """The drawing style of a method; ValueError for a name without an entry in METHOD."""
    if key not in METHOD:
        raise ValueError(
            f"method {key!r} has no colour; add it to METHOD in ecglib/figures/style.py, which has "
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
            figure.suptitle(title, size=8, x=0.01, ha="left")
        yield figure


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


def legend(figure: Figure, *panels: Axes, ncols: int, loc: str = "outside upper right") -> None:
    """One legend of some panels for the whole figure; each label once."""
    entries = {}
    for axes in panels:
        entries |= dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
    figure.legend(entries.values(), entries.keys(), loc=loc, ncols=ncols)


def panel_letters(*panels: Axes) -> None:
    """A bold letter above the top left corner of each panel: a, b, ..."""
    for axes, letter in zip(panels, ascii_lowercase, strict=False):
        axes.text(-0.02, 1.02, letter, transform=axes.transAxes, weight="bold", size=9, ha="right")


def stamp(figure: Figure, text: str) -> None:
    """A small grey line at the bottom right: which run and key made the figure."""
    layout = figure.get_layout_engine()
    if layout is not None:  # keep a strip free for the stamp
        layout.set(rect=(0, 0.14 / figure.get_figheight(), 1, 1 - 0.14 / figure.get_figheight()))
    figure.text(
        0.995, 0.004, text, size=5, color=GREY, ha="right", va="bottom", family="DejaVu Sans"
    )


def save(figure: Figure, path: Path) -> Path:
    """Write PDF or PNG (by suffix) such that equal figures give equal bytes."""
    fmt = path.suffix.removeprefix(".")
    metadata = {"pdf": {"CreationDate": None}, "png": {"Software": None}}
    if fmt not in metadata:
        raise ValueError(f"{path}: expected a figure as .pdf or .png, got {fmt!r}")
    path.parent.mkdir(parents=True, exist_ok=True)
    with sheet():
        figure.savefig(path, format=fmt, metadata=metadata[fmt])
    return path
