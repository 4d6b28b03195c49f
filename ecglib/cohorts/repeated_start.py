"""A cohort whose ECGs repeat their first seconds: as long to read, and no more to know."""

from pathlib import Path

import numpy as np

from ecglib.cohorts.records import write_manifest
from ecglib.cohorts.shards import write_shard
from ecglib.cohorts.store import SHARD, Cohort
from ecglib.signals.leads import RATE


def twice(signals: np.ndarray, n: int) -> np.ndarray:
    """Signals (..., samples) whose first n samples stand twice, in place of what follows them."""
    copied = signals.copy()
    copied[..., n : 2 * n] = signals[..., :n]
    return copied


def repeat(out: Path, inputs: dict[str, Path], config: dict, seed: int, machine: object) -> None:
    """Step: the cohort, where the first seconds of each ECG stand twice, in place of what follows
    them. Record numbers, labels and lengths stay.

    Inputs: cohort.

    Config:
        seconds: how long the repeated start is.

    Raises ValueError: the start has no sample, part of one, or more than half of an ECG.
    """
    cohort = Cohort.open(inputs["cohort"])
    n, n_valid = round(config["seconds"] * RATE), cohort.records["n_valid"].to_numpy()
    if n != config["seconds"] * RATE or not 0 < 2 * n <= n_valid.max():
        most = n_valid.max() / RATE / 2
        raise ValueError(
            f"expected seconds above 0 and up to {most:g}, in whole samples of {1 / RATE:g} s, got "
            f"{config['seconds']}; change the seconds of ecg_byte in the profile"
        )
    shards, records = [], cohort.records.assign(place=np.arange(len(cohort)))
    for rows in np.split(cohort.rows(), range(SHARD, len(cohort), SHARD)):
        signals = twice(cohort.signals(rows), n)  # (B, 12, 2500) mV
        for signal, end in zip(signals, n_valid[rows], strict=True):
            signal[:, end:] = 0.0
        shards.append(write_shard(out, len(shards), list(signals)))
    note = f"the first {config['seconds']:g} s twice, in place of what follows"
    rejected, notes = cohort.quarantine.to_dict("records"), [*cohort.manifest["notes"], note]
    write_manifest(out, records, rejected, shards, cohort.manifest["source"], notes)
