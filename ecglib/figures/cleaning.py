"""Cleaning step by step: traces beside amplitude spectra, and one mains line in a close-up.

Amplitudes are those of sinusoids, 2 |X| / n in millivolts, so recordings of different rates and
lengths can be drawn on one axis.
"""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ecglib.figures import style
from ecglib.signals.leads import RATE

BAND_HZ = 0.5  # on either side of a line
SPECTRUM = ("step", "frequency_hz", "amplitude_mv")
LINE = ("frequency_hz", "before", "fit", "after")
SECONDS = 5.0  # of the traces of all steps
HIGHEST_HZ = 150.0  # of the spectra
LEAST_MV = 1e-5  # of a sinusoid that is drawn
BEFORE = {"color": style.LIGHT_GREY, "lw": 1.1, "label": "The step before"}
AFTER = {"color": style.BLACK, "lw": 0.7, "label": "After this step"}
NEVER = "#8CB4FF"  # a blue of no method
WINDOW = (2.0, 3.0)  # seconds of the traces around a line
REACH_HZ = 6.0  # of the spectrum on either side of a line


def steps(traces: dict[str, tuple[float, np.ndarray]], spectra: pd.DataFrame) -> Figure:
    """One lead after each step, one row per step: the trace at the left, its spectrum at the right
    (both axes are logarithmic).

    `traces`: step -> (Hz, (n,) mV), in order; the first is the recording before any step.
    `spectra`: columns step, frequency_hz, amplitude_mv, for the same steps (else ValueError). From
    the second row on, the previous step is drawn in grey behind.
    """
    style.require(SPECTRUM, spectra, "the table of spectra")
    style.require(traces, set(spectra["step"]), "the steps of the spectra")
    tables = {name: spectra[spectra["step"] == name] for name in traces}
    pieces = {name: values[: round(SECONDS * rate)] for name, (rate, values) in traces.items()}
    low = min(float(values.min()) for values in pieces.values())
    high = max(float(values.max()) for values in pieces.values())
    margin = 0.05 * (high - low or 1.0)
    with style.canvas(style.DOUBLE, 0.5 + 1.05 * len(traces)) as figure:
        grid = {"sharex": "col", "sharey": "col", "width_ratios": [1.6, 1.0]}
        panels = figure.subplots(len(traces), 2, squeeze=False, **grid)
        before = None
        for (left, right), (name, (rate, _)) in zip(panels, traces.items(), strict=True):
            now = (np.arange(len(pieces[name])) / rate, pieces[name])
            lines = (tables[name]["frequency_hz"], tables[name]["amplitude_mv"])
            for two, look in ((before, BEFORE), ((now, lines), AFTER)):
                if two is not None:
                    left.plot(*two[0], **look)
                    right.loglog(*two[1], **look)
            before = (now, lines)
            left.set(xlim=(0, SECONDS), ylim=(low - margin, high + margin))
            left.set_title(f"{name} (sampled at {rate:g} Hz)")
            for axes in (left, right):
                axes.set_ylabel("mV")
                axes.grid(True)
        highest = max(table["amplitude_mv"].max() for table in tables.values())
        lowest = min(
            table["frequency_hz"][table["frequency_hz"] > 0].min() for table in tables.values()
        )
        panels[0, 1].set(xlim=(lowest, HIGHEST_HZ), ylim=(LEAST_MV, 2 * highest))
        style.plain_log(panels[0, 1].xaxis, (1,))  # wander is at the lowest frequencies
        panels[-1, 0].set_xlabel("Time (s)")
        panels[-1, 1].set_xlabel("Frequency (Hz)")
        panels[0, 1].set_title("Amplitude of sinusoids (mV)")
        style.panel_letters(*panels.ravel())
        style.legend(figure, panels[-1, 0], ncols=2)
    return figure


def spectra(traces: dict[str, tuple[float, np.ndarray]]) -> pd.DataFrame:
    """The table of spectra that `steps` draws, of the same traces."""
    tables = []
    for name, (rate, x) in traces.items():
        table = {"step": name, "frequency_hz": np.fft.rfftfreq(len(x), 1 / rate)}
        tables.append(pd.DataFrame(table | {"amplitude_mv": 2 * np.abs(np.fft.rfft(x)) / len(x)}))
    return pd.concat(tables, ignore_index=True)


def line(traces: dict[str, np.ndarray], spectrum: pd.DataFrame, hertz: float) -> Figure:
    """A mains line of one lead before and after it is flattened, in time and in the spectrum.

    `traces`: `before`, `after` and, where it is known, `truth`: (n,) mV at 250 Hz. `spectrum`:
    columns frequency_hz, before, fit (LOESS) and after, in mV. The band of the line at `hertz` is
    shaded. Raises ValueError where a trace or a column is missing.
    """
    style.require(LINE, spectrum, "the spectrum")
    style.require(("before", "after"), traces, "the traces")
    looks = {
        "before": {"color": style.LIGHT_GREY, "lw": 1.1, "label": "Before"},
        "after": {"color": style.BLACK, "lw": 1.0, "label": "After"},
        "truth": {"color": NEVER, "lw": 3.0, "label": "Never had the tone", "zorder": 1.9},
    }
    first, last = (round(t * RATE) for t in WINDOW)
    near = spectrum[(spectrum["frequency_hz"] - hertz).abs() <= REACH_HZ]
    with style.canvas(style.DOUBLE, 2.3) as figure:
        left, right = figure.subplots(1, 2, width_ratios=[1.4, 1.0])
        for name, look in looks.items():
            if name in traces:
                piece = traces[name][first:last]
                left.plot((first + np.arange(len(piece))) / RATE, piece, **look)
        left.set(xlim=WINDOW, xlabel="Time (s)", ylabel="Lead I (mV)")
        right.axvspan(hertz - BAND_HZ, hertz + BAND_HZ, color="#F2F2F2", lw=0, zorder=0)
        for name in ("before", "after"):
            right.semilogy(near["frequency_hz"], near[name], **looks[name])
        fit = {"color": style.ACCENT, "lw": 1.0, "ls": "--", "label": "LOESS fit"}
        right.semilogy(near["frequency_hz"], near["fit"], **fit)
        right.set(xlabel="Frequency (Hz)", ylabel="Amplitude (mV)")
        left.grid(True)
        right.grid(True)
        style.panel_letters(left, right)
        style.legend(figure, left, right, ncols=4)
    return figure
