"""Tables for readers: long results become wide ones with "value [low, high]" cells."""

from collections.abc import Sequence

import pandas as pd

from ecglib.evaluate.bootstrap import Estimate

# ECG-Tok, Fig. 2: the order of its categories, with headings that fit a column of a page.
FIGURE_2 = {
    "Rhythm Disorder": "Rhythm",
    "Conduction Disorder": "Conduction",
    "Chamber Enlargement": "Chamber",
    "Pericarditis": "Pericarditis",
    "Infarction or Ischemia": "Infarction",
    "Other": "Other",
}


def cell(value: float, low: float, high: float, digits: int = 3, scale: float = 1.0) -> str:
    """ "0.812 [0.790, 0.833]"; a dash where there is no value, no brackets without an interval."""
    if pd.isna(value):
        return "-"
    if pd.isna(low) or pd.isna(high):
        return f"{scale * value:z.{digits}f}"
    return Estimate(value, low, high, 0).text(digits, scale)


def wide(long: pd.DataFrame, rows: str, columns: str, digits: int = 3) -> pd.DataFrame:
    """Long results (columns value, low, high) as a grid of cells, in order of first appearance.
    Raises ValueError when two results fall into one cell."""
    if long.duplicated([rows, columns]).any():
        first = long[long.duplicated([rows, columns])].iloc[0]
        got = f"two results for {rows} {first[rows]}, {columns} {first[columns]}"
        raise ValueError(f"expected one result per cell, got {got}; select one seed and group")
    values = long[["value", "low", "high"]].itertuples(index=False)
    text = [cell(*numbers, digits) for numbers in values]
    grid = long.assign(text=text).pivot(index=rows, columns=columns, values="text")
    grid = grid.reindex(index=long[rows].unique(), columns=long[columns].unique())
    return grid.fillna("-").rename_axis(None, axis=1).reset_index()


def with_seeds(grid: pd.DataFrame, long: pd.DataFrame, rows: str) -> pd.DataFrame:
    """`wide` with a last column `seeds`: the training seeds behind the cells of each row."""
    seeds = long.groupby(rows)["seeds"].max().astype(int)
    return grid.assign(seeds=grid[rows].map(seeds))


def estimates(values: dict[str, Estimate], name: str) -> pd.DataFrame:
    """Estimates by name as a long table: name, value, low, high, n, seeds."""
    return pd.DataFrame([{name: key, **vars(value)} for key, value in values.items()])


def by_category(table: pd.DataFrame, methods: Sequence[str], overall: bool = False) -> pd.DataFrame:
    """Fig. 2 of ECG-Tok as a table: methods as rows, its six categories as columns, with cells such
    as "0.93 [0.91, 0.95]".

    Args:
        table: columns method, category, value, low, high, of one average (`auc.by_category`).
        methods: rows, in their order; a method without results has dashes.
        overall: a last column of all labels.

    Raises ValueError: two results fall into one cell.
    """
    heads = FIGURE_2 | ({"All": "All"} if overall else {})
    grid = wide(table, "method", "category", digits=2).set_index("method")
    grid = grid.reindex(index=methods, columns=list(heads)).fillna("-")
    return grid.rename(columns=heads).rename_axis(index="method").reset_index()
