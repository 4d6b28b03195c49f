"""ECGs as pictures: the clinical 12-lead page and the plots built on single leads.

The page is drawn in millimetres of ECG paper (25 mm/s, 10 mm/mV; a small square is 0.04 s x 0.1 mV,
a large one 0.2 s x 0.5 mV) with equal aspect, then scaled to the width of the figure. Rows of four
leads show successive quarters of the recording, the last row lead II throughout.
"""

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ecglib.figures import style
from ecglib.signals.leads import LEADS, RATE

PAPER_MM = 250.0  # 10 s
ROW_MM = 25.0
LAYOUT = [["I", "aVR", "V1", "V4"], ["II", "aVL", "V2", "V5"], ["III", "aVF", "V3", "V6"]]
RHYTHM = "II"
MINOR, MAJOR = "#F6DADA", "#EBB0B0"
LEFT_MM = 11.0
SCALE = "25 mm/s   10 mm/mV   (small square 0.04 s, 0.1 mV)"


def _check(signal: np.ndarray, what: str) -> np.ndarray:
    signal = np.asarray(signal, dtype=float)
    if signal.ndim != 2 or len(signal) != len(LEADS):
        raise ValueError(f"{what} must have shape (12, n) in mV, got {signal.shape}")
    return signal


def _lead(name: str) -> int:
    if name not in LEADS:
        raise ValueError(f"unknown lead {name!r}: the leads are {', '.join(LEADS)}")
    return list(LEADS).index(name)


def _page(title: str) -> tuple[Figure, Axes]:
    """An empty page: paper grid, calibration pulses, lead names."""
    rows = len(LAYOUT) + 1
    x0, x1, y0, y1 = -LEFT_MM, PAPER_MM + 1.5, -rows * ROW_MM, 6.0
    height = style.DOUBLE * (y1 - y0) / (x1 - x0)
    figure = style.new_figure(style.DOUBLE, height + 0.46, constrained=False)
    axes = figure.add_axes((0.005, 0.2 / (height + 0.46), 0.99, height / (height + 0.46)))
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
    for row, column, name in _cells():
        x, y = column * PAPER_MM / 4, -ROW_MM * (row + 0.5)
        axes.text(x + 1.2, y + 9.0, name, size=7, weight="bold", va="bottom")
        if column:
            axes.vlines(x, y - 3, y + 3, color="black", lw=0.5)
    figure.text(0.008, 0.055 / (height + 0.46), SCALE, size=6.5, va="bottom")
    figure.text(0.008, 1 - 0.05 / (height + 0.46), title, size=8, va="top")
    return figure, axes


def _cells() -> list[tuple[int, int, str]]:
    """(row, column, lead) of every named piece of the page, the rhythm strip last."""
    cells = [(r, c, name) for r, names in enumerate(LAYOUT) for c, name in enumerate(names)]
    return [*cells, (len(LAYOUT), 0, RHYTHM)]


def _trace(axes: Axes, signal: np.ndarray, rate: int, n_valid: int | None, **line: object) -> None:
    """One 12-lead recording onto the page; samples from n_valid on are not drawn."""
    signal = signal[:, :n_valid]
    for row, column, name in _cells():
        strip = row == len(LAYOUT)
        seconds = PAPER_MM / 25.0
        first = 0 if strip else round(column * seconds / 4 * rate)
        last = round(seconds * rate) if strip else round((column + 1) * seconds / 4 * rate)
        piece = signal[_lead(name), first:last]
        x = 25.0 * (first + np.arange(len(piece))) / rate
        axes.plot(x, 10.0 * piece - ROW_MM * (row + 0.5), **line)


def twelve_lead(
    signal: np.ndarray, rate: int = RATE, n_valid: int | None = None, title: str = ""
) -> Figure:
    """A recording (12, n) in mV on ECG paper, up to 10 s; ValueError for another shape."""
    signal = _check(signal, "the signal")
    with style.sheet():
        figure, axes = _page(title)
        _trace(axes, signal, rate, n_valid, color="black", lw=0.7)
    return figure


def overlay(
    original: np.ndarray,
    reconstruction: np.ndarray,
    method: str,
    rate: int = RATE,
    n_valid: int | None = None,
    title: str = "",
) -> Figure:
    """An original and its reconstruction by `method`, both (12, n) in mV, on one page."""
    original = _check(original, "the original")
    reconstruction = _check(reconstruction, "the reconstruction")
    look = style.method(method)
    with style.sheet():
        figure, axes = _page(title)
        _trace(axes, original, rate, n_valid, color="black", lw=0.9)
        _trace(axes, reconstruction, rate, n_valid, color=look.colour, lw=0.75)
        handles = [
            mpl.lines.Line2D([], [], color="black", lw=1.2, label="Original"),
            mpl.lines.Line2D([], [], color=look.colour, lw=1.2, label=look.name),
        ]
        figure.legend(handles=handles, loc="upper right", ncols=2, borderaxespad=0.1)
    return figure


