"""The cohort store: a folder of int16 microvolt shards and one table of records.

    cohort.json          format, source, rate, samples, the shards and how many ECGs each holds
    signals_00000.npy    int16 (k, 12, 2500) in microvolts, memory-mapped on reading
    records.parquet      one row per ECG, in the order of the shards
    quarantine.csv       every rejected file with the reason and the value that decided

``cohort.json`` is written last, so a folder without it holds an unfinished cohort.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import pandas as pd
import pyarrow as pa

from ecglib.labels.label_set import COLUMNS
from ecglib.signals.leads import LEADS, SAMPLES

FORMAT = 2
SHARD = 256  # ECGs per file, 15 MB
LIMIT = 32767  # microvolts; one below the int16 minimum, so that the range is symmetric
LABEL_COLUMNS = list(COLUMNS)
QUARANTINE = ["file", "reason", "value"]
REMEDY = "make the cohort again with notebook 01"
NEEDED = ["unit", "ecg", "place", "site", "n_valid", "split", "tokenizer_train", *LABEL_COLUMNS]
T = TypeVar("T")
ROLES = ("tokenizer_train", "train", "validation", "test", "transfer")


def microvolts(signal: np.ndarray) -> np.ndarray:
    """Round millivolts to int16 microvolts; what lies beyond +-32.767 mV is clipped."""
    return np.clip(np.rint(signal * 1000.0), -LIMIT, LIMIT).astype(np.int16)


@dataclass(frozen=True)
class Cohort:
    """A finished cohort folder: the table in memory, the signals on disk.

    Attributes:
        folder: of the cohort.
        records: one row per ECG (see ``ecglib.cohorts.records`` for the columns), numbered from 0.
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
            FileNotFoundError: the folder holds no finished cohort, or lacks a shard.
            ValueError: a damaged file, another format, a column that lacks, or shards and table of
                different lengths.
        """
        folder = Path(folder)
        path = folder / "cohort.json"
        if not path.is_file():
            text = f"{folder} holds no finished cohort ({path.name} is missing)"
            raise FileNotFoundError(f"{text}; make it with notebook 01")
        manifest = _whole(path, lambda file: json.loads(file.read_text(encoding="utf-8")))
        if (given := manifest.get("format") if isinstance(manifest, dict) else None) != FORMAT:
            raise ValueError(f"expected format {FORMAT}, got {given} in {path}; {REMEDY}")
        if lacking := [key for key in ("shards", "records", "source") if key not in manifest]:
            raise ValueError(f"{path} lacks {lacking[0]!r}; {REMEDY}")
        shards = tuple(_map_shard(folder, shard) for shard in manifest["shards"])
        records = _whole(folder / "records.parquet", pd.read_parquet)
        if lacking := [name for name in NEEDED if name not in records]:
            raise ValueError(f"{folder / 'records.parquet'} lacks {lacking[0]!r}; {REMEDY}")
        stored = sum(len(shard) for shard in shards)
        if len(records) != manifest["records"] or records["place"].max() >= stored:
            raise ValueError(
                f"{folder} holds {stored} signals, {len(records)} records and a manifest of "
                f"{manifest['records']}; {REMEDY}"
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
        """The rejected files: file, reason, value (all text). Raises ValueError: it is damaged."""
        path = self.folder / "quarantine.csv"
        table = _whole(path, lambda file: pd.read_csv(file, dtype=str, keep_default_na=False))
        if list(table.columns) != QUARANTINE:
            got = ", ".join(map(str, table.columns))
            raise ValueError(f"{path}: expected {', '.join(QUARANTINE)}, got {got}; {REMEDY}")
        return table

    @property
    def has_report(self) -> np.ndarray:
        """Which ECGs have a report with words: bool (N,)."""
        return (self.records["report"].fillna("").str.strip() != "").to_numpy()

    def rows(self, name: str | None = None) -> np.ndarray:
        """Record numbers of one role (one of `ROLES`), or of all ECGs for None."""
        if name is None:
            return np.arange(len(self.records))
        if name not in ROLES:
            raise ValueError(f"unknown role {name!r}; there are {', '.join(ROLES)}")
        if name == "tokenizer_train":
            return np.flatnonzero(self.records["tokenizer_train"].to_numpy())
        return np.flatnonzero(self.records["split"].to_numpy() == name)

    def reported(self, name: str) -> np.ndarray:
        """Record numbers of the ECGs of one role that have a report, as language systems need.

        Raises ValueError: none has.
        """
        rows = self.rows(name)
        written = rows[self.has_report[rows]]
        if not len(written):
            text = f"{self.folder}: none of the {len(rows)} ECGs of the role {name} has a report"
            raise ValueError(f"{text}; give the role a source with reports in the data plan")
        return written

    def signals(self, rows: np.ndarray) -> np.ndarray:
        """Read ECGs as float32 (len(rows), 12, 2500) in mV, in the order of ``rows``."""
        rows = np.asarray(rows, dtype=np.int64)
        if len(rows) and not (rows.min() >= 0 and rows.max() < len(self)):
            raise ValueError(f"expected record numbers of 0 to {len(self) - 1}, got others")
        places = self.records["place"].to_numpy()[rows]
        starts = np.cumsum([0] + [len(shard) for shard in self.shards])
        shard = np.searchsorted(starts, places, side="right") - 1
        signals = np.empty((len(rows), len(LEADS), SAMPLES), np.float32)
        for number in np.unique(shard):
            inside = shard == number
            signals[inside] = self.shards[number][places[inside] - starts[number]]
        signals *= np.float32(0.001)
        return signals


def _whole(path: Path, read: Callable[[Path], T]) -> T:
    """What `read` makes of a file. Raises FileNotFoundError: it is missing; ValueError: it is
    damaged."""
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing; {REMEDY}")
    try:
        return read(path)
    except (ValueError, OSError, EOFError, pa.ArrowException) as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"{path} is damaged ({reason}); {REMEDY}") from error


def _map_shard(folder: Path, shard: dict) -> np.ndarray:
    if not isinstance(shard, dict) or not {"file", "records"} <= set(shard):
        raise ValueError(f"{folder / 'cohort.json'}: expected file and records, got {shard!r}")
    path = folder / Path(str(shard["file"])).name
    array = _whole(path, lambda file: np.load(file, mmap_mode="r", allow_pickle=False))
    if array.shape != (shard["records"], len(LEADS), SAMPLES) or array.dtype != np.int16:
        expected = f"int16 ({shard['records']}, {len(LEADS)}, {SAMPLES})"
        raise ValueError(f"{path}: expected {expected}, got {array.dtype} {array.shape}; {REMEDY}")
    return array
