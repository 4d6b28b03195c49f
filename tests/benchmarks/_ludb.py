"""Intervals of LUDB's records by the onsets and ends that cardiologists set in every lead.

Beside `measure_ludb` it is imported by `_neurokit_ludb`, which runs in another environment, so it
needs numpy and wfdb only.
"""

from pathlib import Path

import numpy as np
import wfdb

LEADS = ("i", "ii", "iii", "avr", "avl", "avf", "v1", "v2", "v3", "v4", "v5", "v6")
_FEWEST = 6  # leads in which a beat is annotated
_APART = 0.1  # s; the QRS peaks of one beat in different leads are nearer
_LONGEST_PR, _LONGEST_QT = 0.5, 0.8  # s from the peak of P to that of R, from R to the peak of T
_WAVES = {"p": "p", "N": "qrs", "t": "t"}


def records(folder: Path) -> list[str]:
    """Names of the records in `folder`/data, by number."""
    return sorted((path.stem for path in (folder / "data").glob("*.hea")), key=int)


def read(folder: Path, name: str) -> tuple[np.ndarray, float, str]:
    """(12, n) mV in the usual order of leads, the rate in Hz, and the rhythm that is named."""
    record = wfdb.rdrecord(str(folder / "data" / name))
    have = [lead.lower() for lead in record.sig_name]
    signal = record.p_signal.T[[have.index(lead) for lead in LEADS]]
    rhythm = [line for line in record.comments if "Rhythm" in line]
    return signal.astype(np.float32), float(record.fs), rhythm[0] if rhythm else ""


def diagnoses(folder: Path, name: str) -> str:
    """What the record's header says of the patient, in small letters."""
    return "\n".join(wfdb.rdheader(str(folder / "data" / name)).comments).lower()


def qrs_peaks(folder: Path, name: str, rate: float) -> np.ndarray:
    """(k,) samples: the median over the leads of each beat's QRS peak, as the annotators set it.

    They leave out the first and the last beat of most records.
    """
    return _middles([_waves(folder, name, lead) for lead in LEADS], rate)


def intervals(beats: dict[str, np.ndarray], rate: float) -> dict[str, float]:
    """PR, QRS and QT in ms: from the second-earliest onset to the second-latest end, so that no
    single lead decides; the median over the beats, NaN where it has none.

    Args:
        beats: p_onset, qrs_onset, qrs_end and t_end, each (beats, 12) samples with NaN.
        rate: samples per second.
    """
    onset, end = {}, {}
    for name, values in beats.items():
        ordered = np.sort(np.where(np.isfinite(values), values, np.inf), axis=1)
        count = np.isfinite(values).sum(axis=1)
        rows, enough = np.arange(len(values)), count >= 2
        place = np.where(enough, count - 2, 0)
        onset[name] = np.where(enough, ordered[:, 1], np.nan)
        end[name] = np.where(enough, ordered[rows, place], np.nan)
    lengths = {
        "pr": onset["qrs_onset"] - onset["p_onset"],
        "qrs": end["qrs_end"] - onset["qrs_onset"],
        "qt": end["t_end"] - onset["qrs_onset"],
    }
    usual = {name: length[np.isfinite(length)] for name, length in lengths.items()}
    return {
        name: float(1000 * np.median(length) / rate) if len(length) else float("nan")
        for name, length in usual.items()
    }


def reference(folder: Path, name: str, rate: float) -> dict[str, float]:
    """The intervals of the annotators; the waves of the same beat are joined over the leads."""
    waves = [_waves(folder, name, lead) for lead in LEADS]
    middles = _middles(waves, rate)
    edges = np.r_[-np.inf, middles, np.inf]
    beats = {key: np.full((len(middles), 12), np.nan) for key in _PLACES}
    for row, (before, middle, after) in enumerate(zip(edges[:-2], middles, edges[2:], strict=True)):
        spans = {
            "p": (max(before, middle - _LONGEST_PR * rate), middle),
            "qrs": (middle - _APART * rate, middle + _APART * rate),
            "t": (middle, min(after, middle + _LONGEST_QT * rate)),
        }
        for column, lead in enumerate(waves):
            for key, (wave, place) in _PLACES.items():
                low, high = spans[wave]
                inside = (lead[wave][:, 1] > low) & (lead[wave][:, 1] < high)
                if inside.any():
                    beats[key][row, column] = lead[wave][inside][-1, place]
    return intervals(beats, rate)


_PLACES = {"p_onset": ("p", 0), "qrs_onset": ("qrs", 0), "qrs_end": ("qrs", 2), "t_end": ("t", 2)}


def _middles(waves: list[dict[str, np.ndarray]], rate: float) -> np.ndarray:
    """(k,) samples of the beats whose QRS is annotated in enough leads."""
    peaks = np.sort(np.concatenate([lead["qrs"][:, 1] for lead in waves]))
    groups = np.split(peaks, np.flatnonzero(np.diff(peaks) > _APART * rate) + 1)
    return np.array([np.median(group) for group in groups if len(group) >= _FEWEST])


def _waves(folder: Path, name: str, lead: str) -> dict[str, np.ndarray]:
    """Onset, peak and end of every wave in one lead, (k, 3) samples; NaN where not set."""
    marks = wfdb.rdann(str(folder / "data" / name), lead)
    waves: dict[str, list] = {wave: [] for wave in _WAVES.values()}
    symbols = ["", *marks.symbol, ""]
    samples = [np.nan, *marks.sample.tolist(), np.nan]
    for place, symbol in enumerate(symbols):
        if symbol in _WAVES:
            onset = samples[place - 1] if symbols[place - 1] == "(" else np.nan
            end = samples[place + 1] if symbols[place + 1] == ")" else np.nan
            waves[_WAVES[symbol]].append((onset, samples[place], end))
    return {wave: np.array(rows, dtype=float).reshape(-1, 3) for wave, rows in waves.items()}
