"""What every reader of a data set checks alike: names of files, tables, and how a fault reads."""

from pathlib import Path, PurePath

import pandas as pd


def under(root: Path, name: str) -> Path:
    """Path of a file that a table names relative to the data folder.

    Raises:
        ValueError: for an empty name, an absolute path or one that climbs out of the folder.
    """
    path = PurePath(name)
    if not name.strip() or path.is_absolute() or ".." in path.parts:
        raise ValueError(
            f"the file name {name!r} does not stay inside the data folder; the table must give "
            "paths relative to it"
        )
    return Path(root) / path


def check_table(rows: pd.DataFrame, table: Path, columns: tuple[str, ...], key: str) -> None:
    """Refuse a table that is not the released one.

    Args:
        rows: the table as read.
        table: its file, for the message.
        columns: those it must have.
        key: the column that names each row once.

    Raises:
        ValueError: where a column is missing, or ``key`` is empty or repeated.
    """
    absent = [name for name in columns if name not in rows.columns]
    if absent:
        raise ValueError(
            f"{table} lacks the columns {', '.join(absent)}; restore the released file"
        )
    if rows[key].isna().any():
        raise ValueError(f"{table} has a row without {key}; restore the released file")
    if rows[key].duplicated().any():
        row = int(rows.index[rows[key].duplicated()][0]) + 2  # as an editor counts lines
        raise ValueError(f"{table}, line {row}: this {key} stands there twice; restore the file")


def first_line(error: Exception) -> str:
    """What went wrong, in one line, for a sentence that names the file."""
    return str(error).splitlines()[0] if str(error) else type(error).__name__
