"""The layout of the Montreal Heart Institute's ECGs: a Parquet table of .npy files.

    ecgs.parquet        one row per ECG: path of its file, new_PatientID, report, 77 labels, ...
    ecg_npy/*.npy       integers (2500, 12) or (2500, 12, 1): 250 Hz, ten seconds, GE MUSE units

The recordings themselves are not public; the layout is that which ECG-Tok's code reads.
"""

import tokenize
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ecglib.labels.label_set import LABELS, NOT_ASSESSABLE
from ecglib.signals.leads import LEADS, RATE, SAMPLES, arrange
from ecglib.sources.file_checks import first_line, parse_ages, parse_sex, path_inside, require_file

OPTIONS = ("table", "columns", "verified")
SITE = "MHI"
TO_MILLIVOLTS = 0.00488  # 4.88 uV per unit, GE MUSE (ECG-Tok's released code)
ORDER = LEADS  # the files carry no names; their columns have this order
# What numpy raises for a file that is no whole .npy file.
UNREADABLE = (OSError, EOFError, ValueError, ArithmeticError, TypeError)
UNREADABLE += (tokenize.TokenError, zipfile.BadZipFile)
# The column of each role; a plan may name others, and "" leaves an optional one out.
COLUMNS = {
    "file": "waveform_path",
    "patient": "new_PatientID",
    "report": "report",
    "verified": "validated by MD",
    "age": "",
    "sex": "",
}


def records(
    root: Path, table: str = "", columns: dict[str, str] | None = None, verified: bool = True
) -> tuple[list[dict], list[str]]:
    """Describe every ECG of the table.

    Args:
        root: the folder with the Parquet table and the .npy files.
        table: the table's name; may be left out where the folder holds only one.
        columns: role -> column where the table departs from `COLUMNS`.
        verified: list only the ECGs whose report a physician has confirmed, as ECG-Tok
            section 2.1 does; a note counts the others.

    Returns:
        dicts with ``states``, the labels int8 (77,); ecg_id is the path. The notes count the ECGs
        without confirmation and the empty labels.
    """
    rows, states = read_table(root, table, columns, verified)
    kept = np.flatnonzero(rows["verified"]) if verified else np.arange(len(rows))
    unverified = int((~rows["verified"]).sum())
    empty = int((states[kept] == NOT_ASSESSABLE).sum())
    notes = [
        f"the table lists {len(rows)} ECGs, {unverified} without a physician's confirmation; "
        + ("these are left out" if verified else "these are kept"),
        f"{empty} label cells are empty and stay not assessable",
    ]
    described = rows.iloc[kept].to_dict("records")
    return [_record(row, states[i]) for i, row in zip(kept, described, strict=True)], notes


def labels(record: dict, root: Path) -> np.ndarray:
    """Label states int8 (77,) of one record as the table gives them: 0, 1, or -1 where empty."""
    return record["states"]


def read_table(
    root: Path, table: str = "", columns: dict[str, str] | None = None, verified: bool = True
) -> tuple[pd.DataFrame, np.ndarray]:
    """Read the wanted columns of the table.

    `root`, `table`, `columns`, `verified`: as for `records`.

    Returns:
        one row per ECG in the order of the table, with the roles in use and ``verified`` (bool) as
        columns; and label states int8 (N, 77). Names are compared with every run of white space as
        one blank: some tables write "RV1 + SV6 > 11 mm" with a no-break space.

    Raises:
        FileNotFoundError: the table is missing, or none is named and the folder does not hold one.
        ValueError: the file is no Parquet table, a role is unknown or left without its column, a
            column is missing or holds a label or flag other than 0, 1 or nothing, an age is no
            number, or an ECG has no patient.
    """
    path = _find_table(Path(root), table)
    roles = COLUMNS | (columns or {})
    if unknown := sorted(set(roles) - set(COLUMNS)):
        raise ValueError(f"unknown role {unknown[0]!r} of a column; there are {', '.join(COLUMNS)}")
    try:
        stored = {_plain(name): name for name in pq.read_schema(path).names}
    except (OSError, pa.ArrowInvalid) as error:
        raise ValueError(f"{path} is no readable Parquet table ({first_line(error)})") from error
    if not verified and _plain(roles["verified"]) not in stored:
        roles["verified"] = ""
    if not (roles["file"] and roles["patient"]):
        raise ValueError(f"{path}: the columns of the roles file and patient must be named")
    wanted = {role: name for role, name in roles.items() if name} | {name: name for name in LABELS}
    if absent := [name for name in wanted.values() if _plain(name) not in stored]:
        text = f"{path} lacks the columns {', '.join(map(repr, absent))}"
        raise ValueError(f"{text}; name the columns of the roles under `columns` in the data plan")
    chosen = {key: stored[_plain(name)] for key, name in wanted.items()}
    whole = pd.read_parquet(path, columns=sorted(set(chosen.values())))
    whole = pd.DataFrame({key: whole[name] for key, name in chosen.items()})
    rows, states = whole.drop(columns=list(LABELS)), _zero_or_one(whole[list(LABELS)], path)
    if "verified" in rows:
        rows["verified"] = _zero_or_one(rows[["verified"]], path)[:, 0] == 1
    elif verified:
        text = f"{path}: only verified ECGs are wanted, and `columns` names no flag"
        raise ValueError(f"{text}; name it there, or set `verified: false` in the data plan")
    else:
        rows["verified"] = False
    if rows["patient"].isna().any():
        raise ValueError(f"{path}: row {int(rows['patient'].isna().argmax())} names no patient")
    if "age" in rows:
        rows["age"] = parse_ages(rows["age"], path)
    return rows, states


