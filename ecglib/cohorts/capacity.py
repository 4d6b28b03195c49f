"""What a large cohort takes, planned on paper: bytes, files and hours."""

import math
from pathlib import Path

import pandas as pd

from ecglib.cohorts.store import SHARD
from ecglib.signals.leads import LEADS, SAMPLES

HEADER = 128  # bytes of a .npy file before the numbers
ECG = len(LEADS) * SAMPLES * 2  # bytes of one ECG as int16


def table_bytes(folder: Path) -> float:
    """Bytes an ECG of ``records.parquet``, from a finished cohort.

    Small cohorts overstate it: the file's own description (some 70 kB) is shared by few rows.

    Raises:
        FileNotFoundError: there is no table in the folder.
    """
    path = Path(folder) / "records.parquet"
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing; make the cohort with notebook 01")
    return path.stat().st_size / len(pd.read_parquet(path, columns=["place"]))


def plan(
    n_ecgs: int,
    ecgs_per_second: float,
    workers: int,
    table_bytes_per_ecg: float,
    load_per_second: float = 2000.0,
) -> pd.DataFrame:
    """Plan a cohort: disk, files and time.

    Args:
        n_ecgs: ECGs that are stored, one row each.
        ecgs_per_second: measured rate of the whole path on one core: reading the file, checks,
            cleaning, quality score, writing (benchmark ``cohort_rate``). The measurement of the
            stored ECGs is a step of its own and is not counted.
        workers: cores, here or in a cluster; chunks do not wait for each other, so the hours are
            divided by them (a slow disk or network comes on top).
        table_bytes_per_ecg: of ``records.parquet``, from ``table_bytes`` of a finished cohort.
        load_per_second: ECGs a second that the training loader gives.

    Returns:
        columns ``quantity``, ``value``, ``unit``; a GB is 10^9 bytes.

    Raises:
        ValueError: a number that is not above zero.
    """
    given = {"n_ecgs": n_ecgs, "ecgs_per_second": ecgs_per_second, "workers": workers}
    given |= {"table_bytes_per_ecg": table_bytes_per_ecg, "load_per_second": load_per_second}
    for name, value in given.items():
        if not value > 0:
            raise ValueError(f"{name} is {value}; it must be above zero")
    shards = math.ceil(n_ecgs / SHARD)
    signals = n_ecgs * ECG + shards * HEADER
    hours = n_ecgs / ecgs_per_second / 3600
    rows = [
        ("ECGs", n_ecgs, "rows"),
        ("shards", shards, "files"),
        ("files in all", shards + 3, "files"),  # and the table, the quarantine, cohort.json
        ("one full shard", (HEADER + SHARD * ECG) / 1e6, "MB"),
        ("signals", signals, "bytes"),
        ("signals", signals / 1e9, "GB"),
        ("table", n_ecgs * table_bytes_per_ecg / 1e9, "GB"),
        ("building on 1 core", hours, "hours"),
        (f"building on {workers} cores", hours / workers, "hours"),
        ("one chunk, the most that a kill costs a core", SHARD / ecgs_per_second, "seconds"),
        ("one epoch of the loader", n_ecgs / load_per_second / 60, "minutes"),
    ]
    return pd.DataFrame(rows, columns=["quantity", "value", "unit"])
