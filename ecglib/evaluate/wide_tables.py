"""Tables for readers: long results become wide ones with "value [low, high]" cells."""

import pandas as pd

from ecglib.evaluate.bootstrap import Estimate


def cell(value: float, low: float, high: float, digits: int = 3, scale: float = 1.0) -> str:
    """ "0.812 [0.790, 0.833]"; a dash where there is no value, no brackets without an interval."""
    if pd.isna(value):
        return "-"
    if pd.isna(low) or pd.isna(high):
        return f"{scale * value:.{digits}f}"
    return Estimate(value, low, high, 0).text(digits, scale)


def wide(
    long: pd.DataFrame, rows: str, columns: str, digits: int = 3, scale: float = 1.0
) -> pd.DataFrame:
    """Long results (columns value, low, high) as a grid of cells, in order of first appearance.

    Raises ValueError when two results fall into one cell.
    """
    if long.duplicated([rows, columns]).any():
        first = long[long.duplicated([rows, columns])].iloc[0]
        raise ValueError(
            f"expected one result per cell, got two results for {rows} {first[rows]}, {columns} "
            f"{first[columns]}; select one seed and group"
        )
    text = [
        cell(v, lo, hi, digits, scale)
        for v, lo, hi in zip(long["value"], long["low"], long["high"], strict=True)
    ]
    grid = long.assign(text=text).pivot(index=rows, columns=columns, values="text")
    grid = grid.reindex(index=long[rows].unique(), columns=long[columns].unique())
    return grid.fillna("-").rename_axis(None, axis=1).reset_index()


def estimates(values: dict[str, Estimate], name: str) -> pd.DataFrame:
    """Estimates by name as a long table: name, value, low, high, n."""
    return pd.DataFrame([{name: key, **vars(value)} for key, value in values.items()])