def read(root: Path, record: str) -> tuple[np.ndarray, float]:
    """Read one ECG, 2500 samples at 250 Hz; ``record`` is the path of its file under the root.

    Raises:
        FileNotFoundError: the file is missing.
        ValueError: it is no array of integers of one of the two shapes, or is outside the folder.
    """
    path = require_file(path_inside(root, record), "restore it, the table names it")
    try:
        # Mapped, so that a header that promises more than the file holds is an error at once.
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except UNREADABLE as error:
        raise ValueError(f"{record}: not a readable .npy file ({first_line(error)})") from error
    if not isinstance(array, np.ndarray) or array.shape[2:] not in ((), (1,)):
        raise ValueError(f"{record}: not one array of shape ({SAMPLES}, 12) or ({SAMPLES}, 12, 1)")
    array = array.reshape(array.shape[:2])
    if array.shape != (SAMPLES, len(ORDER)):
        raise ValueError(f"{record}: expected shape ({SAMPLES}, {len(ORDER)}), got {array.shape}")
    if not np.issubdtype(array.dtype, np.signedinteger):
        raise ValueError(
            f"{record}: expected integers of {1000 * TO_MILLIVOLTS:g} uV each, as recorded, got "
            f"{array.dtype} values of unknown unit"
        )
    signal = arrange(array.T.astype(np.float32) * np.float32(TO_MILLIVOLTS), ORDER)
    return signal, float(RATE)


def _find_table(root: Path, name: str) -> Path:
    """The named Parquet table, or the only one in the folder."""
    if name:
        return require_file(path_inside(root, name), "correct `table` in the data plan")
    tables = sorted(root.glob("*.parquet"))
    if len(tables) != 1:
        text = f"expected one Parquet table in {root}, got {len(tables)}"
        raise FileNotFoundError(f"{text}; name yours under `table` in the data plan")
    return tables[0]


def _zero_or_one(columns: pd.DataFrame, path: Path) -> np.ndarray:
    """int8 (N, k): 0 and 1 as they are, -1 for an empty cell."""
    states = np.full(columns.shape, NOT_ASSESSABLE, np.int8)
    for place, (name, values) in enumerate(columns.items()):
        known = values.notna().to_numpy()
        odd = known & ~values.isin([0, 1]).to_numpy()
        if odd.any():
            raise ValueError(f"{path}: expected 0 or 1 as {name!r}, got {values[odd].iloc[0]!s}")
        states[known, place] = values[known].astype(np.int8)
    return states


def _record(row: dict, states: np.ndarray) -> dict:
    report = row["report"].strip() if isinstance(row.get("report"), str) else ""
    patient = row["patient"]
    if isinstance(patient, float) and patient.is_integer():
        patient = int(patient)  # a gap in another row made the column decimal
    return {
        "ecg_id": str(row["file"]),
        "patient_id": str(patient),
        "site": SITE,
        "age": float(row.get("age", float("nan"))),
        "sex": parse_sex(row.get("sex")),
        "report": report,
        "report_source": ("physician" if row["verified"] else "machine") if report else "",
        "verified": bool(row["verified"]),
        "file": row["file"] if isinstance(row["file"], str) else "",
        "states": states,
    }


def _plain(name: str) -> str:
    return " ".join(name.split())
