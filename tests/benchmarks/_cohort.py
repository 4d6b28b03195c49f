"""Ready signals and labels written as a cohort, for tests and benchmarks."""

from collections.abc import Iterable
from itertools import islice
from pathlib import Path

from ecglib.cohorts.quarantine import digest
from ecglib.cohorts.records import write_records
from ecglib.cohorts.shards import write_shard
from ecglib.cohorts.store import SHARD, Cohort


def write_cohort(
    folder: Path, records: Iterable[dict], seed: int, source: str = "records"
) -> Cohort:
    """Write processed records as a cohort.

    Args:
        records: dicts with ``signal`` (float32 (12, 2500) mV at 250 Hz), ``labels`` (int8 (77,)),
            ``ecg_id``, ``patient_id`` and other columns of the table.
        seed: draws the split and the public numbers ``unit`` and ``ecg``.
        source: their origin, for the manifest.
    """
    folder.mkdir(parents=True, exist_ok=True)
    kept, shards, stream = [], [], iter(records)
    while chunk := list(islice(stream, SHARD)):
        shards.append(write_shard(folder, len(shards), [record["signal"] for record in chunk]))
        for record in chunk:
            known = {key: value for key, value in record.items() if key != "signal"}
            kept.append({"digest": digest(record["signal"])} | known)
    write_records(folder, kept, [], shards, seed, source)
    return Cohort.open(folder)
