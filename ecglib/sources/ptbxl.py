"""PTB-XL as a cohort: its table and SCP codes in the terms of the cohort store."""

import math
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd

from ecglib.labels import scp
from ecglib.sources import ptbxl_files

read = ptbxl_files.read
OPTIONS = {"translation": "", "rate": 0}
RELEASES = {"1.0.1": 21_837, "1.0.3": 21_799}  # ECGs
OLDEST_AGE = 90.0  # the release hides ages above 89 as 300; version 1.0.1 still states some
SEXES = {0: "M", 1: "F"}


def records(root: Path, translation: str = "", rate: int = 0) -> tuple[list[dict], list[str]]:
    """Describe every ECG of a PTB-XL folder, without its signal.

    Args:
        root: the folder with ``ptbxl_database.csv``.
        translation: a CSV in the folder with the columns ``ecg_id`` and ``report_en``; ECGs that
            it lacks, and all ECGs without a translation, get the wording of their SCP codes.
        rate: 500 or 100 Hz; 0 takes the higher of those that the folder holds.

    Returns:
        dicts with the columns of the store's table, ``file`` (path under the root), ``codes``,
        ``axis`` (heart_axis, empty where it is not given) and ``fold``, the release's own fold 1 to
        10; and notes on which release the folder may be, at which rate it is read and what its
        table hides.
    """
    table = ptbxl_files.list_records(root, rate)
    statements = ptbxl_files.list_statements(root)
    translated = _translation(Path(root), translation) if translation else {}
    releases = ", ".join(f"{name}: {count}" for name, count in RELEASES.items())
    notes = [
        f"ptbxl_database.csv lists {len(table)} ECGs (the whole release {releases})",
        f"the recordings at {ptbxl_files.stored_rate(root, rate)} Hz are read",
        f"{int((table['age'] > OLDEST_AGE).sum())} ages above {OLDEST_AGE:g} years are stored as "
        f"{OLDEST_AGE:g}; {int(table['age'].isna().sum())} are not given",
    ]
    return [_record(row, statements, translated) for row in table.to_dict("records")], notes


def labels(record: dict, root: Path) -> np.ndarray:
    """Label states int8 (77,) of one record from its SCP codes and its axis where it is given."""
    return scp.labels(record["codes"], _statements(str(root)), record["axis"])


def _record(row: dict, statements: pd.DataFrame, translated: dict[str, str]) -> dict:
    ecg_id, codes = str(row["ecg_id"]), scp.parse(row["scp_codes"])
    unknown = [code for code in codes if code not in statements.index]
    if unknown:
        raise ValueError(f"scp_statements.csv does not list the code {unknown[0]} of an ECG")
    own = ecg_id in translated
    return {
        "ecg_id": ecg_id,
        "patient_id": _whole(row["patient_id"]),
        "site": _whole(row.get("site")),
        "age": OLDEST_AGE if row["age"] > OLDEST_AGE else _number(row["age"]),
        "sex": SEXES.get(row["sex"], ""),
        "height": _number(row.get("height")),
        "weight": _number(row.get("weight")),
        "device": " ".join(_text(row.get("device")).split()),
        "report": translated[ecg_id] if own else scp.report(codes, statements),
        "report_source": "translation" if own else "scp",
        "verified": str(row.get("validated_by_human", "")).lower() == "true",
        "file": row["record"],
        "codes": codes,
        "axis": _text(row.get("heart_axis")),
        "fold": int(_whole(row["strat_fold"]) or -1),
    }


def _translation(root: Path, name: str) -> dict[str, str]:
    path = root / name
    if not path.is_file():
        raise FileNotFoundError(f"{path}: the translation named in the data plan is missing")
    frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    if not {"ecg_id", "report_en"} <= set(frame.columns):
        raise ValueError(f"{path} needs the columns ecg_id and report_en")
    frame = frame[frame["report_en"].str.strip() != ""]
    return dict(zip(frame["ecg_id"], frame["report_en"].str.strip(), strict=True))


@lru_cache(maxsize=1)
def _statements(root: str) -> pd.DataFrame:
    return ptbxl_files.list_statements(Path(root))


def _whole(value: float | None) -> str:
    """Number a patient, site or fold without the ".0" that a gap in the column brings."""
    number = _number(value)
    return "" if math.isnan(number) else str(int(number))


def _number(value: float | None) -> float:
    return float("nan") if value is None else float(value)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
