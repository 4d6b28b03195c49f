"""Copies of the training ECGs that begin later, so that a beat meets a token's window elsewhere."""

from pathlib import Path

import numpy as np
import pandas as pd

from ecglib.cohorts.records import write_manifest
from ecglib.cohorts.shards import hardlink_or_copy, write_shard
from ecglib.cohorts.store import SHARD, Cohort


def write_later_starts(
    out: Path, inputs: dict[str, Path], config: dict, seed: int, machine: object
) -> None:
    """Step: the cohort, and behind its own ECGs copies of its training ECGs that begin later.

    The own ECGs keep their record numbers, so a held-out ECG has the same number in both cohorts. A
    copy has the labels and the patient of its ECG. Its number of valid samples is smaller by the
    shift. No tokenizer learns from a copy.

    Inputs: cohort.

    Config:
        shifts: samples by which the copies begin later, one copy of each training ECG per shift.

    Raises ValueError: a shift is not positive, or leaves nothing of a training ECG.
    """
    cohort = Cohort.open(inputs["cohort"])
    shortest = int(cohort.records["n_valid"].iloc[cohort.rows("train")].min())
    if wrong := [shift for shift in config["shifts"] if not 0 < shift < shortest]:
        text = f"expected shifts of 1 to {shortest - 1} samples, got {wrong[0]}"
        raise ValueError(f"{text}; change shifts in the settings of the study")
    shards, tables = list(cohort.manifest["shards"]), [cohort.records]
    for shard in shards:
        hardlink_or_copy(cohort.folder / shard["file"], out / shard["file"])
    place, train = sum(shard["records"] for shard in shards), cohort.rows("train")
    for shift in config["shifts"]:
        for rows in np.split(train, range(SHARD, len(train), SHARD)):
            later = cohort.signals(rows)[..., shift:]  # (B, 12, 2500 - shift) mV
            later = np.pad(later, ((0, 0), (0, 0), (0, shift)))
            shards.append(write_shard(out, len(shards), list(later)))
            of_rows = cohort.records.iloc[rows]
            places = place + np.arange(len(rows))
            of_rows = of_rows.assign(place=places, n_valid=of_rows["n_valid"] - shift)
            tables.append(of_rows.assign(tokenizer_train=False))
            place += len(rows)
    records = pd.concat(tables, ignore_index=True)
    note = f"the training ECGs once more, {config['shifts']} samples later"
    rejected, notes = cohort.quarantine.to_dict("records"), [*cohort.manifest["notes"], note]
    write_manifest(out, records, rejected, shards, cohort.manifest["source"], notes)
