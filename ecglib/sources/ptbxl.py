"""PTB-XL (Wagner et al. 2020, Scientific Data 7:154) in the layout of PhysioNet.

    ptbxl_database.csv       one row per ECG: patient, age, SCP codes, file names, ...
    scp_statements.csv       the meaning of each SCP code
    records500/00000/*       WFDB records at 500 Hz; records100 holds the same at 100 Hz

Releases 1.0.1 (21,837 ECGs of 18,885 patients) and 1.0.3 (21,799 of 18,869) share this layout;
the later one left out repeated ECGs, so its ecg_id has gaps. Identifiers are read as whole numbers
whether written 15709 or 15709.0, and leads by name whether AVR or aVR.
"""

import math
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd

from ecglib.labels import scp
from ecglib.sources import wfdb_records
from ecglib.sources.file_checks import check_numbers, read_csv

OPTIONS = ("translation", "rate")
FOLDERS = {500: ("records500", "filename_hr"), 100: ("records100", "filename_lr")}
COLUMNS = (
    *("ecg_id", "patient_id", "age", "sex", "scp_codes", "strat_fold"),
    *("filename_lr", "filename_hr"),
)
NUMBERS = ("patient_id", "site", "age", "sex", "height", "weight", "strat_fold")
RELEASES = {"1.0.1": 21_837, "1.0.3": 21_799}  # ECGs
OLDEST_AGE = 90.0  # the release hides ages above 89 as 300; version 1.0.1 still states some
SEXES = {0: "M", 1: "F"}

read = wfdb_records.read


def records(root: Path, translation: str = "", rate: int = 0) -> tuple[list[dict], list[str]]:
    """Describe every ECG of a PTB-XL folder.

    Args:
        root: the folder with ``ptbxl_database.csv``.
        translation: a CSV in the folder with the columns ``ecg_id`` and ``report_en``; the report
            of every other ECG is the wording of its SCP codes.
        rate: 500 or 100 Hz; 0 takes the higher of those that the folder holds.

    Returns:
        dicts with ``codes``, ``axis`` (heart_axis, empty where it is not given) and ``fold``, the
        release's own fold 1 to 10; and notes on the possible release of the folder, the rate and
        the hidden ages.
    """
    table = read_table(root, rate)
    statements = read_statements(root)
    translated = _translation(Path(root), translation, table) if translation else {}
    releases = ", ".join(f"{name}: {count}" for name, count in RELEASES.items())
    notes = [
        f"ptbxl_database.csv lists {len(table)} ECGs (the whole release {releases})",
        f"the recordings at {stored_rate(root, rate)} Hz are read",
        f"{int((table['age'] > OLDEST_AGE).sum())} ages above {OLDEST_AGE:g} years are stored as "
        f"{OLDEST_AGE:g}; {int(table['age'].isna().sum())} are not given",
    ]
    if translated:
        known = int(table["ecg_id"].astype(str).isin(translated).sum())
        others = len(table) - known
        notes.append(f"{known} reports are translations, {others} the wording of their SCP codes")
    return [_record(row, statements, translated) for row in table.to_dict("records")], notes


def labels(record: dict, root: Path) -> np.ndarray:
    """Label states int8 (77,) of one record from its SCP codes and its axis where it is given."""
    return scp.labels(record["codes"], read_statements(root), record["axis"])


def read_table(root: Path, rate: int = 0) -> pd.DataFrame:
    """Read ``ptbxl_database.csv`` and choose each ECG's file.

    `root`, `rate`: as for `records`.

    Returns:
        one row per ECG in the order of the file, its columns as published, and ``record``: the
        path under ``root`` without extension. ``read`` checks that the file exists.

    Raises:
        FileNotFoundError: the folder or its table is missing.
        ValueError: the table is not that of PTB-XL, has text in a column of numbers or a row
            without SCP codes, or the rate is another.
    """
    file = Path(root) / "ptbxl_database.csv"
    remedy = "give the folder of PTB-XL that holds it, as released on PhysioNet"
    types = {"scp_codes": str, "report": str, "device": str}
    table = read_csv(file, remedy, COLUMNS, "ecg_id", dtype=types)
    check_numbers(table, file, NUMBERS)
    if (bare := table["scp_codes"].isna()).any():
        text = f"{file}, line {int(table.index[bare][0]) + 2}: this ECG has no scp_codes"
        raise ValueError(f"{text}; the table may be cut, {remedy}")
    table["record"] = table[FOLDERS[stored_rate(root, rate)][1]].fillna("")
    return table


