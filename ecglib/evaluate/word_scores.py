"""Whether a score of words follows the findings of reports: by system, by report, and by ECG.

A table of scores has a row per method and report (unit, ecg) with `findings`, the F1 of the
report's findings, and a column per score of words. All methods wrote about the same ECGs. Intervals
are over patients, for the methods of the table: of other methods they say nothing.
"""

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from ecglib.evaluate import bootstrap, finding_agreement
from ecglib.evaluate.bootstrap import Estimate

KEYS = ["method", "unit", "ecg"]


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """A table of scores from predictions of one training seed, with items `finding:<label>` and
    scores of words. A report that states no finding and lacks none has an F1 of 1; ECGs without a
    finding that is known are left out."""
    is_finding = rows["item"].str.startswith("finding:")
    cells = finding_agreement.select_conditions(rows[is_finding])
    sums = cells.groupby(KEYS)[["tp", "fp", "fn"]].sum()
    f1 = finding_agreement.measure("f1", sums.to_numpy(float))
    f1 = pd.Series(f1, sums.index, name="findings").fillna(1.0)
    words = rows[~is_finding].pivot(index=KEYS, columns="item", values="score")
    return words.join(f1, how="inner").reset_index()


def over_systems(scores: pd.DataFrame, score: str, seed: int = 0) -> Estimate:
    """Spearman's correlation, over methods, of the mean score of words and the mean F1 of findings.
    Raises ValueError as `_checked`.

    The percentile interval lies low. Resamples mix the ranks of methods that are near each other,
    which lowers a correlation by 0.6 standard errors. It covers 0.88 (ROUGE-L) and 0.89 (BERTScore)
    in place of 0.95, and each miss is a true value above its high end (benchmark
    percentile_coverage). So a claim that the correlation is high errs on the safe side.
    """
    sums = _checked(scores, score).groupby(["unit", "method"])[[score, "findings"]].sum().unstack()
    return bootstrap.of_totals(rank_correlation, sums.to_numpy(), seed=seed)


def rank_correlation(totals: np.ndarray) -> np.ndarray:
    """Spearman's correlation of the two halves of each row, (r, 2 * m) -> (r,)."""
    ranks = (rankdata(part, axis=1) for part in np.split(totals, 2, axis=1))  # each (r, m)
    return _pearson(*(part - part.mean(1, keepdims=True) for part in ranks))


def within_systems(scores: pd.DataFrame, score: str, seed: int = 0) -> Estimate:
    """Spearman's correlation, over the reports of a method, of the score of words and the F1 of
    findings; the mean over methods. The reports are about different ECGs.

    Ranks are taken once, over all reports, and not again in each resample of patients. A method
    whose reports have all one value has no correlation. Raises ValueError as `_checked`."""
    moments = _moments(scores, score)
    return bootstrap.of_totals(
        lambda of: bootstrap.mean_of_defined(_correlations(of)), moments, seed=seed
    )


def within_difference(scores: pd.DataFrame, one: str, other: str, seed: int = 0) -> Estimate:
    """`within_systems` of a score minus that of another one, over the methods that have both."""
    moments = np.hstack([_moments(scores, score) for score in (one, other)])

    def difference(totals: np.ndarray) -> np.ndarray:
        first, second = (_correlations(part) for part in np.split(totals, 2, axis=1))
        return bootstrap.mean_of_defined(first - second)

    return bootstrap.of_totals(difference, moments, seed=seed)


def within_ecgs(scores: pd.DataFrame, score: str, seed: int = 0) -> Estimate:
    """Spearman's correlation, over the reports of all methods about one ECG, of the score of words
    and the F1 of findings; the mean over the ECGs whose reports differ in both. Raises ValueError
    as `_checked`."""
    ranks = _checked(scores, score).groupby("ecg")[[score, "findings"]].rank()
    ranks = ranks - ranks.groupby(scores["ecg"]).transform("mean")
    x, y = ranks[score], ranks["findings"]
    products = pd.DataFrame({"xy": x * y, "xx": x * x, "yy": y * y})
    sums = products.groupby([scores["unit"], scores["ecg"]]).sum()
    spread = np.sqrt((sums["xx"] * sums["yy"]).to_numpy())
    correlation = bootstrap.divide(sums["xy"].to_numpy(), spread)
    known = pd.DataFrame({"sum": correlation, "ecgs": ~np.isnan(correlation)}, sums.index)
    totals = known.fillna(0).groupby("unit").sum().to_numpy(float)
    return bootstrap.of_totals(bootstrap.ratio, totals, seed=seed)


def kept(own: pd.DataFrame, exchanged: pd.DataFrame, score: str, seed: int = 0) -> Estimate:
    """Mean score of the reports about another patient's ECG over that about the own one."""
    totals = [bootstrap.sum_and_count(part, score) for part in (exchanged, own)]
    return bootstrap.of_totals(bootstrap.ratio, *totals, combine=bootstrap.divide, seed=seed)


def _checked(scores: pd.DataFrame, score: str) -> pd.DataFrame:
    """The table as it is. Raises ValueError: a method lacks an ECG, or a value is missing."""
    for method, part in scores.groupby("method"):
        if missing := int(part[[score, "findings"]].isna().any(axis=1).sum()):
            raise ValueError(f"{method}: {missing} reports have no {score} or no F1 of findings")
    parts = [part.assign(item="report") for _, part in scores.groupby("method")]
    bootstrap.check_aligned(*(part[["unit", "ecg", "item"]] for part in parts))
    return scores


def _moments(scores: pd.DataFrame, score: str) -> np.ndarray:
    """Per patient and method the sums of 1, x, y, x^2, y^2 and xy of centred ranks, (n, 6 m)."""
    ranks = _checked(scores, score).groupby("method")[[score, "findings"]].rank()
    x, y = (ranks[name] - (len(ranks) / scores["method"].nunique()) / 2 for name in ranks)
    sums = {"n": 1.0, "x": x, "y": y, "xx": x * x, "yy": y * y, "xy": x * y}
    sums = scores[["unit", "method"]].assign(**sums).groupby(["unit", "method"]).sum()
    return sums.unstack().to_numpy()


def _correlations(totals: np.ndarray) -> np.ndarray:
    """Correlations (r, m) from sums of `_moments`, NaN where a method has one value alone."""
    n, x, y, xx, yy, xy = np.split(totals, 6, axis=1)  # each (r, m)
    covariance = xy - bootstrap.divide(x * y, n)
    spread = (xx - bootstrap.divide(x * x, n)) * (yy - bootstrap.divide(y * y, n))
    return covariance / np.sqrt(np.where(spread > 1e-6, spread, np.nan))


def _pearson(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Correlation of centred rows (r, m)."""
    return bootstrap.divide((x * y).sum(1), np.sqrt((x * x).sum(1) * (y * y).sum(1)))
