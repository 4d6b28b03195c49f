"""A cohort in which some ECGs have noise of one kind, under their own record numbers."""

from pathlib import Path

import numpy as np

from ecglib.cohorts.records import write_manifest
from ecglib.cohorts.shards import hardlink_or_copy, write_shard
from ecglib.cohorts.store import SHARD, Cohort
from ecglib.signals.leads import SAMPLES
from ecglib.simulator import added_noise


def add(out: Path, inputs: dict[str, Path], config: dict, seed: int, machine: object) -> None:
    """Step: the cohort, where the ECGs of some records have noise added to what is stored.

    Only `place` of these records differs: it leads to shards of their own, behind the others, which
    are linked. An ECG has the same noise at each `snr`, at another size. A short one has it up to
    its end.

    Inputs: cohort.

    Config:
        rows: record numbers.
        kind: of noise, one of `simulator.added_noise.KINDS`.
        snr: in dB, over all leads; of an ECG that ends early, as if it went on as it began.

    Raises ValueError: an unknown kind.
    """
    cohort, rows = Cohort.open(inputs["cohort"]), np.array(config["rows"])
    shards, records = list(cohort.manifest["shards"]), cohort.records.copy()
    for shard in shards:
        hardlink_or_copy(cohort.folder / shard["file"], out / shard["file"])
    stored, kind = sum(shard["records"] for shard in shards), config["kind"]
    records.iloc[rows, records.columns.get_loc("place")] = stored + np.arange(len(rows))
    n_valid = records["n_valid"].to_numpy()
    for part in np.split(rows, range(SHARD, len(rows), SHARD)):
        noisy = []
        for row, signal in zip(part, cohort.signals(part), strict=True):
            rng = np.random.default_rng([seed, int(row), *kind.encode()])
            # repeated, so that the silence behind a short ECG does not count in its power
            whole = np.pad(signal[:, : n_valid[row]], ((0, 0), (0, SAMPLES - n_valid[row])), "wrap")
            whole = added_noise.add_noise(whole, kind, config["snr"], rng)
            whole[:, n_valid[row] :] = 0.0
            noisy.append(whole)
        shards.append(write_shard(out, len(shards), noisy))
    note = f"{len(rows)} ECGs with noise added: {kind}, {config['snr']} dB"
    rejected, notes = cohort.quarantine.to_dict("records"), [*cohort.manifest["notes"], note]
    write_manifest(out, records, rejected, shards, cohort.manifest["source"], notes)
