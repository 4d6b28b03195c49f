"""Plots of a few leads: close-ups, forecasts, attention, and many ECGs in a grid."""

from textwrap import fill

import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.lib.stride_tricks import sliding_window_view

from ecglib.figures import style
from ecglib.figures.ecg_page import BEHIND, check_signal, lead_index
from ecglib.signals.leads import LEADS, RATE

_LEADS = ("II", "V1", "V5")  # of a forecast and of attention
_CONTEXT = 3.0  # seconds before a forecast
_STEP, _APART = 1.2, 0.25  # mV, at least: between two base lines of the gallery, and two traces
_BESIDE = 0.1  # seconds: waves as near as this are kept apart, too
_INCH = 0.18  # per mV
_LETTER = 0.058  # inches, of a name at 7 pt


def closeup(
    original: np.ndarray,
    reconstructions: dict[str, np.ndarray],
    leads: tuple[str, ...] = ("II", "V2", "V5"),
    window: tuple[float, float] = (1.0, 2.6),
) -> Figure:
    """A few beats of some leads, original against reconstructions (method -> (12, n) in mV).

    One row per lead with a common y axis, one column per method; `window` in seconds. The last row
    has what the reconstruction of the last lead adds to the original. A title has the mean absolute
    error of all that is drawn of a method.
    """
    original = check_signal(original, "an original")
    first, last = (round(t * RATE) for t in window)
    t, rows = np.arange(first, last) / RATE, [lead_index(lead) for lead in leads]
    truth = original[rows, first:last]  # (leads, samples)
    with style.canvas(style.DOUBLE, 0.35 + 1.05 * (len(leads) + 1)) as figure:
        shape = (len(leads) + 1, len(reconstructions))
        panels = figure.subplots(*shape, sharex=True, sharey="row", squeeze=False)
        for column, (name, signal) in zip(panels.T, reconstructions.items(), strict=True):
            look, signal = style.method(name), check_signal(signal, f"reconstruction by {name}")
            error = 1000 * (signal[rows, first:last] - truth)  # µV
            for axes, lead, i, before in zip(column, leads, rows, truth, strict=False):
                axes.plot(t, before, color=BEHIND, lw=2.4, label="Original")
                axes.plot(t, signal[i, first:last], color=look.colour, lw=0.8)
                axes.set(ylabel=f"{lead} (mV)")
            column[-1].plot(t, error[-1], color=look.colour, lw=0.8)
            column[-1].set(xlabel="Time (s)", ylabel=f"{leads[-1]} error (µV)")
            column[0].set_title(f"{look.name}\n{np.abs(error).mean():.0f} µV")
            for axes in column:
                axes.grid(True)
                axes.label_outer()
        style.panel_letters(*panels[0])
        panels[0, 0].plot([], [], color="black", lw=0.8, label="Decoded")  # a colour of no method
        style.legend(figure, panels[0, 0], ncols=2)
        figure.align_ylabels()
    return figure


def forecast(context: np.ndarray, truth: np.ndarray, predictions: dict[str, np.ndarray]) -> Figure:
    """The end of a context (12, n), then the true continuation (12, m) and one or two predicted
    ones by their names, in mV."""
    looks = [style.method(name) for name in ("heartllm", "heartllm_drawn")]
    context = check_signal(context, "a context")[:, -round(_CONTEXT * RATE) :]
    parts = {
        "Context": (context, -context.shape[1] / RATE, "black", 0.9, "-"),
        "What followed": (check_signal(truth, "a truth"), 0.0, style.GREY, 1.1, "-"),
    }
    for (name, prediction), look in zip(predictions.items(), looks, strict=False):
        checked = check_signal(prediction, "a prediction")
        parts[name] = (checked, 0.0, look.colour, 1.1, look.linestyle)
    with style.canvas(style.DOUBLE, 0.75 + 1.0 * len(_LEADS)) as figure:
        panels = figure.subplots(len(_LEADS), 1, sharex=True)
        for axes, lead in zip(panels, _LEADS, strict=True):
            axes.axvspan(0, truth.shape[1] / RATE, color="#F2F2F2", lw=0, zorder=0)
            for label, (signal, begin, colour, width, dashes) in parts.items():
                seconds = begin + np.arange(signal.shape[1]) / RATE
                piece = signal[lead_index(lead)]
                axes.plot(seconds, piece, color=colour, lw=width, ls=dashes, label=label)
            axes.set_ylabel(f"{lead} (mV)")
        end = max(truth.shape[1], *(of.shape[1] for of in predictions.values())) / RATE
        panels[0].set_xlim(-context.shape[1] / RATE, end)
        panels[-1].set_xlabel("Time from the end of the context (s)")
        style.legend(figure, panels[0], ncols=2)
        figure.align_ylabels()
    return figure


