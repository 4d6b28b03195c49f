"""Can a classifier tell two sets of ECGs apart, and by what?

Random trees on named numbers (`cohorts.comparison_cohort`), cross-validated so that the ECGs of a patient
are never on both sides. They see all groups of numbers, and each group alone; what they see in all
is also asked by shuffling one group among the ECGs that were held out, which leaves the model as
it is and takes only this from it.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold

from ecglib.cohorts.comparison_cohort import GROUPS

if TYPE_CHECKING:
    from ecglib.training.device import Machine

FOLDS = 5
ALL = "all"
TREES = 50


def tell_apart(
    out: Path, inputs: dict[str, Path], config: dict, seed: int, machine: "Machine"
) -> None:
    """Step: `scores.parquet`; inputs: `one` and `other`, folders with `ecg_features.parquet`.

    Config: none. Where one of them has more patients, as many as the other has are drawn.
    """
    tables = [pd.read_parquet(inputs[name] / "ecg_features.parquet") for name in ("one", "other")]
    least = min(table["patient"].nunique() for table in tables)
    kept = []
    for place, table in enumerate(tables):
        order = np.random.default_rng([seed, 62, place]).permutation(table["patient"].max() + 1)
        kept.append(table[table["patient"].isin(order[:least])])
    one, other = kept
    scores(one, other, seed).to_parquet(out / "scores.parquet", index=False)


def scores(one: pd.DataFrame, other: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """Chance of being of the other set, for each ECG from a model that saw none of its patient's.

    Args:
        one, other: tables of `cohorts.comparison_cohort`; patients of two tables are different people.
        seed: deals patients to folds, draws the shuffles.

    Returns:
        columns ``seen`` ("all", or a group), ``how`` ("alone", or "shuffled": all were seen, and
        those of the group came from other ECGs), ``unit`` (patient), ``target`` (1 = of the other
        set) and ``score``.

    Raises:
        ValueError: a set has fewer patients than folds.
    """
    for name, table in (("one", one), ("other", other)):
        if table["patient"].nunique() < FOLDS:
            raise ValueError(
                f"the {name} set has {table['patient'].nunique()} patients; telling two sets apart "
                f"takes {FOLDS} of each"
            )
    frame = pd.concat([one, other], ignore_index=True)
    target = np.repeat([0, 1], [len(one), len(other)])
    unit = np.r_[one["patient"], other["patient"] + one["patient"].max() + 1]
    rng = np.random.default_rng([seed, 63])
    groups = {ALL: sum(GROUPS.values(), ())} | GROUPS
    found = {(seen, "alone"): np.empty(len(frame)) for seen in groups}
    found |= {(seen, "shuffled"): np.empty(len(frame)) for seen in GROUPS}
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed)
    for train, test in folds.split(frame, target, unit):
        models = {seen: _fit(frame[list(g)], target, train, seed) for seen, g in groups.items()}
        for seen, model in models.items():
            held_out = frame[list(groups[seen])].iloc[test]
            found[seen, "alone"][test] = model.predict_proba(held_out)[:, 1]
        for seen, names in GROUPS.items():
            held_out = frame[list(groups[ALL])].iloc[test].reset_index(drop=True)
            drawn = held_out[list(names)].iloc[rng.permutation(len(test))]
            held_out[list(names)] = drawn.to_numpy()
            found[seen, "shuffled"][test] = models[ALL].predict_proba(held_out)[:, 1]
    parts = [
        pd.DataFrame({"seen": seen, "how": how, "unit": unit, "target": target, "score": score})
        for (seen, how), score in found.items()
    ]
    return pd.concat(parts, ignore_index=True)


def _fit(
    features: pd.DataFrame, target: np.ndarray, train: np.ndarray, seed: int
) -> ExtraTreesClassifier:
    """A model of the training rows; both sets weigh the same. An unknown number is a branch."""
    model = ExtraTreesClassifier(
        TREES, min_samples_leaf=3, class_weight="balanced", random_state=seed
    )
    return model.fit(features.iloc[train], target[train])


def single(one: pd.DataFrame, other: pd.DataFrame) -> pd.DataFrame:
    """What each number tells by itself, without any model.

    Returns:
        columns ``group``, ``number``, ``auc`` (of the number, or of its negative: 0.5 to 1),
        ``one`` and ``other`` (medians), best first. A number that is not known in both is left out.
    """
    rows = []
    for group, names in GROUPS.items():
        for name in names:
            a, b = one[name].dropna(), other[name].dropna()
            if a.empty or b.empty:
                continue
            area = roc_auc_score(np.repeat([0, 1], [len(a), len(b)]), np.r_[a, b])
            row = {"group": group, "number": name, "auc": max(area, 1 - area)}
            rows.append(row | {"one": float(a.median()), "other": float(b.median())})
    return (
        pd.DataFrame(rows)
        .sort_values(["auc", "number"], ascending=[False, True])
        .reset_index(drop=True)
    )
