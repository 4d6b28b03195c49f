"""Simulated ECGs beside real ones, and what a classifier that tells them apart looks at.

    ECGLIB_PTBXL_MINI=<folder> bash run_all.sh bench beside_reality

The folder has PTB-XL's layout. Both sides are cleaned and measured alike. `value` is the AUC of a
classifier on named numbers of an ECG, cross-validated by patient, in telling real ECGs from
simulated ones that have the conditions as often as a hospital (`prevalence: paper`); 0.5 would be
a perfect simulator. `reference` is its AUC in telling two mixtures of simulated ECGs apart
(`enriched` from `paper`): what the mixture alone does. `comparisons` holds both by what the
classifier sees, `single` the numbers that tell most by themselves.

Beside the result it writes `beside_reality.csv`: the distribution of the real ECGs' numbers, a
quantile only where at least ten patients lie on either side of it. The study `sim_vs_real` draws
it.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
from _common import REPO, commit, data, write

from ecglib.classify import two_sample
from ecglib.cohorts import build, cohort_features
from ecglib.cohorts.store import Cohort
from ecglib.evaluate import auc

PATIENTS, SEED = 600, 0  # simulated patients of each mixture
MOST = 4  # numbers of each group that are listed
DIGITS = 4  # significant, of what is committed
SIDES = {"paper": "simulated, prevalence paper", "enriched": "simulated, prevalence enriched"}
SIDES |= {"real": "real (PTB-XL)"}
PAIRS = (("paper", "real"), ("paper", "enriched"))
SOURCE = "PTB-XL, a part (Wagner et al. 2020, Sci Data 7:154; PhysioNet), licence CC BY 4.0"


def features_of(folder: Path, make: Callable, config: dict, inputs: dict[str, Path]) -> Path:
    """A cohort that `make` builds, its measurements and its features, all in one folder."""
    one = SimpleNamespace(threads=1)
    folder.mkdir()
    make(folder, inputs, config, SEED, one)
    cohort_features.measure_cohort(folder, {"cohort": folder}, {}, SEED, one)
    both = {"cohort": folder, "measurements": folder}
    cohort_features.extract_features(folder, both, {"patients": 100_000}, SEED, one)
    return folder


def compare(one: Path, other: Path, pair: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """AUC by what is seen, and the best single numbers of each group."""
    inputs = {"source_a": one, "source_b": other}
    two_sample.score_sources(one, inputs, {}, SEED, SimpleNamespace(threads=1))
    aucs = auc.two_sample(pd.read_parquet(one / "scores.parquet"), ("seen", "how"), SEED)
    tables = [pd.read_parquet(folder / "ecg_features.parquet") for folder in (one, other)]
    alone = two_sample.single_number_auc(*tables).groupby("group", sort=False).head(MOST)
    return aucs.assign(pair=pair), alone.assign(pair=pair)


def significant(value: object) -> object:
    """A number with `DIGITS` significant digits; anything else as it is."""
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value


def rows(table: pd.DataFrame) -> list[dict]:
    """Rows for JSON, rounded; None for NaN."""
    table = table.astype(object).where(table.notna(), None)
    return [{name: significant(v) for name, v in row.items()} for row in table.to_dict("records")]


def aggregates(folder: Path, facts: list[str]) -> None:
    """Write reports/benchmarks/beside_reality.csv: facts behind a #, then the distribution."""
    table = cohort_features.distribution(pd.read_parquet(folder / "ecg_features.parquet"))
    text = table.map(significant).to_csv(index=False, lineterminator="\n")
    head = "".join(f"# {fact}\n" for fact in facts)
    path = REPO / "reports" / "benchmarks" / "beside_reality.csv"
    path.write_text(head + text, encoding="utf-8")


def main() -> None:
    """Measure, print and write reports/benchmarks/beside_reality.json and .csv."""
    root = data("ECGLIB_PTBXL_MINI", "PTB-XL or a part of it")
    with tempfile.TemporaryDirectory() as scratch:
        folders = {}
        for name, make in (
            ("paper", cohort_features.build_comparison_cohort),
            ("enriched", build.build),
        ):
            config = {"source": "synthetic", "patients": PATIENTS, "prevalence": name}
            folders[name] = features_of(Path(scratch, name), make, config, {})
        folder, config = Path(scratch, "real"), {"source": "ptbxl"}
        folders["real"] = features_of(folder, build.build, config, {"data": root})
        aucs, alone, counts = [], [], {}
        for one, other in PAIRS:
            tables = compare(folders[one], folders[other], f"{SIDES[other]} from {SIDES[one]}")
            aucs.append(tables[0])
            alone.append(tables[1])
        for name, folder in folders.items():
            features = pd.read_parquet(folder / "ecg_features.parquet")
            patients = int(features["patient"].nunique())
            counts[SIDES[name]] = {"ecgs": len(features), "patients": patients}
        rejected = len(Cohort.open(folders["real"]).quarantine)
        of_real = counts[SIDES["real"]]
        aggregates(
            folders["real"],
            [
                f"Aggregates of real ECGs: {SOURCE}.",
                f"{of_real['ecgs']} recordings of {of_real['patients']} patients, cleaned to 250 "
                f"Hz; {rejected} repeated or rejected ones are left out.",
                "Quantiles over recordings, each with ten patients or more on either side.",
                f"Made by `bash run_all.sh bench beside_reality` at commit {commit()}.",
            ],
        )
    table = pd.concat(aucs, ignore_index=True)
    whole = table[(table["seen"] == two_sample.ALL)].set_index("pair")
    names = [f"{SIDES[other]} from {SIDES[one]}" for one, other in PAIRS]
    value, reference = whole.loc[names[0]], float(whole.loc[names[1], "value"])
    result = {
        "value": float(value["value"]),
        "low": float(value["low"]),
        "high": float(value["high"]),
        "unit": "AUC, real from simulated ECGs, five-fold cross-validation by patient",
        "reference": {"what": "enriched from paper, both simulated", "value": reference},
        "ratio": float(value["value"]) / reference,
        "real": SOURCE,
        "sets": counts,
        "comparisons": rows(table),
        "single": rows(pd.concat(alone, ignore_index=True)),
    }
    write("beside_reality", result, ("numpy", "scipy", "scikit-learn"))


if __name__ == "__main__":
    main()
