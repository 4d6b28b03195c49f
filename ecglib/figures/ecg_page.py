"""The clinical 12-lead page, alone or with a reconstruction over it.

The page is drawn in millimetres of ECG paper (25 mm/s, 10 mm/mV; a small square is 0.04 s x 0.1 mV,
a large one 0.2 s x 0.5 mV) with equal aspect, then scaled to the width of the figure. Rows of four
leads show successive quarters of the recording, the last row lead II throughout.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ecglib.figures import style
from ecglib.signals.leads import LEADS, RATE

PAPER_MM = 250.0  # 10 s
ROW_MM = 25.0
LAYOUT = [["I", "aVR", "V1", "V4"], ["II", "aVL", "V2", "V5"], ["III", "aVF", "V3", "V6"]]
RHYTHM = "II"
MINOR, MAJOR = "#F6DADA", "#EBB0B0"
BEHIND = "#A6A6A6"  # an original, as a broad line behind its reconstruction
LEFT_MM = 11.0
NAME_MM, NAME_MV = 10.0, 0.85  # length of a lead's name, and the voltage below which it is free
SCALE = "small square 0.04 s, 0.1 mV; large square 0.2 s, 0.5 mV"


def check_signal(signal: np.ndarray, name: str) -> np.ndarray:
    """The signal as floats; ValueError unless its shape is (12, n)."""
    signal = np.asarray(signal, dtype=float)
    if signal.ndim != 2 or len(signal) != len(LEADS):
        raise ValueError(f"expected {name} of shape (12, n) in mV, got {signal.shape}")
    return signal


def lead_index(name: str) -> int:
    """The position of a lead; ValueError for an unknown name."""
    if name not in LEADS:
        raise ValueError(f"unknown lead {name!r}; the leads are {', '.join(LEADS)}")
    return list(LEADS).index(name)


@contextmanager
def _page(above: float = 0.04) -> Iterator[tuple[Figure, Axes]]:
    """An empty page: paper grid and calibration pulses; `above` in inches for a legend."""
    rows = len(LAYOUT) + 1
    x0, x1, y0, y1 = -LEFT_MM, PAPER_MM + 1.5, -rows * ROW_MM, 6.0
    height = style.DOUBLE * (y1 - y0) / (x1 - x0)
    whole = height + 0.2 + above
    with style.canvas(style.DOUBLE, whole, constrained=False) as figure:
        axes = figure.add_axes((0.005, 0.2 / whole, 0.99, height / whole))
        axes.set(xlim=(x0, x1), ylim=(y0, y1), aspect="equal", xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
        for step, colour, width in ((1.0, MINOR, 0.25), (5.0, MAJOR, 0.45)):
            xs = np.arange(np.ceil(x0 / step) * step, x1, step)
            ys = np.arange(np.ceil(y0 / step) * step, y1, step)
            axes.vlines(xs, y0, y1, color=colour, lw=width, zorder=0)
            axes.hlines(ys, x0, x1, color=colour, lw=width, zorder=0)
        for row in range(rows):
            base = -ROW_MM * (row + 0.5)
            pulse = ([-9, -8, -8, -3, -3, -2], [base, base, base + 10, base + 10, base, base])
            axes.plot(*pulse, color="black", lw=0.7)
        for row, column, _ in _cells():
            x, y = column * PAPER_MM / 4, -ROW_MM * (row + 0.5)
            if column:
                axes.vlines(x, y - 3, y + 3, color="black", lw=0.5)
        figure.text(0.008, 0.055 / whole, SCALE, size=7, va="bottom")
        yield figure, axes


def _cells() -> list[tuple[int, int, str]]:
    """(row, column, lead) of every named piece of the page, the rhythm strip last."""
    cells = [(r, c, name) for r, names in enumerate(LAYOUT) for c, name in enumerate(names)]
    return [*cells, (len(LAYOUT), 0, RHYTHM)]


def _trace(
    axes: Axes, signal: np.ndarray, n_valid: int | None, named: bool = True, **line: object
) -> None:
    """One 12-lead recording onto the page; samples from n_valid on are not drawn."""
    signal = signal[:, :n_valid]
    samples = round(PAPER_MM / 25.0 * RATE)
    for row, column, name in _cells():
        strip = row == len(LAYOUT)
        first = 0 if strip else round(column * samples / 4)
        last = samples if strip else round((column + 1) * samples / 4)
        piece = signal[lead_index(name), first:last]
        if named:
            place = 25.0 * (first + _free_start(piece)) / RATE + 1.2
            base = 9.0 - ROW_MM * (row + 0.5)
            axes.text(place, base, name, size=7, weight="bold", va="bottom")
        x = 25.0 * (first + np.arange(len(piece))) / RATE
        axes.plot(x, 10.0 * piece - ROW_MM * (row + 0.5), **line)


def _free_start(piece: np.ndarray) -> int:
    """The first sample from which a lead's name would cross no wave; 0 where there is none."""
    length = round(NAME_MM / 25.0 * RATE)
    starts = range(0, max(1, len(piece) - length), length // 10)
    return next((i for i in starts if piece[i : i + length].max(initial=0.0) < NAME_MV), 0)


def twelve_lead(signal: np.ndarray, n_valid: int | None = None) -> Figure:
    """A recording (12, n) in mV, 250 Hz, up to 10 s, on paper; ValueError for another shape."""
    signal = check_signal(signal, "a signal")
    with _page() as (figure, axes):
        _trace(axes, signal, n_valid, color="black", lw=0.7)
    return figure


def overlay(
    original: np.ndarray, reconstruction: np.ndarray, method: str, n_valid: int | None = None
) -> Figure:
    """An original and its reconstruction by `method`, both (12, n) in mV, on one page."""
    original = check_signal(original, "an original")
    reconstruction = check_signal(reconstruction, "a reconstruction")
    look = style.method(method)
    with _page(above=0.26) as (figure, axes):
        _trace(axes, original, n_valid, color=BEHIND, lw=2.2)
        _trace(axes, reconstruction, n_valid, named=False, color=look.colour, lw=0.7)
        axes.plot([], [], color=BEHIND, lw=2.2, label="Original")
        axes.plot([], [], color=look.colour, lw=1.0, label=look.name)
        figure.legend(loc="upper right", ncols=2, borderaxespad=0.1)
    return figure