def attention(
    signal: np.ndarray,
    weights: np.ndarray,
    label: str,
    title: str = "",
    method: str = "heartllm",
    segment: float = 0.0,
) -> Figure:
    """Attention as shading behind leads: weights (k,) over k equal time segments, or (12, k), those
    of each lead. `label` is that of the scale, and `method` gives the colour. A segment has
    `segment` seconds, so that the last one may reach beyond the signal, or a k-th of the signal
    where that is 0.

    The scale ends at the 95th percentile, because the first segment often takes most of the
    attention whatever the ECG shows, and would leave no colour for the rest.
    """
    signal = check_signal(signal, "a signal")
    weights = np.asarray(weights, dtype=float)
    if weights.ndim != 1 and weights.shape[:-1] != signal.shape[:1]:
        raise ValueError(f"expected attention weights (k,) or (12, k), got {weights.shape}")
    by_lead = np.broadcast_to(weights, (len(signal), weights.shape[-1]))
    span = signal.shape[1] / RATE
    top = float(np.quantile(weights, 0.95)) or float(weights.max())
    cut = "max" if weights.max() > top else "neither"
    shade = sns.light_palette(style.method(method).colour, as_cmap=True)
    shading = {"cmap": shade, "vmin": 0, "vmax": top, "alpha": 0.75}
    with style.canvas(style.DOUBLE, 0.75 + 0.95 * len(_LEADS), title) as figure:
        panels = figure.subplots(len(_LEADS), 1, sharex=True)
        for axes, lead in zip(panels, _LEADS, strict=True):
            trace, row = signal[lead_index(lead)], by_lead[lead_index(lead)]
            margin = 0.12 * (np.ptp(trace) or 1.0)
            low, high = trace.min() - margin, trace.max() + margin
            edges = (segment or span / len(row)) * np.arange(len(row) + 1)
            picture = axes.pcolormesh(edges, [low, high], row[None], **shading, rasterized=True)
            axes.plot(np.arange(len(trace)) / RATE, trace, color="black", lw=0.8)
            axes.set(xlim=(0, span), ylim=(low, high), ylabel=f"{lead} (mV)")
        panels[-1].set_xlabel("Time (s)")
        bar = {"label": label, "extend": cut, "shrink": 0.9, "pad": 0.01}
        figure.colorbar(picture, ax=list(panels), **bar)
        figure.align_ylabels()
    return figure


