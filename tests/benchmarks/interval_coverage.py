"""How often a 95 % interval holds the true value, where a training leaves something to chance.

    bash run_all.sh bench interval_coverage

A toy whose truth is known: the score of patient i after training k is b_i + a_k + e_ik, all normal
with mean 0, so the expected score over patients and trainings is 0. b_i and e_ik have the same
variance. The standard deviation of a_k is `RATIOS` times the standard error over the patients of
one training. The intervals are those of `bootstrap.across_seeds`, with 1 (patients alone), 2, 3 and
5 training seeds. `value` is the lowest coverage of three seeds over the ratios, the reference that
of one. `reach` is the mean half-width, in standard errors over the patients of one training.
"""

import numpy as np
from _common import write

from ecglib.evaluate import bootstrap

RATIOS = (0.0, 0.5, 1.0, 2.0, 4.0)
SEEDS = (1, 2, 3, 5)
TRIALS, PATIENTS, RESAMPLES, SEED = 2000, 200, 400, 2028
DRAWS = 8  # sets of resamples, used in turn


def interval(trial: int, ratio: float, seeds: int) -> bootstrap.Estimate:
    """The estimate of one repetition of the toy."""
    rng = np.random.default_rng([SEED, trial, seeds])
    patients = rng.normal(size=PATIENTS)
    trainings = rng.normal(size=seeds) * ratio * np.sqrt(2 / PATIENTS)
    scores = patients + trainings[:, None] + rng.normal(size=(seeds, PATIENTS))
    totals = [(np.column_stack([of, np.ones(PATIENTS)]),) for of in scores]
    draw = trial % DRAWS
    return bootstrap.across_seeds(bootstrap.ratio, totals, seed=draw, resamples=RESAMPLES)


def repeated(ratio: float, seeds: int) -> dict[str, float]:
    """Coverage and mean half-width (standard errors over patients) of one setting."""
    all_of = [interval(trial, ratio, seeds) for trial in range(TRIALS)]
    low, high = (np.array([getattr(one, end) for one in all_of]) for end in ("low", "high"))
    reach = (high - low).mean() / 2 / np.sqrt(2 / PATIENTS)
    return {"coverage": float(((low < 0) & (high > 0)).mean()), "reach": float(reach)}


def main() -> None:
    """Simulate, print and write reports/benchmarks/interval_coverage.json."""
    table = {
        str(seeds): {str(ratio): repeated(ratio, seeds) for ratio in RATIOS} for seeds in SEEDS
    }
    least = {seeds: min(one["coverage"] for one in of.values()) for seeds, of in table.items()}
    result = {
        "value": least["3"],
        "unit": "lowest coverage of a 95 % interval over three training seeds and patients",
        "reference": {"what": "over patients alone, one seed", "value": least["1"]},
        "ratio": least["3"] / least["1"],
        "lowest": least,
        "by_seeds_and_ratio": table,
        "trials": TRIALS,
        "standard_error_of_a_coverage": round(float(np.sqrt(0.95 * 0.05 / TRIALS)), 4),
    }
    write("interval_coverage", result, ("numpy", "scipy"))


if __name__ == "__main__":
    main()
