"""What a reader of the ECG would measure after it went through a tokenizer's codes.

Original and reconstruction are measured by the same program (`ecglib.signals.measure`), each alone,
as a cardiologist would measure the one without the other. A measurement that exists in one of the
two only is kept as such: a lost P wave is an error, not a missing value.
"""

import numpy as np
import pandas as pd
from joblib import Parallel, delayed

from ecglib.fidelity import small_waves
from ecglib.fidelity.round_trip import SignalSlice, each_ecg
from ecglib.fidelity.wave_error import R_LOWEST
from ecglib.labels.label_groups import GROUPS
from ecglib.labels.label_set import PRESENT, Label
from ecglib.signals.leads import LEADS, RATE
from ecglib.signals.measure import measure

# quantity: (its name in `measure`, unit, digits that are kept)
INTERVALS = {
    "heart_rate": ("heart_rate", "1/min", 1),
    "pr": ("pr", "ms", 0),
    "qrs_duration": ("qrs", "ms", 0),
    "qt": ("qt", "ms", 0),
}
BY_LEAD = {
    "r_amplitude": ("r", "mV", 3),
    "t_amplitude": ("t", "mV", 3),
    "st_level": ("st", "mV", 3),
}
PACED = [Label.VENTRICULAR_PACED, Label.LV_PACED, Label.ATRIAL_PACED]
UNITS = {name: unit for name, (_, unit, _) in (INTERVALS | BY_LEAD).items()}


def measured(
    signals: SignalSlice, n_valid: np.ndarray, workers: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Measure ECGs, each without its padding.

    Args:
        signals: of the ECGs, see `round_trip.originals` and `round_trip.reconstructions`.
        n_valid: (n,) samples with signal.
        workers: processes.

    Returns:
        one row per ECG, twice. First the measurements of `ecglib.signals.measure`, NaN where
        there is none. Then the small waves of `small_waves.find_waves`.
    """
    parallel = Parallel(n_jobs=workers, return_as="generator")
    rows = parallel(delayed(_measure_one)(x) for x in each_ecg(signals, n_valid))
    values, waves = zip(*rows, strict=True)
    return pd.DataFrame(values), pd.DataFrame(waves)


def _measure_one(x: np.ndarray) -> tuple[dict[str, float], dict[str, float]]:
    return measure(x, RATE), small_waves.find_waves(x, RATE)


def compare(original: pd.DataFrame, reconstruction: pd.DataFrame) -> pd.DataFrame:
    """Both measurements of each ECG and quantity, and in each lead where the quantity has one.

    R is compared where the original has 0.2 mV or more. Rows without any measurement are left out.

    `original`, `reconstruction`: measurements of the same ECGs, from `measured`.

    Returns:
        columns row (number of the ECG), item (`pr`, `st_level:V2`), original, reconstruction: in
        the units of `UNITS`, NaN where it could not be measured.
    """
    parts = []
    for quantity, (name, _, digits) in INTERVALS.items():
        parts.append(_pair(original[name], reconstruction[name], quantity, digits))
    for quantity, (kind, _, digits) in BY_LEAD.items():
        for lead in LEADS:
            before, after = (table[f"{kind}_{lead}"] for table in (original, reconstruction))
            if quantity == "r_amplitude":
                after = after.where(before >= R_LOWEST)
                before = before.where(before >= R_LOWEST)
            parts.append(_pair(before, after, f"{quantity}:{lead}", digits))
    return pd.concat(parts, ignore_index=True)


def _pair(before: pd.Series, after: pd.Series, item: str, digits: int) -> pd.DataFrame:
    values = {"original": before.round(digits), "reconstruction": after.round(digits)}
    pair = pd.DataFrame({"row": np.arange(len(before)), "item": item} | values)
    return pair[pair[["original", "reconstruction"]].notna().any(axis=1)]


def conditions_of(labels: np.ndarray) -> pd.DataFrame:
    """The conditions of ECGs, labels int8 (n, 77): columns row and condition, a row for each pair.
    Labels that one condition brings together count once (`label_groups`)."""
    present = {name: (labels[:, list(group)] == PRESENT).any(1) for name, group in GROUPS.items()}
    rows = [(row, name) for name, has in present.items() for row in np.flatnonzero(has)]
    return pd.DataFrame(rows, columns=["row", "condition"])


def compare_waves(
    original: pd.DataFrame, reconstruction: pd.DataFrame, labels: np.ndarray
) -> pd.DataFrame:
    """Small waves of the ECGs that have them by their labels, and whether they are seen again.

    P waves are those of sinus rhythm, and small ones those that the original shows with at most
    0.1 mV. Spikes: `compare_spikes`.

    Args:
        original, reconstruction: small waves of the same ECGs, from `measured`.
        labels: int8 (n, 77).

    Returns:
        columns row, item (`p`, `small_p`, `delta`, `q:inferior`), original and reconstruction
        (bool: whether the wave is seen).
    """
    before, after = (small_waves.are_seen(table) for table in (original, reconstruction))
    small = before["p"] & (original["p"] <= small_waves.SMALL_P)
    cases = {("p", "p"): Label.SINUS_RHYTHM, ("small_p", "p"): Label.SINUS_RHYTHM}
    cases[("delta", "delta")] = Label.DELTA_WAVE
    territories = small_waves.TERRITORY
    cases |= {(f"q:{t}", f"q_{t}"): Label[f"Q_WAVE_{t.upper()}"] for t in territories}
    parts = []
    for (item, name), label in cases.items():
        has = (labels[:, label] == PRESENT) & (small if item == "small_p" else True)
        seen = {"original": before[name][has], "reconstruction": after[name][has]}
        parts.append(pd.DataFrame({"row": np.flatnonzero(has), "item": item} | seen))
    return pd.concat(parts, ignore_index=True)


def compare_spikes(
    original: SignalSlice, reconstruction: SignalSlice, n_valid: np.ndarray, labels: np.ndarray
) -> pd.DataFrame:
    """The same of pacing spikes, for ECGs with an atrial or ventricular pacemaker.
    A spike is seen again where the reconstruction has half of its height within 10 ms."""
    paced = np.flatnonzero((labels[:, PACED] == PRESENT).any(1))
    heights = []
    for row in paced:
        part, n = slice(row, row + 1), n_valid[row]
        pair = (signals(part)[0, :, :n] for signals in (original, reconstruction))
        heights.append(small_waves.spike_heights(*pair, RATE))
    before, after = np.array(heights).reshape(-1, 2).T
    table = pd.DataFrame({"row": paced, "item": "spike"})
    table["original"] = before >= small_waves.SPIKE_HEIGHT
    return table.assign(reconstruction=after >= small_waves.SPIKE_SHARE * before)
