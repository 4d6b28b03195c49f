"""How much of the labels can be read without a heartbeat?

    bash run_all.sh bench shortcuts

A recording can give its labels away by something that is no part of the heart: its hospital, its
noise, its mains. Reads the committed cohort table of `RUN` and fits one logistic regression per
label to such columns on training patients; the ridge is that of notebook 03's floors, its strength
chosen on validation patients. `value` is the macro-AUC of all columns together on test patients,
the reference is chance. The noise that the simulator has added is known here by the quality score
alone. `masks` reads which labels cannot be assessed in an ECG, which no system sees: it says how
much an evaluation would give away by asking about assessable labels only.
"""

import numpy as np
import pandas as pd
from _common import REPO, skip, write

from ecglib.classify.linear_floors import STRENGTHS, fit_ridge, scores
from ecglib.classify.targets import binary_targets
from ecglib.classify.validation import macro_auc
from ecglib.labels.label_set import NOT_ASSESSABLE

RUN, LEAST = "synthetic-laptop", 20  # training ECGs with a label, and without
PARTS = ("train", "validation", "test")


def columns(table: pd.DataFrame) -> dict[str, np.ndarray]:
    """What a recording has beside its heart, (n, k) each."""
    site = (table["site"].to_numpy()[:, None] == np.unique(table["site"])).astype(float)
    quality = table["quality"].to_numpy()[:, None]
    lines = table["mains"].str.split()  # Hz of each mains line that was taken out
    first = lines.str[0].fillna(0).astype(float)
    mains = np.column_stack([lines.str.len(), first, abs(first - 50) < 2])
    parts = {"site": site, "quality": np.hstack([quality, quality**2])}
    parts |= {"high_passed": table[["high_passed"]].to_numpy(float), "mains": mains.astype(float)}
    return parts | {"all": np.hstack(list(parts.values()))}


def read(x: np.ndarray, states: np.ndarray, split: np.ndarray) -> float:
    """Macro-AUC on test patients of one logistic regression per label."""
    of = {part: split == part for part in PARTS}
    x = (x - x[of["train"]].mean(0)) / (x[of["train"]].std(0) + 1e-6)
    targets = {part: binary_targets(states[rows]) for part, rows in of.items()}
    weights, tried = None, []
    for strength in STRENGTHS:
        weights = fit_ridge(x[of["train"]], *targets["train"], strength, weights)
        tried.append(
            (macro_auc(*targets["validation"], scores(x[of["validation"]], weights)), weights)
        )
    best = max(tried, key=lambda one: one[0])[1]
    return float(macro_auc(*targets["test"], scores(x[of["test"]], best)))


def main() -> None:
    """Fit, print and write reports/benchmarks/shortcuts.json."""
    path = REPO / "reports" / RUN / "predictions" / "01_split.parquet"
    if not path.is_file():
        skip(f"shortcuts: run {RUN} first (bash run_all.sh --only 01).")
    table = pd.read_parquet(path)
    table = table[table["split"].isin(PARTS)]
    split, states = table["split"].to_numpy(), table.filter(like="label_").to_numpy()
    masks = (states == NOT_ASSESSABLE).astype(float)
    present, known = binary_targets(states[split == "train"])
    cases, others = (present * known).sum(0), ((1 - present) * known).sum(0)
    states = states[:, (cases >= LEAST) & (others >= LEAST)]
    by = {name: read(x, states, split) for name, x in columns(table).items()}
    result = {
        "value": by["all"],
        "unit": "macro-AUC of test patients from site, quality, filter and mains of a recording",
        "reference": {"what": "chance", "value": 0.5},
        "ratio": by["all"] / 0.5,
        "by_column": by,
        "masks": read(masks, states, split),
        "labels": states.shape[1],
        "test_ecgs": int((split == "test").sum()),
    }
    write("shortcuts", result, ("numpy", "scipy"))


if __name__ == "__main__":
    main()
