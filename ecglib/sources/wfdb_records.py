"""WFDB: one 12-lead record as millivolts, and a plain folder of records as a data set.

Every 12-lead header (*.hea) of the folder, at any depth, is an ECG. The ecg_id of a record is its
path under the folder without extension, for example "g1/A0001". Labels come from a label table
(`ecglib.cohorts.label_table`) in the folder; without one, every label cannot be assessed. The table
may have the columns patient_id, age (years), sex, site and report, too. Age and sex that it lacks,
and diagnosis codes, are those of the header's comments (``#Age: 57``, ``#Sex: Male``, ``#Dx: ...``,
as in the CinC Challenges 2020 and 2021; ``#<age>: 57`` in LUDB). Codes are stored, not translated.
"""

import re
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import wfdb

from ecglib.labels.label_set import COLUMNS, LABELS, NOT_ASSESSABLE
from ecglib.signals.leads import LEADS, arrange
from ecglib.sources import file_checks as checks

OPTIONS = ("label_table",)
PATIENT = ("patient_id", "age", "sex", "site", "report")  # columns beside the labels
MILLIVOLTS = {"mv": 1.0, "uv": 0.001, "µv": 0.001, "μv": 0.001, "v": 1000.0}
# The third field of a signal's line: gain(baseline)/unit; WFDB means mV where no unit is given.
GAIN = re.compile(r"(?P<gain>-?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)(?:\(-?\d+\))?(?:/(?P<unit>.+))?")
COMMENT = re.compile(r"#\s*<?(?P<name>age|sex|dx)>?\s*:\s*(?P<value>.*)", re.IGNORECASE)
OLDEST = 120.0  # years; a larger number in a header, as 300, hides the age
AGES = f"an age of 0 to {OLDEST:g} years"
RATES = ("records100", "records500")  # folders of PTB-XL
NAME_FIELD = 8  # the name of a signal is the rest of its line from this field on
UNREADABLE = (ArithmeticError, AttributeError, LookupError, OSError, TypeError, ValueError)


def records(root: Path, label_table: str = "") -> tuple[list[dict], list[str]]:
    """Describe every 12-lead record of a folder.

    Args:
        root: the folder.
        label_table: a CSV in the folder with the column ``ecg_id``; its labels are read by
            ``ecglib.cohorts.label_table``, the other columns here.

    Returns:
        the dicts; and notes that count the records without twelve leads and the rows without a
        record, and that state where the patients come from.

    Raises:
        FileNotFoundError: the folder holds no 12-lead record, or not the table.
        ValueError: the table names no ecg_id or the same twice, an age that is no number of years
            up to OLDEST, a sex that is no word of `file_checks.SEXES`, or an ECG without a patient;
            or the folder is PTB-XL's with both of its rates.
    """
    if all((Path(root) / name).is_dir() for name in RATES):
        text = f"{root} holds {' and '.join(RATES)}, which are the same ECGs at two rates"
        raise ValueError(f"{text}; give one of the two folders, or use --data ptbxl")
    headers = sorted(Path(root).rglob("*.hea"))
    names = [h.relative_to(root).with_suffix("").as_posix() for h in headers if _is_12_lead(h)]
    if not names:
        raise FileNotFoundError(
            f"expected 12-lead WFDB records in {root}, got {len(headers)} headers (*.hea) of "
            "others; give the folder that holds the records"
        )
    notes = [
        f"{len(names)} records of twelve leads are listed; {len(headers) - len(names)} headers of "
        "other records are left out"
    ]
    table = pd.DataFrame()
    if label_table:
        table, unread = _read_table(checks.path_inside(root, label_table))
        lacking = len(table.index.difference(names))
        notes.append(f"{lacking} rows of {label_table} belong to no listed record")
        if unread:
            notes.append(f"columns of {label_table} that nothing reads: {', '.join(unread)}")
    else:
        notes.append("there is no label table: no label can be assessed and no report is known")
    if "patient_id" not in table:
        notes.append(
            "no table names the patients: each record is taken as a patient of its own, so "
            "records of one person may be in different splits"
        )
    rows = table.to_dict("index")
    described = [_record(name, rows.get(name, {}), header_comments(root, name)) for name in names]
    if coded := sum(record["dx"] != "" for record in described):
        text = f"{coded} headers have diagnosis codes, stored in the column `dx`"
        notes.append(f"{text}; they state no label")
    return described, notes


