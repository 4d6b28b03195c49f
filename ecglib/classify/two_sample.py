"""A classifier two-sample test: can a classifier tell two sources of ECGs apart, and by what?

Random trees read named numbers of each ECG (`cohorts.cohort_features`). Cross-validation keeps
all ECGs of a patient in one fold. One model reads all groups of numbers, and one model per group
reads this group alone. A third score shuffles one group among the held-out ECGs of a fold and asks
the first model again, which shows what that model loses without the group.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold

from ecglib.cohorts.cohort_features import GROUPS
from ecglib.training.device import Machine

FOLDS = 5
ALL = "all"
TREES = 50


def score_sources(
    out: Path, inputs: dict[str, Path], config: dict, seed: int, machine: Machine
) -> None:
    """Step: write `scores.parquet`, the table of `cross_validated_scores`.

    If one source has more patients, as many as the other source has are drawn from it.

    Inputs: source_a (`ecg_features.parquet` of target 0), source_b (the same of target 1).
    """
    folders = (inputs["source_a"], inputs["source_b"])
    tables = [pd.read_parquet(folder / "ecg_features.parquet") for folder in folders]
    fewest = min(table["patient"].nunique() for table in tables)
    balanced = []
    for i, table in enumerate(tables):
        order = np.random.default_rng([seed, 62, i]).permutation(table["patient"].max() + 1)
        balanced.append(table[table["patient"].isin(order[:fewest])])
    cross_validated_scores(*balanced, seed).to_parquet(out / "scores.parquet", index=False)


def cross_validated_scores(
    source_a: pd.DataFrame, source_b: pd.DataFrame, seed: int
) -> pd.DataFrame:
    """Probability that each ECG is of source b, by a model that saw no ECG of its patient.

    Args:
        source_a, source_b: tables of `cohorts.cohort_features`; their patients are all different
            people, although both tables count them from 0.
        seed: assigns patients to folds, draws the shuffles.

    Returns:
        columns ``seen`` ("all", or a group), ``how`` ("alone": the model reads only the group;
        "shuffled": the model reads all, and the group's numbers are those of other ECGs), ``unit``
        (patient), ``target`` (1 = of source b) and ``score``.

    Raises ValueError: a source has fewer patients than there are folds.
    """
    for name, table in (("source_a", source_a), ("source_b", source_b)):
        if (patients := table["patient"].nunique()) < FOLDS:
            raise ValueError(
                f"{name}: expected at least {FOLDS} patients, got {patients}; take more patients"
            )
    frame = pd.concat([source_a, source_b], ignore_index=True)
    target = np.repeat([0, 1], [len(source_a), len(source_b)])
    unit = np.r_[source_a["patient"], source_b["patient"] + source_a["patient"].max() + 1]
    rng = np.random.default_rng([seed, 63])
    columns = {ALL: sum(GROUPS.values(), ())} | GROUPS
    scores = {(group, "alone"): np.empty(len(frame)) for group in columns}
    scores |= {(group, "shuffled"): np.empty(len(frame)) for group in GROUPS}
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed)
    for train, test in folds.split(frame, target, unit):
        models = {key: _fit(frame[list(of)], target, train, seed) for key, of in columns.items()}
        for group, model in models.items():
            held_out = frame[list(columns[group])].iloc[test]
            scores[group, "alone"][test] = model.predict_proba(held_out)[:, 1]
        for group, names in GROUPS.items():
            held_out = frame[list(columns[ALL])].iloc[test].reset_index(drop=True)
            shuffled = held_out[list(names)].iloc[rng.permutation(len(test))]
            held_out[list(names)] = shuffled.to_numpy()
            scores[group, "shuffled"][test] = models[ALL].predict_proba(held_out)[:, 1]
    parts = [
        pd.DataFrame({"seen": group, "how": how, "unit": unit, "target": target, "score": score})
        for (group, how), score in scores.items()
    ]
    return pd.concat(parts, ignore_index=True)


def _fit(
    features: pd.DataFrame, target: np.ndarray, train: np.ndarray, seed: int
) -> ExtraTreesClassifier:
    """A model of the training rows; both sources weigh the same, a missing number is a branch."""
    options = {"min_samples_leaf": 3, "class_weight": "balanced", "random_state": seed}
    model = ExtraTreesClassifier(TREES, **options)
    return model.fit(features.iloc[train], target[train])


def single_number_auc(source_a: pd.DataFrame, source_b: pd.DataFrame) -> pd.DataFrame:
    """How well each number separates the sources by itself, without any model.

    Returns columns ``group``, ``number``, ``auc`` (of the number or of its negative: 0.5 to 1),
    ``one`` and ``other`` (medians of source a and b), largest AUC first. A number that is missing
    in all ECGs of a source is left out.
    """
    rows = []
    for group, names in GROUPS.items():
        for name in names:
            a, b = source_a[name].dropna(), source_b[name].dropna()
            if a.empty or b.empty:
                continue
            area = roc_auc_score(np.repeat([0, 1], [len(a), len(b)]), np.r_[a, b])
            row = {"group": group, "number": name, "auc": max(area, 1 - area)}
            rows.append(row | {"one": float(a.median()), "other": float(b.median())})
    table = pd.DataFrame(rows).sort_values(["auc", "number"], ascending=[False, True])
    return table.reset_index(drop=True)
