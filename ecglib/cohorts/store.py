"""The cohort store: a folder of int16 microvolt shards and one table of records.

    cohort.json          format, source, rate, samples, the shards and how many ECGs each holds
    signals_00000.npy    int16 (k, 12, 2500) in microvolts, memory-mapped on reading
    records.parquet      one row an ECG, in the order of the shards
    quarantine.csv       every rejected file with the reason and the value that decided

``cohort.json`` is written last, so a folder without it is a cohort that was never finished.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd

from ecglib.cohorts import split
from ecglib.cohorts.labels import LABELS, column
from ecglib.signals.leads import LEADS, RATE, SAMPLES

FORMAT = 1
SHARD = 256  # ECGs a file, 15 MB
LIMIT = 32767  # microvolts; one below the int16 minimum, so that the range is symmetric
LABEL_COLUMNS = [column(index) for index in range(len(LABELS))]
QUARANTINE = ["file", "reason", "value"]


def microvolts(signal: np.ndarray) -> np.ndarray:
    """Round millivolts to int16 microvolts; what lies beyond +-32.767 mV is clipped."""
    return np.clip(np.rint(signal * 1000.0), -LIMIT, LIMIT).astype(np.int16)


@dataclass(frozen=True)
class Cohort:
    """A finished cohort folder: the table in memory, the signals on disk.

    Attributes:
        folder: where it stands.
        records: one row an ECG (see ``write_records`` for the columns), numbered from 0.
        shards: memory-mapped int16 arrays (k, 12, 2500) in microvolts, in the order of the rows.
        manifest: the contents of ``cohort.json``.
    """

    folder: Path
    records: pd.DataFrame
    shards: tuple[np.ndarray, ...]
    manifest: dict

    @classmethod
    def open(cls, folder: Path) -> "Cohort":
        """Open a cohort for reading.

        Raises:
            FileNotFoundError: where the folder holds no finished cohort or lacks a shard.
            ValueError: for another format, or shards and table of different lengths.
        """
        folder = Path(folder)
        if not (folder / "cohort.json").is_file():
            raise FileNotFoundError(
                f"{folder} holds no finished cohort (cohort.json is missing); make it with "
                "notebook 01"
            )
        manifest = json.loads((folder / "cohort.json").read_text(encoding="utf-8"))
        if manifest["format"] != FORMAT:
            raise ValueError(
                f"{folder / 'cohort.json'} has format {manifest['format']}, this code reads "
                f"{FORMAT}; make the cohort again with notebook 01"
            )
        shards = tuple(_map_shard(folder, shard) for shard in manifest["shards"])
        records = pd.read_parquet(folder / "records.parquet")
        stored = sum(len(shard) for shard in shards)
        if stored != len(records):
            raise ValueError(
                f"{folder} holds {stored} signals but {len(records)} records; make the cohort "
                "again with notebook 01"
            )
        return cls(folder, records, shards, manifest)

    def __len__(self) -> int:
        """Count the ECGs."""
        return len(self.records)

    @property
    def labels(self) -> np.ndarray:
        """All label states as int8 (N, 77)."""
        return self.records[LABEL_COLUMNS].to_numpy(dtype=np.int8)

    @property
    def quarantine(self) -> pd.DataFrame:
        """The rejected files: file, reason, value (all text)."""
        return pd.read_csv(self.folder / "quarantine.csv", dtype=str, keep_default_na=False)

    def rows(self, name: str | None = None) -> np.ndarray:
        """Row numbers of one split ("train", "validation", "test"), or of all ECGs for None."""
        if name is None:
            return np.arange(len(self.records))
        if name not in split.FRACTIONS:
            raise ValueError(f"unknown split {name!r}; there are {', '.join(split.FRACTIONS)}")
        return np.flatnonzero(self.records["split"].to_numpy() == name)

    def signals(self, rows: np.ndarray) -> np.ndarray:
        """Read ECGs as float32 (len(rows), 12, 2500) in mV, in the order of ``rows``."""
        rows = np.asarray(rows, dtype=np.int64)
        if len(rows) and not (rows.min() >= 0 and rows.max() < len(self)):
            raise ValueError(f"row numbers must lie in 0 to {len(self) - 1}")
        starts = np.cumsum([0] + [len(shard) for shard in self.shards])
        where = np.searchsorted(starts, rows, side="right") - 1
        signals = np.empty((len(rows), len(LEADS), SAMPLES), np.float32)
        for number in np.unique(where):
            here = where == number
            signals[here] = self.shards[number][rows[here] - starts[number]]
        signals *= np.float32(0.001)
        return signals


def write_cohort(
    folder: Path,
    records: Iterable[dict],
    seed: int,
    source: str = "records",
    fractions: dict[str, float] = split.FRACTIONS,
) -> Cohort:
    """Write processed records as a cohort, one after another.

    Args:
        folder: an existing or new folder.
        records: dicts with ``signal`` (float32 (12, 2500) mV at 250 Hz), ``labels`` (int8 (77,)),
            ``ecg_id``, ``patient_id`` and the other columns of ``write_records``.
        seed: draws the split and the public numbers ``unit`` and ``ecg``.
        source: what the manifest says about the origin.
        fractions: shares of train, validation and test.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    kept, shards, stream = [], [], iter(records)
    while chunk := list(islice(stream, SHARD)):
        shards.append(write_shard(folder, len(shards), [record["signal"] for record in chunk]))
        kept += [{key: value for key, value in r.items() if key != "signal"} for r in chunk]
    write_records(folder, kept, [], shards, seed, source, fractions)
    return Cohort.open(folder)