def labels(record: dict, root: Path) -> np.ndarray:
    """Label states int8 (77,) of a record without a label table: all -1."""
    return np.full(len(LABELS), NOT_ASSESSABLE, np.int8)


def _is_12_lead(header: Path) -> bool:
    """Whether a header names the twelve leads, or none at all: then reading it will say why."""
    names = [" ".join(fields[NAME_FIELD:]).lower() for fields in header_lines(header)[1:]]
    return not any(names) or {lead.lower() for lead in LEADS} <= set(names)


def _read_table(file: Path) -> tuple[pd.DataFrame, list[str]]:
    """The label table's columns other than labels, by ecg_id, and the names of those not known."""
    remedy, options = "correct `label_table` in the data plan", {"keep_default_na": False}
    table = checks.read_csv(file, remedy, ("ecg_id",), "ecg_id", dtype=str, **options)
    unread = [name for name in table if name not in ("ecg_id", *PATIENT, *COLUMNS)]
    table = table[["ecg_id", *table.columns.intersection(list(PATIENT))]]
    table = table.apply(lambda column: column.str.strip()).set_index("ecg_id")
    if "patient_id" in table and (table["patient_id"] == "").any():
        ecg_id = table.index[table["patient_id"] == ""][0]
        text = f"{file}: expected a patient_id for the ECG {ecg_id!r}, got none"
        raise ValueError(f"{text}; give each ECG one, or leave the column out")
    if "age" in table:
        table["age"] = checks.parse_ages(table["age"], file)
        _refuse(file, table["age"], ~table["age"].between(0, OLDEST) & table["age"].notna(), AGES)
    if "sex" in table:
        known = table["sex"].str.lower().isin(["", *checks.SEXES])
        _refuse(file, table["sex"], ~known, f"one of {', '.join(checks.SEXES)} as the sex")
    return table, unread


def _refuse(file: Path, values: pd.Series, odd: pd.Series, expected: str) -> None:
    """Raises ValueError naming the first ECG with an odd value."""
    if odd.any():
        ecg_id, value = values.index[odd][0], values[odd].iloc[0]
        text = f"{file}, ECG {ecg_id!r}: expected {expected}, got {value}"
        raise ValueError(f"{text}; correct it, or leave it empty where it is not known")


def header_comments(root: Path, name: str) -> dict[str, str]:
    """The comments age, sex and dx of a header, the first of each."""
    text = (root / f"{name}.hea").read_bytes().decode("utf-8", errors="replace")
    matches = [COMMENT.fullmatch(line.strip()) for line in reversed(text.splitlines())]
    return {match["name"].lower(): match["value"].strip() for match in matches if match}


def noted_age(comments: dict[str, str]) -> float:
    """The age in years of a header's comments; NaN where they hide it or have none."""
    age = float(pd.to_numeric(comments.get("age", ""), errors="coerce"))
    return age if 0 <= age <= OLDEST else float("nan")


def _record(name: str, row: dict, comments: dict[str, str]) -> dict:
    report, age = row.get("report", ""), row.get("age", float("nan"))
    age = noted_age(comments) if np.isnan(age) else age
    return {
        "ecg_id": name,
        "patient_id": row.get("patient_id", name),
        "site": row.get("site", ""),
        "age": age,
        "sex": checks.parse_sex(row.get("sex") or comments.get("sex")),
        "report": report,
        "report_source": "table" if report else "",
        "dx": comments.get("dx", ""),
        "file": name,
    }


