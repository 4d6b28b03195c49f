"""How often a percentile interval over patients holds the value, by a double bootstrap.

    bash run_all.sh bench percentile_coverage

The patients of the run are taken as the population. A sample of as many is drawn from them, and
its percentile interval is computed from resamples of the sample, `TRIALS` times. `coverage` is the
share of intervals that hold the population's value, `below` and `above` the shares that lie
entirely below and above it, `bias` what resampling the population adds to its value, in standard
errors. Two kinds of statistic bend with their counts: the macro-F1 of findings, and Spearman's
correlation over systems of a score of words and the F1 of findings (study `word_scores`). A mean
and a difference of means, which do not bend, are beside them, and a difference of macro-F1. `value`
is the lowest coverage, the reference that of the mean.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd
from _common import REPO, skip, write

from ecglib.evaluate import bootstrap, finding_agreement
from ecglib.evaluate.word_scores import rank_correlation

RUN, STUDY = "synthetic-laptop", "synthetic-laptop-study-word_scores"
METHODS, SCORES = ("ecg_tok", "no_ecg", "retrieval"), ("rouge_l", "bert_score_small")
FLOORS = "majority retrieval memoriser template reference summary median_beat probe probe_reports "
FLOORS += "decoded shuffled"  # the study judges trained systems alone
TRIALS, RESAMPLES, SEED = 400, 400, 2029
Statistic = Callable[[np.ndarray], np.ndarray]  # (r, n) patient weights -> (r,)


def read(run: str, name: str) -> pd.DataFrame:
    """Predictions of a run; the benchmark ends without them."""
    path = REPO / "reports" / run / "predictions" / f"{name}.parquet"
    if not path.is_file():
        skip(f"percentile_coverage: {path.name} of {run} is absent; run bash run_all.sh first.")
    return pd.read_parquet(path)


def statistics() -> dict[str, tuple[int, Statistic]]:
    """Name -> number of patients, and the statistic of their weights."""
    reports, listed, by_method = read(RUN, "04_reports"), {}, []
    findings = reports[reports["item"].str.startswith("finding:")]
    for method in METHODS:
        cells = finding_agreement.select_conditions(findings[findings["method"] == method])
        sums = finding_agreement.totals(cells)[:, :, :-1].reshape(cells["unit"].nunique(), -1)
        listed[f"macro-F1, {method}"] = len(sums), lambda w, x=sums: finding_agreement.macro(w @ x)
        by_method.append(listed[f"macro-F1, {method}"][1])
    one, other = by_method[:2]
    listed["difference of macro-F1"] = len(sums), lambda w: one(w) - other(w)
    words = reports[(reports["item"] == "rouge_l") & reports["method"].isin(METHODS[:2])]
    each = [bootstrap.sum_and_count(of) for _, of in words.groupby("method", sort=False)]
    listed["mean, ROUGE-L"] = len(each[0]), lambda w: bootstrap.ratio(w @ each[0])
    listed["difference of means, ROUGE-L"] = (
        len(each[0]),
        lambda w: bootstrap.ratio(w @ each[0]) - bootstrap.ratio(w @ each[1]),
    )
    scores = read(STUDY, "study_scores")
    scores = scores[~scores["method"].isin(FLOORS.split())]
    for score in SCORES:
        by_unit = scores.groupby(["unit", "method"])[[score, "findings"]].sum().unstack().to_numpy()
        listed[f"rank correlation, {score}"] = (
            len(by_unit),
            lambda w, x=by_unit: rank_correlation(w @ x),
        )
    return listed


def coverage(n: int, of: Statistic) -> dict[str, float]:
    """What `TRIALS` samples of the n patients say of the percentile interval."""
    rng, tails = np.random.default_rng(SEED), [0.025, 0.975]
    true = float(of(np.ones((1, n)))[0])
    again = of(rng.multinomial(n, np.full(n, 1 / n), size=4 * RESAMPLES).astype(float))
    ends = []
    for _ in range(TRIALS):
        sample = rng.multinomial(n, np.full(n, 1 / n)) / n
        drawn = of(rng.multinomial(n, sample, size=RESAMPLES).astype(float))
        ends.append(np.quantile(drawn, tails, method="inverted_cdf"))
    low, high = np.array(ends).T
    below, above = float((high < true).mean()), float((low > true).mean())
    shares = {"coverage": 1 - below - above, "below": below, "above": above}
    return shares | {"bias": float((again.mean() - true) / again.std()), "patients": n}


def main() -> None:
    """Resample, print and write reports/benchmarks/percentile_coverage.json."""
    table = {name: coverage(n, of) for name, (n, of) in statistics().items()}
    least = min(table, key=lambda name: table[name]["coverage"])
    value, mean = table[least]["coverage"], table["mean, ROUGE-L"]["coverage"]
    result = {
        "value": value,
        "unit": f"coverage of a 95 % percentile interval over patients ({least})",
        "reference": {"what": "the same of a mean", "value": mean},
        "ratio": value / mean,
        "by_statistic": table,
        "trials": TRIALS,
        "standard_error_of_a_coverage": round(float(np.sqrt(0.95 * 0.05 / TRIALS)), 4),
    }
    write("percentile_coverage", result, ("numpy", "scipy"))


if __name__ == "__main__":
    main()
