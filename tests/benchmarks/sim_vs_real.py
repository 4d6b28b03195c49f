"""Can a classifier tell simulated ECGs from real ones that it was not fitted on?

    ECGLIB_PTBXL_MINI=<folder> bash run_all.sh bench sim_vs_real

The features and the classifier are those of `beside_reality`. It is fitted on PTB-XL's folds 1 to 8
and as many simulated ECGs (`prevalence: paper`), and scored on folds 9 and 10 and on simulated
patients of another seed. `value` is the AUC with a 95 % interval over patients; 0.5 would be a
perfect simulator. `groups` holds the AUC of each group of features alone.
"""

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from _common import data, write
from beside_reality import features_of, rows

from ecglib.classify import two_sample
from ecglib.cohorts import build, cohort_features
from ecglib.cohorts.store import Cohort
from ecglib.evaluate import auc

FIT_PATIENTS, TEST_PATIENTS, SEED, LIMIT = 220, 60, 0, 0.90


def scores(sources: dict[tuple[str, int], pd.DataFrame]) -> pd.DataFrame:
    """Columns seen, unit, target, score of the held-out ECGs; keys are (part, target)."""
    parts = {}
    for part in ("fit", "test"):
        tables = [sources[part, target].assign(target=target) for target in (0, 1)]
        parts[part] = pd.concat(tables, ignore_index=True)
    fit, test = parts["fit"], parts["test"]
    unit = test["patient"] + test["target"] * (1 + test["patient"].max())
    columns = {two_sample.ALL: sum(cohort_features.GROUPS.values(), ())} | cohort_features.GROUPS
    results = []
    for group, names in columns.items():
        every = np.arange(len(fit))
        model = two_sample._fit(fit[list(names)], fit["target"].to_numpy(), every, SEED)
        score = model.predict_proba(test[list(names)])[:, 1]
        results.append(
            pd.DataFrame({"seen": group, "unit": unit, "target": test["target"], "score": score})
        )
    return pd.concat(results, ignore_index=True)


def main() -> None:
    """Measure, print and write reports/benchmarks/sim_vs_real.json."""
    root = data("ECGLIB_PTBXL_MINI", "PTB-XL or a part of it")
    sources = {}
    with tempfile.TemporaryDirectory() as scratch:
        config = {"source": "ptbxl", "split": "folds"}
        folder = features_of(Path(scratch, "real"), build.build, config, {"data": root})
        real = pd.read_parquet(folder / "ecg_features.parquet")
        is_fit = Cohort.open(folder).records["split"].to_numpy()[real["row"]] == "train"
        sources["fit", 1], sources["test", 1] = real[is_fit], real[~is_fit]
        for part, patients, make in (
            ("fit", FIT_PATIENTS, cohort_features.build_comparison_cohort),
            ("test", TEST_PATIENTS, build.build),
        ):
            config = {"source": "synthetic", "patients": patients, "prevalence": "paper"}
            folder = features_of(Path(scratch, part), make, config, {})
            sources[part, 0] = pd.read_parquet(folder / "ecg_features.parquet")
        table = auc.two_sample(scores(sources), ("seen",), SEED)
    whole = table[table["seen"] == two_sample.ALL].iloc[0]
    result = {
        "value": float(whole["value"]),
        "low": float(whole["low"]),
        "high": float(whole["high"]),
        "unit": "AUC, real from simulated ECGs, held-out patients of both",
        "reference": {"what": "the limit that was set", "value": LIMIT},
        "ratio": float(whole["value"]) / LIMIT,
        "ecgs": {f"{part} {('simulated', 'real')[t]}": len(x) for (part, t), x in sources.items()},
        "groups": rows(table),
    }
    write("sim_vs_real", result, ("numpy", "scipy", "scikit-learn"))


if __name__ == "__main__":
    main()