def write_shard(folder: Path, number: int, signals: list[np.ndarray]) -> dict:
    """Write signals (each (12, 2500) mV) as one shard; returns its entry for ``cohort.json``."""
    name = f"signals_{number:05d}.npy"
    stack = microvolts(np.stack(signals))
    if stack.shape[1:] != (len(LEADS), SAMPLES):
        raise ValueError(f"{name}: ECGs must be ({len(LEADS)}, {SAMPLES}), not {stack.shape[1:]}")
    with (folder / f"{name}.part").open("wb") as file:
        np.save(file, stack)
    (folder / f"{name}.part").replace(folder / name)
    return {"file": name, "records": len(stack)}


def write_records(
    folder: Path,
    kept: list[dict],
    rejected: list[dict],
    shards: list[dict],
    seed: int,
    source: str,
    fractions: dict[str, float] = split.FRACTIONS,
) -> None:
    """Write the table, the quarantine and, last, ``cohort.json``.

    Columns of the table: ecg_id, patient_id (never leave the cohort), unit, ecg (their public
    numbers), site, age (years), sex ("F", "M" or ""), height (cm), weight (kg), report,
    report_source, verified, n_valid (samples at 250 Hz), rate (original, Hz), device,
    label_00 to label_76 (int8 states), split.

    Raises:
        ValueError: where nothing was kept or two ECGs have one ecg_id.
    """
    if not kept:
        reasons = sorted({row["reason"] for row in rejected})
        raise ValueError(
            f"no ECG of the {source} source could be kept ({len(rejected)} rejected: "
            f"{', '.join(reasons) or 'none was found'}); see the data folder and its format"
        )
    frame = pd.DataFrame([_row(record) for record in kept])
    labels = np.stack([np.asarray(record["labels"], np.int8) for record in kept])
    frame = pd.concat([frame, pd.DataFrame(labels, columns=LABEL_COLUMNS)], axis=1)
    if frame["ecg_id"].duplicated().any():
        twice = frame["ecg_id"][frame["ecg_id"].duplicated()].iloc[0]
        raise ValueError(f"ecg_id {twice} of the {source} source names two ECGs")
    frame["split"] = split.assign(frame, seed, fractions)
    frame.insert(2, "unit", _public_numbers(frame["patient_id"], [seed, 1]))
    frame.insert(3, "ecg", _public_numbers(frame["ecg_id"], [seed, 2]))
    frame.to_parquet(folder / "records.parquet", index=False)
    quarantine = pd.DataFrame(rejected, columns=QUARANTINE)
    quarantine.to_csv(folder / "quarantine.csv", index=False, lineterminator="\n")
    manifest = {"format": FORMAT, "source": source, "rate": RATE, "samples": SAMPLES}
    manifest |= {"unit": "microvolt", "records": len(frame), "shards": shards}
    text = json.dumps(manifest, indent=1) + "\n"
    (folder / "cohort.json.part").write_text(text, encoding="utf-8")
    (folder / "cohort.json.part").replace(folder / "cohort.json")


def _row(record: dict) -> dict:
    """The table's scalar columns of one record, with the empty value where a source lacks one."""
    missing = float("nan")
    return {
        "ecg_id": str(record["ecg_id"]),
        "patient_id": str(record["patient_id"]),
        "site": str(record.get("site", "")),
        "age": float(record.get("age", missing)),
        "sex": str(record.get("sex", "")),
        "height": float(record.get("height", missing)),
        "weight": float(record.get("weight", missing)),
        "report": str(record.get("report", "")),
        "report_source": str(record.get("report_source", "")),
        "verified": bool(record.get("verified", False)),
        "n_valid": int(record.get("n_valid", SAMPLES)),
        "rate": float(record.get("rate", RATE)),
        "device": str(record.get("device", "")),
    }


def _public_numbers(identifiers: pd.Series, seed: list[int]) -> np.ndarray:
    """Number the identifiers by a seeded permutation that does not depend on their order."""
    names, codes = np.unique(identifiers.to_numpy(dtype=str), return_inverse=True)
    return np.random.default_rng(seed).permutation(len(names))[codes]


def _map_shard(folder: Path, shard: dict) -> np.ndarray:
    path = folder / shard["file"]
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing; make the cohort again with notebook 01")
    array = np.load(path, mmap_mode="r", allow_pickle=False)
    if array.shape != (shard["records"], len(LEADS), SAMPLES) or array.dtype != np.int16:
        raise ValueError(f"{path} is {array.dtype} {array.shape}, not what cohort.json says")
    return array
