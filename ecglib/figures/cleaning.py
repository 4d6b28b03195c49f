"""Cleaning step by step: traces beside amplitude spectra, and one mains line close up.

Amplitudes are those of sinusoids, 2 |X| / n in millivolts, so recordings of different rates and
lengths can be drawn on one axis.
"""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ecglib.figures import style

BAND_HZ = 0.5  # to either side of a line
SPECTRUM = ("step", "frequency_hz", "amplitude_mv")
LINE = ("frequency_hz", "before", "fit", "after")


def _need(table: pd.DataFrame, columns: tuple[str, ...], what: str) -> None:
    missing = [name for name in columns if name not in table.columns]
    if missing:
        raise ValueError(f"{what} lacks the columns {', '.join(missing)}")


def _entries(axes: Axes) -> list[tuple]:
    return list(zip(*axes.get_legend_handles_labels(), strict=True))


def steps(
    traces: dict[str, tuple[float, np.ndarray]],
    spectra: pd.DataFrame,
    seconds: float = 4.0,
    highest: float = 150.0,
    title: str = "",
) -> Figure:
    """One lead after each step, a row a step: the trace at the left, its spectrum at the right.

    Args:
        traces: step -> (Hz, (n,) mV), in order; the first is the recording as it came.
        spectra: columns `step`, `frequency_hz`, `amplitude_mv`, for the same steps. From the
            second row on the spectrum of the step before stands behind in grey.
        seconds: how much of the traces is drawn.
        highest: Hz, end of the frequency axis.

    Raises:
        ValueError: a column is missing, or a step has no spectrum.
    """
    _need(spectra, SPECTRUM, "the table of spectra")
    absent = [name for name in traces if name not in set(spectra["step"])]
    if absent:
        raise ValueError(f"the table of spectra has no rows for the step {absent[0]!r}")
    tables = {name: spectra[spectra["step"] == name] for name in traces}
    shown = {name: values[: round(seconds * rate)] for name, (rate, values) in traces.items()}
    low = min(float(values.min()) for values in shown.values())
    high = max(float(values.max()) for values in shown.values())
    margin = 0.05 * (high - low or 1.0)
    with style.sheet():
        figure = style.new_figure(style.DOUBLE, 0.5 + 1.05 * len(traces))
        panels = figure.subplots(
            len(traces), 2, sharex="col", sharey="col", squeeze=False, width_ratios=[1.6, 1.0]
        )
        before = None
        for (left, right), (name, (rate, _)) in zip(panels, traces.items(), strict=True):
            time = np.arange(len(shown[name])) / rate
            left.plot(time, shown[name], color=style.BLUE, lw=0.8)
            left.set(xlim=(0, seconds), ylim=(low - margin, high + margin), ylabel="mV")
            left.set_title(f"{name}, {rate:g} Hz")
            if before is not None:
                right.semilogy(*before, color=style.LIGHT_GREY, lw=0.9)
            before = (tables[name]["frequency_hz"], tables[name]["amplitude_mv"])
            right.semilogy(*before, color=style.BLUE, lw=0.6)
            right.set_ylabel("Amplitude (mV)")
            for axes in (left, right):
                axes.grid(True)
        tops = [table["amplitude_mv"].max() for table in tables.values()]
        panels[0, 1].set(xlim=(0, highest), ylim=(1e-6, 2 * max(tops)))
        panels[-1, 0].set_xlabel("Time (s)")
        panels[-1, 1].set_xlabel("Frequency (Hz)")
        figure.align_ylabels()
        figure.suptitle(title, size=8, x=0.01, ha="left")
    return figure


def line(
    traces: dict[str, np.ndarray],
    spectrum: pd.DataFrame,
    hertz: float,
    rate: float = 250.0,
    window: tuple[float, float] = (2.0, 3.0),
    reach: float = 6.0,
    title: str = "",
) -> Figure:
    """A mains line of one lead before and after it is flattened, in time and in the spectrum.

    Args:
        traces: `before`, `after` and, where it is known, `truth`: (n,) mV at `rate`.
        spectrum: columns `frequency_hz`, `before`, `fit` (LOESS), `after`, in mV.
        hertz: the line; its band is shaded.
        window: seconds that are drawn.
        reach: Hz drawn to either side of the line.

    Raises:
        ValueError: a trace or a column is missing.
    """
    _need(spectrum, LINE, "the spectrum")
    absent = [name for name in ("before", "after") if name not in traces]
    if absent:
        raise ValueError(f"the traces lack {absent[0]!r}")
    looks = {
        "before": {"color": style.GREY, "lw": 0.9, "label": "Before"},
        "after": {"color": style.BLUE, "lw": 1.2, "label": "After"},
        "truth": {"color": "black", "lw": 0.8, "ls": ":", "label": "Without the tone"},
    }
    first, last = (round(t * rate) for t in window)
    near = spectrum[(spectrum["frequency_hz"] - hertz).abs() <= reach]
    with style.sheet():
        figure = style.new_figure(style.DOUBLE, 2.3)
        left, right = figure.subplots(1, 2, width_ratios=[1.4, 1.0])
        for name, look in looks.items():
            if name in traces:
                piece = traces[name][first:last]
                left.plot((first + np.arange(len(piece))) / rate, piece, **look)
        left.set(xlim=window, xlabel="Time (s)", ylabel="mV")
        right.axvspan(hertz - BAND_HZ, hertz + BAND_HZ, color="#F2F2F2", lw=0, zorder=0)
        for name in ("before", "after"):
            right.semilogy(near["frequency_hz"], near[name], **looks[name])
        fit = {"color": style.VERMILION, "lw": 1.0, "ls": "--", "label": "LOESS fit"}
        right.semilogy(near["frequency_hz"], near["fit"], **fit)
        right.set(xlabel="Frequency (Hz)", ylabel="Amplitude (mV)")
        for axes in (left, right):
            axes.grid(True)
        known = {text: mark for axes in (left, right) for mark, text in _entries(axes)}
        figure.legend(known.values(), known.keys(), loc="outside upper right", ncols=4)
        figure.suptitle(title, size=8, x=0.01, ha="left")
    return figure