def stored_rate(root: Path, rate: int = 0) -> int:
    """Choose the rate in Hz to read: the given one, or the highest that the folder holds.

    Raises:
        FileNotFoundError: the folder of that rate is missing.
        ValueError: PTB-XL has no such rate.
    """
    if rate not in (0, *FOLDERS):
        raise ValueError(f"PTB-XL holds {' and '.join(map(str, FOLDERS))} Hz, not {rate} Hz")
    for held, (folder, _) in FOLDERS.items():
        if rate in (0, held) and (Path(root) / folder).is_dir():
            return held
    wanted = f"no {FOLDERS[rate][0]}" if rate else "neither records500 nor records100"
    raise FileNotFoundError(f"{root} holds {wanted}; give the complete PTB-XL folder")


@lru_cache(maxsize=1)
def read_statements(root: Path) -> pd.DataFrame:
    """Read ``scp_statements.csv``: index is the SCP code; description, diagnostic, form, rhythm.

    Raises:
        FileNotFoundError: the file is missing.
        ValueError: it lacks one of those columns.
    """
    remedy = "restore it from PTB-XL's release, because the report text comes from it"
    columns = ("description", "diagnostic", "form", "rhythm")
    return read_csv(Path(root) / "scp_statements.csv", remedy, columns, "", index_col=0)


def _record(row: dict, statements: pd.DataFrame, translated: dict[str, str]) -> dict:
    ecg_id, codes = str(row["ecg_id"]), scp.parse(row["scp_codes"])
    if unknown := [code for code in codes if code not in statements.index]:
        text = f"scp_statements.csv does not list the code {unknown[0]} of an ECG"
        raise ValueError(f"{text}; restore the released file")
    has_translation = ecg_id in translated
    return {
        "ecg_id": ecg_id,
        "patient_id": _whole(row["patient_id"]),
        "site": _whole(row.get("site", math.nan)),
        "age": OLDEST_AGE if row["age"] > OLDEST_AGE else float(row["age"]),
        "sex": SEXES.get(row["sex"], ""),
        "height": float(row.get("height", math.nan)),
        "weight": float(row.get("weight", math.nan)),
        "device": " ".join(_text(row.get("device")).split()),
        "report": translated[ecg_id] if has_translation else scp.report(codes, statements),
        "report_source": "translation" if has_translation else "scp",
        "verified": str(row.get("validated_by_human", "")).lower() == "true",
        "file": row["record"],
        "codes": codes,
        "axis": _text(row.get("heart_axis")),
        "fold": int(_whole(row["strat_fold"]) or -1),
    }


def _translation(root: Path, name: str, ecgs: pd.DataFrame) -> dict[str, str]:
    """English reports by ecg_id, out of a file of translations. Raises ValueError: an ecg_id occurs
    twice, or none is one of the table `ecgs`."""
    remedy, columns = "correct `translation` in the data plan", ("ecg_id", "report_en")
    table = read_csv(root / name, remedy, columns, "ecg_id", dtype=str, keep_default_na=False)
    if not table["ecg_id"].isin(ecgs["ecg_id"].astype(str)).any():
        example = table["ecg_id"].iloc[0] if len(table) else "no row"
        text = f"{root / name}: expected an ecg_id of ptbxl_database.csv, such as 15709, got none"
        raise ValueError(f"{text} (the first is {example!r}); write whole numbers")
    table = table[table["report_en"].str.strip() != ""]
    return dict(zip(table["ecg_id"], table["report_en"].str.strip(), strict=True))


def _whole(value: float) -> str:
    """Write the number of a patient, site or fold without the ".0" that a gap adds."""
    return "" if math.isnan(value) else str(int(value))


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
