"""Positives and negatives per label: a label without one of the two is named and left out.

An AUC needs both. A label without them has no value, and in particular not 0.5.
"""

from collections.abc import Iterable

import pandas as pd

from ecglib.evaluate.auc import select


def class_counts(frame: pd.DataFrame, by: str = "") -> pd.DataFrame:
    """ECGs with and without each label; rows of several methods and seeds count once.

    Columns label, positives, negatives, and first the column `by` (sex, age_band, site) where one
    is named: then also the labels that a value of it does not have at all, with 0 and 0.
    """
    cells = select(frame).drop_duplicates(["ecg", "label"])
    keys = [by, "label"] if by else ["label"]
    counts = cells.assign(positives=cells["target"] == "1").groupby(keys)["positives"]
    table = pd.DataFrame({"positives": counts.sum(), "negatives": (counts.size() - counts.sum())})
    if by:
        every = [sorted(cells[name].unique()) for name in keys]
        table = table.reindex(pd.MultiIndex.from_product(every, names=keys), fill_value=0)
    return table.astype(int).reset_index()


def left_out(
    frame: pd.DataFrame, labels: Iterable[int] = (), by: str = "", least: int = 1
) -> pd.DataFrame:
    """The labels that are not measured: fewer than `least` positives or negatives.

    Args:
        frame: classification rows.
        labels: labels that were to be scored; those without any row are listed with 0 and 0.
        by: column of subgroups; a label is then listed for each subgroup that does not measure it.
        least: positives (and negatives) that a label needs.

    Returns:
        columns of `class_counts`, and ``reason`` ("no positive", "no negative", "no row", or
        "fewer than 5 positives").
    """
    table = class_counts(frame, by)
    missing = sorted({int(label) for label in labels} - set(table["label"]))
    if missing and not by:
        empty = pd.DataFrame({"label": missing, "positives": 0, "negatives": 0})
        table = pd.concat([table, empty]).sort_values("label")
    counts = table[["positives", "negatives"]]
    table = table[(counts < least).any(axis=1)].reset_index(drop=True)
    reasons = [_reason(*pair, least) for pair in table[["positives", "negatives"]].to_numpy()]
    return table.assign(reason=pd.Series(reasons, dtype=str))


def _reason(positives: int, negatives: int, least: int) -> str:
    if positives + negatives == 0:
        return "no row"
    few = "positive" if positives < least else "negative"
    return f"no {few}" if min(positives, negatives) == 0 else f"fewer than {least} {few}s"


def measured(frame: pd.DataFrame, by: str = "", least: int = 1) -> dict[str, list[int]]:
    """Labels with at least `least` positives and negatives, by value of the column `by` (or "")."""
    table = class_counts(frame, by)
    table = table[(table[["positives", "negatives"]] >= least).all(axis=1)]
    if not by:
        return {"": table["label"].tolist()}
    values = sorted(select(frame)[by].unique())
    return {value: table.loc[table[by] == value, "label"].tolist() for value in values}
