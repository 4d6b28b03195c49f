"""An ECG and its reconstructions as a table that a figure can be drawn from again."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from ecglib.signals.leads import LEADS, RATE, SAMPLES


def traces_of(
    signals: Mapping[str, np.ndarray],
    leads: Sequence[str] = LEADS,
    window: tuple[float, float] = (0.0, np.inf),
) -> pd.DataFrame:
    """Signals (12, n) in mV by source -> columns seconds and `<source>_<lead>`, 0.1 uV kept.
    `window`: the first and the last second."""
    columns = {f"{who}_{i}": x[LEADS.index(i)] for who, x in signals.items() for i in leads}
    n = len(next(iter(columns.values())))
    table = pd.DataFrame({"seconds": np.arange(n) / RATE} | columns).round(4)
    return table[table["seconds"].between(*window)]


def leads_of(traces: pd.DataFrame, who: str) -> np.ndarray:
    """One source of a table as (12, 2500) in mV; NaN where it has nothing."""
    signal, at = np.full((len(LEADS), SAMPLES), np.nan), (traces["seconds"] * RATE).round()
    for place, name in enumerate(LEADS):
        if f"{who}_{name}" in traces:
            signal[place, at.to_numpy(int)] = traces[f"{who}_{name}"]
    return signal