def gallery(
    signals: dict[str, np.ndarray],
    rate: float,
    leads: tuple[str, ...] = ("II", "V1", "V5"),
    start: float = 2.0,
    seconds: float = 3.0,
    columns: int = 4,
) -> Figure:
    """One panel per ECG of `signals` (name -> (12, n) mV, at `rate` Hz), in rows of `columns`.

    Drawn are some leads, and `seconds` of the recording from `start` on. Time and voltage have the
    same scale in all panels; a bar of 1 s and 1 mV is in the first empty place, or else in the last
    panel. The panels of a row share base lines, which keep each trace off the next. Raises
    ValueError without an ECG, for an unknown lead, and for an ECG of another shape or too short.
    """
    if not signals:
        raise ValueError("expected at least one ECG to draw, got none")
    indices = {lead: lead_index(lead) for lead in leads}
    first, last = round(start * rate), round((start + seconds) * rate)
    for name, signal in signals.items():
        if np.ndim(signal) != 2 or len(signal) != len(LEADS) or signal.shape[1] < last:
            wanted = f"expected the ECG of {name!r} as (12, {last} or more) in mV"
            raise ValueError(f"{wanted}, got {np.shape(signal)}")
    pieces = [signal[list(indices.values()), first:last] for signal in signals.values()]
    of_rows = [pieces[i : i + columns] for i in range(0, len(pieces), columns)]
    levels = [_base_lines(row, round(_BESIDE * rate)) for row in of_rows]
    tops = [max(piece[0].max() for piece in row) + _APART for row in of_rows]
    bottoms = [
        of[-1] + min(piece[-1].min() for piece in row) - _APART
        for of, row in zip(levels, of_rows, strict=True)
    ]
    is_full = len(signals) % columns == 0
    bottoms[-1] -= 1.2 * is_full  # room for the bar
    heights = np.subtract(tops, bottoms)
    with style.canvas(style.DOUBLE, 0.3 + 0.32 * len(heights) + _INCH * heights.sum()) as figure:
        shape = {"sharex": True, "height_ratios": heights, "squeeze": False}
        panels = figure.subplots(len(heights), columns, **shape)
        for row, bottom, top in zip(panels, bottoms, tops, strict=True):
            for axes in row:  # with room for the names of the leads at the left
                axes.set(xlim=(-0.2 * seconds, seconds), ylim=(bottom, top), xticks=[], yticks=[])
                axes.spines[:].set_visible(False)
        for i, (name, piece) in enumerate(zip(signals, pieces, strict=True)):
            _traces(panels.flat[i], piece, rate, levels[i // columns], leads)
            title = fill(name, int((style.DOUBLE / columns - 0.05) / _LETTER))
            panels.flat[i].set_title(title, size=7, pad=1)
        if is_full:
            _bar(panels.flat[-1], seconds - 1.0, bottoms[-1])
        else:
            _bar(panels.flat[len(signals)], 0.2 * seconds, levels[-1].mean() - 0.5)
    return figure


def _base_lines(pieces: list[np.ndarray], beside: int) -> np.ndarray:
    """Levels (mV) of the leads of ECGs (leads, n) in one row, the first at 0. Two traces keep apart
    also where their waves are `beside` samples from each other."""

    def near(trace: np.ndarray) -> np.ndarray:
        """What each sample has around it, (n, 2 beside + 1)."""
        return sliding_window_view(np.pad(trace, beside, mode="edge"), 2 * beside + 1)

    level = [0.0]
    for upper in range(len(pieces[0]) - 1):
        most = max(
            np.max(near(piece[upper + 1]).max(1) - near(piece[upper]).min(1)) for piece in pieces
        )
        level.append(level[-1] - max(_STEP, most + _APART))
    return np.array(level)


def _traces(
    axes: Axes, piece: np.ndarray, rate: float, levels: np.ndarray, leads: tuple[str, ...]
) -> None:
    """The leads of one ECG, each on its base line, with their names."""
    time = np.arange(piece.shape[1]) / rate
    looks = {"size": 7, "color": style.GREY, "ha": "right", "va": "center"}
    for trace, level, lead in zip(piece, levels, leads, strict=True):
        axes.plot(time, trace + level, color="black", lw=0.6)
        axes.text(-0.03 * time[-1], level, lead, **looks)


def _bar(axes: Axes, x: float, y: float) -> None:
    """1 s and 1 mV, from their common corner on."""
    line = {"color": style.ACCENT, "lw": 1.0, "clip_on": False}
    axes.plot([x, x, x + 1.0], [y + 1.0, y, y], **line)
    text = {"size": 7, "color": style.ACCENT, "clip_on": False}
    axes.text(x + 0.5, y - 0.1, "1 s", ha="center", va="top", **text)
    axes.text(x - 0.05, y + 0.5, "1 mV", ha="right", va="center", **text)
