"""Reader of the layout of the Montreal Heart Institute's ECGs: a Parquet table of .npy files.

    ecgs.parquet        one row an ECG: path of its file, new_PatientID, report, 77 labels, ...
    ecg_npy/*.npy       integers (2500, 12) or (2500, 12, 1): 250 Hz, ten seconds, GE MUSE units

The recordings themselves are not public; the layout is that which ECG-Tok's code reads.
"""

import tokenize
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ecglib.signals.leads import LEADS, SAMPLES, arrange
from ecglib.sources.checks import first_line, under

RATE = 250.0  # Hz
TO_MILLIVOLTS = 0.00488  # 4.88 uV a unit, GE MUSE (ECG-Tok's released code)
ORDER = LEADS  # the files carry no names; their columns stand in this order
# What numpy raises for a file that is no whole .npy file.
UNREADABLE = (OSError, EOFError, ValueError, ArithmeticError, TypeError)
UNREADABLE += (tokenize.TokenError, zipfile.BadZipFile)
# What each role's column is called; a plan may name others, and "" leaves an optional one out.
COLUMNS = {
    "file": "waveform_path",
    "patient": "new_PatientID",
    "report": "report",
    "verified": "validated by MD",
    "age": "",
    "sex": "",
}


def find_table(root: Path, name: str = "") -> Path:
    """Find the Parquet table: the one named, or the only one in the folder.

    Raises:
        FileNotFoundError: where it is missing, or none or several are there and none is named.
    """
    if name:
        path = under(root, name)
        if not path.is_file():
            raise FileNotFoundError(f"{path}: the table named in the data plan is missing")
        return path
    found = sorted(Path(root).glob("*.parquet"))
    if len(found) != 1:
        raise FileNotFoundError(
            f"{root} holds {len(found)} Parquet tables where one is expected; name yours under "
            "`table` in the data plan"
        )
    return found[0]


def list_records(table: Path, columns: dict[str, str], more: Sequence[str] = ()) -> pd.DataFrame:
    """Read the wanted columns of the table.

    Args:
        table: the Parquet file.
        columns: role -> column; overrides `COLUMNS`.
        more: further columns by their names, such as the labels. Names are compared with every
            run of white space as one blank: some tables write "RV1 + SV6 > 11 mm" with a
            no-break space.

    Returns:
        one row an ECG in the order of the table; the columns are the roles in use, then ``more``.

    Raises:
        ValueError: where the file is no Parquet table, a role is unknown or left without its
            column, or a column is missing.
    """
    unknown = sorted(set(columns) - set(COLUMNS))
    if unknown:
        raise ValueError(f"unknown role {unknown[0]!r} of a column; there are {', '.join(COLUMNS)}")
    wanted = {role: name for role, name in (COLUMNS | columns).items() if name}
    if not {"file", "patient"} <= set(wanted):
        raise ValueError(f"{table}: the columns of the roles file and patient must be named")
    wanted |= {name: name for name in more}
    stored = {_plain(name): name for name in _schema(table)}
    absent = [name for name in wanted.values() if _plain(name) not in stored]
    if absent:
        raise ValueError(
            f"{table} lacks the columns {', '.join(map(repr, absent))}; what the roles are called "
            "can be said under `columns` in the data plan"
        )
    chosen = {key: stored[_plain(name)] for key, name in wanted.items()}
    rows = pd.read_parquet(table, columns=sorted(set(chosen.values())))
    return pd.DataFrame({key: rows[name] for key, name in chosen.items()})


def read(root: Path, record: str) -> tuple[np.ndarray, float]:
    """Read one ECG.

    Args:
        root: the data folder.
        record: path of the .npy file under it.

    Returns:
        float32 (12, 2500) in mV, and 250 Hz.

    Raises:
        FileNotFoundError: where the file is missing.
        ValueError: where it is no array of integers of one of the two shapes, or lies outside.
    """
    path = under(root, record)
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing although the table names it")
    try:
        # Mapped, so that a header that promises more than the file holds is an error at once.
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except UNREADABLE as error:
        raise ValueError(f"{record}: not a readable .npy file ({first_line(error)})") from error
    if not isinstance(array, np.ndarray) or array.shape[2:] not in ((), (1,)):
        raise ValueError(f"{record}: not one array of shape ({SAMPLES}, 12) or ({SAMPLES}, 12, 1)")
    array = array.reshape(array.shape[:2])
    if array.shape != (SAMPLES, len(ORDER)):
        raise ValueError(f"{record}: shape {array.shape} instead of ({SAMPLES}, {len(ORDER)})")
    if not np.issubdtype(array.dtype, np.signedinteger):
        raise ValueError(
            f"{record}: {array.dtype} values are of unknown unit; the integers as recorded, "
            f"{1000 * TO_MILLIVOLTS:g} uV each, are expected"
        )
    return arrange(array.T.astype(np.float32) * np.float32(TO_MILLIVOLTS), ORDER), RATE


def has_column(table: Path, name: str) -> bool:
    """Say whether the table has a column, white space compared as in ``list_records``.

    Raises:
        ValueError: where the file is no Parquet table.
    """
    return _plain(name) in map(_plain, _schema(table))


def _plain(name: str) -> str:
    return " ".join(name.split())


def _schema(table: Path) -> list[str]:
    try:
        return pq.read_schema(table).names
    except (OSError, pa.ArrowInvalid) as error:
        raise ValueError(f"{table} is no readable Parquet table ({first_line(error)})") from error