def closeup(
    original: np.ndarray,
    reconstructions: dict[str, np.ndarray],
    rate: int = RATE,
    leads: tuple[str, ...] = ("II", "V2", "V5"),
    window: tuple[float, float] = (1.0, 2.6),
    title: str = "The original in black, the reconstruction in colour",
) -> Figure:
    """A few beats of some leads, original against reconstructions (method -> (12, n) in mV).

    Panels of one lead stand beside each other for the methods and share their y axis.
    """
    original = _check(original, "the original")
    first, last = (round(t * rate) for t in window)
    t = np.arange(first, last) / rate
    with style.sheet():
        figure = style.new_figure(style.DOUBLE, 0.35 + 1.15 * len(leads))
        panels = figure.subplots(
            len(leads), len(reconstructions), sharex=True, sharey="row", squeeze=False
        )
        for row, lead in enumerate(leads):
            for column, (name, signal) in enumerate(reconstructions.items()):
                axes, look = panels[row, column], style.method(name)
                signal = _check(signal, f"the reconstruction by {name}")
                axes.plot(t, original[_lead(lead), first:last], color="black", lw=1.3)
                axes.plot(t, signal[_lead(lead), first:last], color=look.colour, lw=1.1)
                axes.grid(True)
                if row == 0:
                    axes.set_title(look.name)
            panels[row, 0].set_ylabel(f"{lead} (mV)")
        for axes in panels[-1]:
            axes.set_xlabel("Time (s)")
        figure.align_ylabels()
        figure.suptitle(title, size=8, x=0.01, ha="left")
    return figure


def forecast(
    context: np.ndarray,
    truth: np.ndarray,
    prediction: np.ndarray,
    rate: int = RATE,
    leads: tuple[str, ...] = ("II", "V2", "V5"),
    context_seconds: float = 3.0,
    method: str = "heartllm",
    title: str = "",
) -> Figure:
    """The end of a context (12, n), then the true and the predicted continuation (12, m), in mV."""
    context = _check(context, "the context")[:, -round(context_seconds * rate) :]
    truth, prediction = _check(truth, "the truth"), _check(prediction, "the prediction")
    look = style.method(method)
    past = (np.arange(context.shape[1]) - context.shape[1]) / rate
    with style.sheet():
        figure = style.new_figure(style.DOUBLE, 0.75 + 1.0 * len(leads))
        panels = figure.subplots(len(leads), 1, sharex=True, squeeze=False)[:, 0]
        for axes, lead in zip(panels, leads, strict=True):
            i = _lead(lead)
            axes.axvspan(0, truth.shape[1] / rate, color="#F2F2F2", lw=0, zorder=0)
            axes.plot(past, context[i], color=style.GREY, lw=0.9, label="Context")
            future = np.arange(truth.shape[1]) / rate
            axes.plot(future, truth[i], color="black", lw=1.1, label="Truth")
            future = np.arange(prediction.shape[1]) / rate
            axes.plot(future, prediction[i], color=look.colour, lw=1.1, label="Forecast")
            axes.set_ylabel(f"{lead} (mV)")
            axes.set_xlim(past[0], max(truth.shape[1], prediction.shape[1]) / rate)
        panels[-1].set_xlabel("Time from the end of the context (s)")
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper right", ncols=3)
        figure.align_ylabels()
        figure.suptitle(title, size=8, x=0.01, ha="left")
    return figure


def attention(
    signal: np.ndarray,
    weights: np.ndarray,
    rate: int = RATE,
    leads: tuple[str, ...] = ("II", "V1", "V5"),
    n_valid: int | None = None,
    label: str = "Attention (share of each segment)",
    title: str = "",
) -> Figure:
    """Attention as shading behind leads: weights (k,) over k equal time segments, or (12, k).

    The scale ends at the 95th percentile: the first segment often takes most of the attention
    whatever the ECG shows, and would leave no colour for the rest.
    """
    signal = _check(signal, "the signal")[:, :n_valid]
    weights = np.asarray(weights, dtype=float)
    if weights.ndim not in (1, 2) or (weights.ndim == 2 and len(weights) != len(LEADS)):
        raise ValueError(f"attention weights must be (k,) or (12, k), got {weights.shape}")
    span = signal.shape[1] / rate
    top = float(np.quantile(weights, 0.95)) or float(weights.max())
    cut = "max" if weights.max() > top else "neither"
    with style.sheet():
        figure = style.new_figure(style.DOUBLE, 0.75 + 0.95 * len(leads))
        panels = figure.subplots(len(leads), 1, sharex=True, squeeze=False)[:, 0]
        for axes, lead in zip(panels, leads, strict=True):
            trace = signal[_lead(lead)]
            margin = 0.12 * (np.ptp(trace) or 1.0)
            low, high = trace.min() - margin, trace.max() + margin
            row = weights if weights.ndim == 1 else weights[_lead(lead)]
            picture = axes.imshow(
                row[None, :],
                extent=(0, span, low, high),
                aspect="auto",
                cmap="Oranges",
                vmin=0,
                vmax=top,
                alpha=0.75,
                interpolation="nearest",
            )
            axes.plot(np.arange(len(trace)) / rate, trace, color="black", lw=0.8)
            axes.set(xlim=(0, span), ylim=(low, high), ylabel=f"{lead} (mV)")
        panels[-1].set_xlabel("Time (s)")
        figure.colorbar(picture, ax=list(panels), label=label, extend=cut, shrink=0.9, pad=0.01)
        figure.align_ylabels()
        figure.suptitle(title, size=8, x=0.01, ha="left")
    return figure
