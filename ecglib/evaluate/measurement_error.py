"""How far a measurement of a reconstructed ECG is from the same measurement of the original.

Rows are predictions: item `pr` or, by lead, `st_level:V2`; target is the original's value,
prediction that of the reconstruction ("" where it could not be measured), score their absolute
difference. What was lost or invented has no score, and every table counts it. `count_lost` gives a
lost measurement an error, because else a reconstruction gains by losing what is hard to keep.
"""

import numpy as np
import pandas as pd

from ecglib.evaluate import bootstrap

LOST = 2.0  # margins, the error of a lost measurement


def rows_of(pairs: pd.DataFrame) -> dict[str, pd.Series]:
    """The columns target, prediction and score of a table with `original`, `reconstruction`."""
    score = (pairs["reconstruction"] - pairs["original"]).abs().round(6)
    values = {"target": pairs["original"], "prediction": pairs["reconstruction"]}
    texts = {k: of.map(lambda v: "" if np.isnan(v) else f"{v:g}") for k, of in values.items()}
    return texts | {"score": score}


def split_item(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with the columns `quantity` and `lead` ("" where the quantity has none)."""
    parts = rows["item"].str.split(":", n=1, expand=True).reindex(columns=[0, 1])
    return rows.assign(quantity=parts[0], lead=parts[1].fillna(""))


def count_lost(rows: pd.DataFrame, margins: dict[str, float]) -> pd.DataFrame:
    """The rows of quantities with a margin; where the reconstruction lacks a measurement of the
    original, score is twice the margin. `rows`: with `quantity`, see `split_item`."""
    rows = rows[rows["quantity"].isin(margins)]
    lost = (rows["target"] != "") & (rows["prediction"] == "")
    twice = LOST * rows["quantity"].map(margins).astype(float)
    return rows.assign(score=rows["score"].mask(lost, twice))


def summarise(
    rows: pd.DataFrame, by: list[str], resamples: int = bootstrap.RESAMPLES, seed: int = 0
) -> pd.DataFrame:
    """One row per group of `by`, in order of appearance.

    Columns: value, low, high (mean absolute error with its interval over patients, NaN without an
    ECG; no interval with 0 `resamples`), median (absolute error), bias (mean of reconstruction
    minus original), ecgs and n (ECGs and patients with a score), lost and invented (% of the
    measurements of the originals that the reconstruction lacks; measurements of the reconstruction
    without one of the original, in % of all rows).
    """
    table = []
    for key, part in rows.groupby(by, sort=False):
        scored = part[part["score"].notna()]
        counts = {"ecgs": scored["ecg"].nunique(), "n": scored["unit"].nunique()}
        numbers = {name: np.nan for name in ("value", "low", "high", "median", "bias")}
        present, seen = part["target"] != "", part["prediction"] != ""
        if len(scored):
            both = part[present & seen]
            apart = both["prediction"].astype(float) - both["target"].astype(float)
            numbers["value"] = scored["score"].mean()
            numbers |= {"median": scored["score"].median(), "bias": apart.mean()}
        if len(scored) and resamples:
            estimate = bootstrap.mean(scored, seed=seed, resamples=resamples)
            numbers |= {"value": estimate.value, "low": estimate.low, "high": estimate.high}
        lost = 100 * (present & ~seen).sum() / max(1, present.sum())
        counts |= {"lost": lost, "invented": 100 * (~present & seen).mean()}
        table.append(dict(zip(by, key, strict=True)) | numbers | counts)
    return pd.DataFrame(table)


def seen_again(rows: pd.DataFrame, by: list[str], seed: int = 0) -> pd.DataFrame:
    """Waves that are seen in the original and again in the reconstruction, one row per group.

    `rows`: target and prediction "1" or "0", score 1 or 0 for seen in the reconstruction, of ECGs
    that have the wave. Columns: cases, original (% of them in which the original shows it), value,
    low, high (% of these in which the reconstruction does too; NaN without any).
    """
    table = []
    for key, part in rows.groupby(by, sort=False):
        visible = part[part["target"] == "1"]
        numbers = {"cases": len(part), "original": 100 * len(visible) / len(part)}
        share = bootstrap.Estimate(np.nan, np.nan, np.nan, 0)
        if len(visible):
            share = bootstrap.exact_ends(bootstrap.mean(visible, seed=seed))
        numbers |= {name: 100 * getattr(share, name) for name in ("value", "low", "high")}
        table.append(dict(zip(by, key, strict=True)) | numbers)
    return pd.DataFrame(table)
