"""Reader of MIMIC-IV-ECG 1.0 (Gow et al. 2023) in the layout of PhysioNet.

    record_list.csv             subject_id, study_id, file_name, ecg_time, path
    machine_measurements.csv    report_0 to report_17 and the cart's measurements, by study_id
    files/p1003/p10030753/s40735970/40735970.{hea,dat}

The headers store aVF before aVL, so reading by position would exchange two leads.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from ecglib.sources.checks import check_table
from ecglib.sources.wfdb_record import read_record

COLUMNS = ("subject_id", "study_id", "path")
STATEMENTS = [f"report_{number}" for number in range(18)]
# Times in ms from the start of the cart's averaged beat, rr_interval in ms, axes in degrees.
MEASUREMENTS = [
    *("rr_interval", "p_onset", "p_end", "qrs_onset", "qrs_end", "t_end"),
    *("p_axis", "qrs_axis", "t_axis"),
]
NOT_MEASURED = 29999  # the cart's mark for a time or axis that it could not find


def list_records(root: Path) -> pd.DataFrame:
    """Read ``record_list.csv``; ``record`` is each ECG's path under ``root`` without extension.

    Raises:
        FileNotFoundError: where the folder or the list is missing.
        ValueError: where the list lacks a column or names a study twice.
    """
    table = Path(root) / "record_list.csv"
    if not table.is_file():
        raise FileNotFoundError(
            f"{root} is not a MIMIC-IV-ECG folder (record_list.csv is missing); give the folder "
            "that holds it, as released on PhysioNet"
        )
    rows = pd.read_csv(table, dtype=str)
    check_table(rows, table, COLUMNS, "study_id")
    rows["record"] = rows["path"].fillna("")
    return rows


def list_machine(root: Path) -> pd.DataFrame:
    """Read what the cart wrote and measured, one row a study.

    Returns:
        index study_id; ``cart_id``; ``statements``, a tuple of the report's non-empty statements
        in their order; and `MEASUREMENTS` as floats (ms and degrees), NaN where the cart measured
        none. Not every study of ``record_list.csv`` need have a row.

    Raises:
        FileNotFoundError: where ``machine_measurements.csv`` is missing.
        ValueError: where it lacks a column, holds a measurement that is no number, or two
            different rows of one study.
    """
    path = Path(root) / "machine_measurements.csv"
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} is missing; MIMIC-IV-ECG's release holds it, and reports and labels come "
            "from it (a data plan with `reports: false` reads the signals alone)"
        )
    rows = pd.read_csv(path, dtype=str, keep_default_na=False).drop_duplicates()
    check_table(rows, path, ("study_id", "cart_id", *STATEMENTS, *MEASUREMENTS), "study_id")
    found = pd.DataFrame({"cart_id": rows["cart_id"].to_numpy()}, index=rows["study_id"])
    texts = rows[STATEMENTS].to_numpy()
    found["statements"] = [tuple(t.strip() for t in row if t.strip()) for row in texts]
    for name in MEASUREMENTS:
        found[name] = _numbers(rows[name], path)
    return found


def list_measurements(root: Path) -> pd.DataFrame:
    """The cart's `MEASUREMENTS` alone (see `list_machine`): index study_id, floats or NaN."""
    return list_machine(root)[MEASUREMENTS]


def intervals(measurements: pd.DataFrame) -> pd.DataFrame:
    """Work out the usual intervals from the cart's marks.

    Args:
        measurements: the columns `MEASUREMENTS`, as ``list_measurements`` gives them.

    Returns:
        same index; ``rate`` (per minute), ``pr``, ``qrs``, ``qt`` (ms). NaN where a mark is
        missing or the two marks do not follow each other.
    """
    m = measurements
    spans = {
        "pr": m["qrs_onset"] - m["p_onset"],
        "qrs": m["qrs_end"] - m["qrs_onset"],
        "qt": m["t_end"] - m["qrs_onset"],
    }
    found = {"rate": 60_000 / m["rr_interval"].where(m["rr_interval"] > 0)}
    return pd.DataFrame(found | {name: span.where(span > 0) for name, span in spans.items()})


def read(root: Path, record: str) -> tuple[np.ndarray, float]:
    """Read one ECG: float32 (12, n) in mV, leads arranged by name, and its rate in Hz.

    Errors are those of ``ecglib.sources.wfdb_record.read_record``.
    """
    return read_record(root, record)


def _numbers(column: pd.Series, path: Path) -> np.ndarray:
    numbers = pd.to_numeric(column, errors="coerce").to_numpy(dtype=float)
    strange = np.isnan(numbers) & (column.str.strip() != "").to_numpy()
    if strange.any():
        raise ValueError(
            f"{path} holds {column[strange].iloc[0]!r} as {column.name}; a number is expected, "
            f"{NOT_MEASURED} where nothing was measured"
        )
    return np.where(numbers == NOT_MEASURED, np.nan, numbers)
