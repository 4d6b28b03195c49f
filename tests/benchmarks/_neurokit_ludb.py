"""Intervals of LUDB's records by neurokit2: JSON on standard output.

    PYTHON _neurokit_ludb.py FOLDER

PYTHON is that of an environment of its own (`measure_ludb` says how it is made). Beats come from
lead II (`ecg_peaks`), onsets and ends from the method "prominence" in each lead, and they are
joined over the leads as the annotators' are.
"""

import json
import sys
import warnings
from importlib.metadata import version
from pathlib import Path

import neurokit2
import numpy as np
from _ludb import intervals, read, records

KEYS = {
    "p_onset": "ECG_P_Onsets",
    "qrs_onset": "ECG_R_Onsets",
    "qrs_end": "ECG_R_Offsets",
    "t_end": "ECG_T_Offsets",
}


def measure(signal: np.ndarray, rate: float) -> dict[str, float]:
    """PR, QRS and QT (ms) of one ECG; `signal` is (12, n) in mV."""
    hertz = int(rate)
    cleaned = [neurokit2.ecg_clean(lead.astype(float), sampling_rate=hertz) for lead in signal]
    peaks = neurokit2.ecg_peaks(cleaned[1], sampling_rate=hertz)[1]["ECG_R_Peaks"]
    beats = {key: np.full((len(peaks), 12), np.nan) for key in KEYS}
    for column, lead in enumerate(cleaned):
        waves = neurokit2.ecg_delineate(
            lead, peaks, sampling_rate=hertz, method="prominence", check=False
        )[1]
        for key, name in KEYS.items():
            measured = np.array(waves[name], dtype=float)
            beats[key][: len(measured), column] = measured
    return intervals(beats, rate)


def main() -> None:
    """Measure all records."""
    warnings.simplefilter("ignore")
    folder = Path(sys.argv[1])
    measured, failed = {}, {}
    for name in records(folder):
        signal, rate, _ = read(folder, name)
        try:
            measured[name] = measure(signal, rate)
        except (ValueError, IndexError, KeyError, ZeroDivisionError) as error:
            failed[name] = f"{type(error).__name__}: {error}"
    result = {"version": version("neurokit2"), "intervals": measured, "failed": failed}
    print(json.dumps(result))


if __name__ == "__main__":
    main()
