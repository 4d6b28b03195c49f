"""What several readers share: checks of file names and tables, ages and sexes, error texts."""

from collections.abc import Sequence
from pathlib import Path, PurePath

import numpy as np
import pandas as pd
from pandas.errors import EmptyDataError, ParserError

SEXES = {"m": "M", "male": "M", "f": "F", "female": "F"}


def path_inside(root: Path, name: str) -> Path:
    """Join the data folder and a file name that a table gives relative to it. Raises ValueError:
    the name is empty, absolute or leads out of the folder."""
    path = PurePath(name)
    if not name.strip() or path.is_absolute() or ".." in path.parts:
        text = f"the file name {name!r} leads out of the data folder"
        raise ValueError(f"{text}; the table must give paths relative to it")
    return Path(root) / path


def require_file(path: Path, remedy: str) -> Path:
    """The path itself; FileNotFoundError where it names no file."""
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing; {remedy}")
    return path


def read_csv(file: Path, remedy: str, columns: Sequence[str], key: str, **options) -> pd.DataFrame:
    """Read a table by pandas (``options``) and check its file and columns.

    Raises:
        FileNotFoundError: as for `require_file`.
        ValueError: as for `check_columns`, or the file is empty, cut, or no text in UTF-8.
    """
    try:
        table = pd.read_csv(require_file(file, remedy), **options)
    except (EmptyDataError, ParserError, UnicodeDecodeError) as error:
        raise ValueError(f"{file}: {first_line(error)}; {remedy}") from error
    check_columns(table, file, columns, key)
    return table


def check_columns(table: pd.DataFrame, file: Path, columns: Sequence[str], key: str = "") -> None:
    """Refuse a table that is not the released one. Raises ValueError, naming ``file``: one of the
    columns is missing, or ``key``, which names each row once, is empty or repeated."""
    if absent := [name for name in columns if name not in table.columns]:
        names = ", ".join(absent)
        raise ValueError(f"{file} lacks the columns {names}; correct it or restore the release")
    if not key:
        return
    if table[key].isna().any():
        raise ValueError(f"{file} has a row without {key}; correct it or restore the release")
    if table[key].duplicated().any():
        line = int(table.index[table[key].duplicated()][0]) + 2  # as an editor counts lines
        text = f"{file}, line {line}: this {key} occurs twice"
        raise ValueError(f"{text}; correct it or restore the release")


def parse_ages(values: pd.Series, file: Path) -> np.ndarray:
    """Ages in years, NaN where a cell is empty. Raises ValueError: a cell holds something else."""
    given = values.where(values.astype(str).str.strip() != "")
    ages = pd.to_numeric(given, errors="coerce")
    odd = ages.isna() & given.notna()
    if odd.any():
        raise ValueError(f"{file}: expected an age in years, got {values[odd].iloc[0]!r}")
    return ages.to_numpy(dtype=float)


def check_numbers(table: pd.DataFrame, file: Path, columns: Sequence[str]) -> None:
    """Refuse a table with text where numbers belong. Raises ValueError: a cell of one of these
    columns, where the table has it, is neither empty nor a number."""
    for name in table.columns.intersection(list(columns)):
        odd = pd.to_numeric(table[name], errors="coerce").isna() & table[name].notna()
        if odd.any():
            line, value = int(table.index[odd][0]) + 2, table.loc[odd, name].iloc[0]
            text = f"{file}, line {line}: expected a number in {name}, got {value!r}"
            raise ValueError(f"{text}; correct it or restore the release")


def parse_sex(value: object) -> str:
    """Sex as "F" or "M"; "" where it is neither f, female, m nor male in any case."""
    return SEXES.get(str(value).strip().lower(), "")


def first_line(error: Exception) -> str:
    """Give the cause of an error in one line, for a sentence that names the file."""
    return str(error).splitlines()[0] if str(error) else type(error).__name__
