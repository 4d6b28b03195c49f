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


def left_out(frame: pd.DataFrame, labels: Iterable[int] = ()) -> pd.DataFrame:
    """The labels without a positive or a negative: columns of `class_counts`, and ``reason`` ("no
    positive", "no negative" or "no row").

    `labels`: those that were to be scored; the ones without any row are listed with 0 and 0.
    """
    table = class_counts(frame).set_index("label")
    table = table.reindex(sorted({*table.index, *map(int, labels)}), fill_value=0).reset_index()
    table["reason"] = "no positive"
    table.loc[table["positives"] > 0, "reason"] = "no negative"
    table.loc[table["positives"] + table["negatives"] == 0, "reason"] = "no row"
    return table[(table[["positives", "negatives"]] == 0).any(axis=1)].reset_index(drop=True)


def measured(frame: pd.DataFrame, by: str = "") -> dict[str, list[int]]:
    """Labels with a positive and a negative, by value of the column `by` (or "")."""
    table = class_counts(frame, by)
    table = table[(table[["positives", "negatives"]] > 0).all(axis=1)]
    if not by:
        return {"": table["label"].tolist()}
    values = sorted(select(frame)[by].unique())
    return {value: table.loc[table[by] == value, "label"].tolist() for value in values}
