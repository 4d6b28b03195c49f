"""What guessing gets from questions that are asked in balanced sets, and what a method gains on it.

In a set the same question, in the same words, is asked of ECGs with different answers, and the
commonest answer of an item stands in each of its sets. So an item with n questions, c of which have
its commonest answer, has c sets, and an answer that depends on the words alone is right c times at
most. The chance level is the mean of c / n over all questions.
"""

import pandas as pd

from ecglib.evaluate.bootstrap import RESAMPLES, Estimate, mean, paired_difference
from ecglib.evaluate.exact_match import TYPES, accuracy, exact_match, select


def chance(frame: pd.DataFrame) -> pd.DataFrame:
    """The question rows of one method and seed with `type` and, as score, the chance to guess."""
    rows = select(frame)
    counts = rows.groupby(["item", "target"]).size().groupby("item").agg(["max", "sum"])
    return rows.assign(score=rows["item"].map(counts["max"] / counts["sum"]))


def level(
    frame: pd.DataFrame, kind: str = "all", seed: int = 0, resamples: int = RESAMPLES
) -> Estimate:
    """The chance level over the questions of a type (verify, choose, query), or over all."""
    return mean(_of_type(chance(frame), kind), "score", seed, resamples)


def gain(
    frame: pd.DataFrame, kind: str = "all", seed: int = 0, resamples: int = RESAMPLES
) -> Estimate:
    """Exact match of one method minus the chance level, with the same draws of patients."""
    scored = [_of_type(rows, kind) for rows in (exact_match(frame), chance(frame))]
    return paired_difference(*scored, "score", seed, resamples)


def summary(frame: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """What one method gets, beside chance: one row for each type and all, and each metric.

    Columns: type, questions, metric (accuracy, chance, or gain: the first minus the second), value,
    low, high, n.
    """
    found = []
    asked = select(frame)["type"]
    for kind in [*(k for k in TYPES if (asked == k).any()), "all"]:
        count = len(asked) if kind == "all" else int((asked == kind).sum())
        for name, estimate in (("accuracy", accuracy), ("chance", level), ("gain", gain)):
            row = {"type": kind, "questions": count, "metric": name}
            found.append(row | vars(estimate(frame, kind, seed)))
    return pd.DataFrame(found)


def check_sets(frame: pd.DataFrame) -> None:
    """Raise ValueError where the questions of one method were not asked in balanced sets.

    Each set has two ECGs or more, so no answer holds more than half of the questions of an item.
    """
    rows = chance(frame)
    off = rows[rows["score"] > 0.5]
    if not off.empty:
        item = off["item"].iloc[0]
        asked = rows[rows["item"] == item]
        said = asked["target"].value_counts()
        raise ValueError(
            f"{item}: {said.iloc[0]} of {len(asked)} answers are {said.index[0]!r}; questions must "
            "be asked in sets, so that no answer is right for more than half of them"
        )


def _of_type(frame: pd.DataFrame, kind: str) -> pd.DataFrame:
    if kind != "all" and kind not in TYPES:
        raise ValueError(f"unknown question type {kind!r}: use all, {', '.join(TYPES)}")
    return frame if kind == "all" else frame[frame["type"] == kind]