def read(root: Path, name: str) -> tuple[np.ndarray, float]:
    """Read a record by gain, unit and lead names of its header.

    Args:
        root: the data set's folder.
        name: path of the record under ``root``, without extension.

    Returns:
        float32 (12, n) in mV, leads arranged by name, and the rate in Hz. Samples that the file
        marks as invalid are NaN.

    Raises:
        FileNotFoundError: the header or its signal file is missing.
        ValueError: the file cannot be decoded, states no rate or gain, has an unknown unit, lacks a
            lead or is named outside ``root``.
    """
    path = checks.path_inside(root, name).with_name(f"{Path(name).name}.hea")
    header = checks.require_file(path, "restore it, the data set's table names it")
    lines = header_lines(header)
    factors = to_millivolts(name, lines)
    try:
        record = read_physical(header, lines)
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{header} names a signal file that is missing") from error
    except UNREADABLE as error:
        reason = checks.first_line(error)
        raise ValueError(f"{name}: not a readable WFDB record ({reason})") from error
    if record.p_signal is None:
        raise ValueError(f"{name}: the header describes no signals")
    if not record.fs > 0:
        raise ValueError(f"{name}: the header states {record.fs:g} samples per second")
    signal = record.p_signal.T * np.array(factors)[:, None]
    return arrange(signal.astype(np.float32), record.sig_name), float(record.fs)


def header_lines(header: Path) -> list[list[str]]:
    """Fields of the record line and of each signal line, without comments."""
    text = header.read_bytes().decode("utf-8", errors="replace")
    return [line.split() for line in text.splitlines() if line.strip() and line[0] != "#"]


def read_physical(header: Path, lines: list[list[str]]) -> wfdb.Record:
    """Read the record by wfdb, which refuses a record name with an extension (``A01.mat 12 500``).
    Such a record is read from a copy whose header has the name without it."""
    if "." not in lines[0][0]:
        return wfdb.rdrecord(str(header.with_suffix("")), physical=True)
    with TemporaryDirectory() as folder:
        copy = Path(folder) / "record"
        renamed = [[copy.name, *lines[0][1:]], *lines[1:]]
        text = "\n".join(" ".join(fields) for fields in renamed) + "\n"
        copy.with_suffix(".hea").write_text(text, encoding="utf-8")
        for file in {fields[0] for fields in lines[1:]}:
            shutil.copyfile(header.with_name(file), copy.with_name(file))
        return wfdb.rdrecord(str(copy), physical=True)


def to_millivolts(name: str, lines: list[list[str]]) -> list[float]:
    """Factor of each signal from the header's own text.

    wfdb fills in 250 Hz for a missing rate and 200 units per mV for a missing gain, and drops the
    letter that distinguishes a microvolt from a volt where it is no ASCII. So all are read here.
    """
    if not lines or len(lines[0]) < 3:
        raise ValueError(f"{name}: not a readable WFDB record (its header states no sampling rate)")
    if "/" in lines[0][0]:
        raise ValueError(f"{name}: expected a record of one segment, got one of several")
    if lines[0][1] != str(len(lines) - 1):
        raise ValueError(
            f"{name}: the header describes {len(lines) - 1} signals and announces {lines[0][1]}"
        )
    return [_factor(name, fields) for fields in lines[1:]]


def _factor(name: str, fields: list[str]) -> float:
    if Path(fields[0]).name != fields[0]:
        raise ValueError(f"{name}: the header leads to another folder ({fields[0]})")
    gain = GAIN.fullmatch(fields[2].lower()) if len(fields) > 2 else None
    if not gain or float(gain["gain"]) == 0:
        raise ValueError(f"{name}: the header states no gain for the signal {fields[-1]!r}")
    unit = gain["unit"] or "mv"
    if unit not in MILLIVOLTS:
        raise ValueError(f"{name}: expected the unit mV, uV or V, got {unit!r}")
    return MILLIVOLTS[unit]
