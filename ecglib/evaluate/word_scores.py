"""Whether a score of words follows the findings of a report: over systems, within a system, and
where the ECG is exchanged.

A table of scores has a row per method and report (unit, ecg) with `findings`, the F1 of the
report's findings, and a column per score of words. All methods wrote about the same ECGs.
"""

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from ecglib.evaluate import bootstrap, finding_agreement
from ecglib.evaluate.bootstrap import Estimate

KEYS = ["method", "unit", "ecg"]


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """A table of scores from predictions of one training seed, with items `finding:<label>` and
    scores of words. A report that states no finding and lacks none has an F1 of 1."""
    is_finding = rows["item"].str.startswith("finding:")
    cells = finding_agreement.select_conditions(rows[is_finding])
    sums = cells.groupby(KEYS)[["tp", "fp", "fn"]].sum()
    f1 = finding_agreement.measure("f1", sums.to_numpy(float))
    words = rows[~is_finding].pivot(index=KEYS, columns="item", values="score")
    return words.assign(findings=pd.Series(f1, sums.index).fillna(1.0)).reset_index()


def over_systems(scores: pd.DataFrame, score: str, seed: int = 0) -> Estimate:
    """Spearman's correlation, over methods, of the mean score of words and the mean F1 of findings.
    Raises ValueError: the methods have other numbers of reports."""
    counts = scores.groupby("method").size()
    if counts.nunique() != 1:
        raise ValueError(
            f"expected as many reports of each method, got {counts.min()} to {counts.max()}"
        )
    sums = scores.groupby(["unit", "method"])[[score, "findings"]].sum().unstack()  # (n, 2 m)

    def correlation(totals: np.ndarray) -> np.ndarray:
        ranks = (rankdata(part, axis=1) for part in np.split(totals, 2, axis=1))
        return _pearson(*(part - part.mean(1, keepdims=True) for part in ranks))

    return bootstrap.of_totals(correlation, sums.to_numpy(), seed=seed)


def within_systems(scores: pd.DataFrame, score: str, seed: int = 0) -> Estimate:
    """Spearman's correlation, over the reports of a method, of the score of words and the F1 of
    findings; the mean over methods. Ranks are taken once, over all reports, and not again in each
    resample of patients. A method whose reports have all one value has no correlation."""
    return bootstrap.of_totals(_mean_correlation, _moments(scores, score), seed=seed)


def within_difference(scores: pd.DataFrame, one: str, other: str, seed: int = 0) -> Estimate:
    """`within_systems` of a score minus that of another one, on the same patients."""
    moments = (_moments(scores, score) for score in (one, other))
    return bootstrap.of_totals(_mean_correlation, *moments, combine=np.subtract, seed=seed)


def kept(own: pd.DataFrame, exchanged: pd.DataFrame, score: str, seed: int = 0) -> Estimate:
    """Mean score of the reports about another patient's ECG over that about the own one."""
    totals = [bootstrap.sum_and_count(part, score) for part in (exchanged, own)]
    return bootstrap.of_totals(bootstrap.ratio, *totals, combine=bootstrap.divide, seed=seed)


def _moments(scores: pd.DataFrame, score: str) -> np.ndarray:
    """Per patient and method the sums of 1, x, y, x^2, y^2 and xy of centred ranks, (n, 6 m)."""
    ranks = scores.groupby("method")[[score, "findings"]].rank()
    x, y = (ranks[name] - (len(ranks) / scores["method"].nunique()) / 2 for name in ranks)
    sums = {"n": 1.0, "x": x, "y": y, "xx": x * x, "yy": y * y, "xy": x * y}
    sums = scores[["unit", "method"]].assign(**sums).groupby(["unit", "method"]).sum()
    return sums.unstack().to_numpy()


def _mean_correlation(totals: np.ndarray) -> np.ndarray:
    n, x, y, xx, yy, xy = np.split(totals, 6, axis=1)  # each (r, m)
    covariance = xy - bootstrap.divide(x * y, n)
    spread = (xx - bootstrap.divide(x * x, n)) * (yy - bootstrap.divide(y * y, n))
    known = np.where(spread > 1e-6, spread, np.nan)
    return np.nanmean(covariance / np.sqrt(known), axis=1)


def _pearson(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Correlation of centred rows (r, m)."""
    return bootstrap.divide((x * y).sum(1), np.sqrt((x * x).sum(1) * (y * y).sum(1)))
