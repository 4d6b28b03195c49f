"""Exact match of answers to ECG questions, by type, and beside it what guessing gets.

An answer is a set of comma-separated parts, compared without order, case or final full stop. This
is after HeartLLM's code, which splits answers at full stops, compares them as sets and keeps case.
The overall figure is the mean over all questions, not over types; both are listed, because the
paper does not say which one it reports. An empty output is wrong, also where the answer is "none".

Questions are asked in balanced sets: the same question, in the same words, about ECGs with
different answers, where each set contains the commonest answer of its item. An item with n
questions, c of which have its commonest answer, has c sets, so an answer that depends on the words
alone is right at most c times. The chance level is the mean of c / n over all questions.
"""

from functools import lru_cache

import numpy as np
import pandas as pd

from ecglib.evaluate import predictions
from ecglib.evaluate.bootstrap import Estimate, bounded, mean, paired_difference

TYPES = ["verify", "choose", "query"]


@lru_cache(maxsize=65536)  # answers are few, and are scored again in each selection
def parts(answer: str) -> frozenset[str]:
    """ "LVH, Sinus rhythm." -> {"lvh", "sinus rhythm"}."""
    pieces = (" ".join(piece.split()).strip(" .").lower() for piece in answer.split(","))
    return frozenset(piece for piece in pieces if piece)


def matches(target: str, prediction: str) -> bool:
    """Whether the two answers name the same set; False for an empty prediction."""
    predicted = parts(prediction)
    return bool(predicted) and predicted == parts(target)


def is_question(frame: pd.DataFrame) -> pd.Series:
    """Which rows are answers to questions."""
    return pd.Series(np.isin(predictions.kinds(frame["item"]), TYPES), frame.index)


def select(frame: pd.DataFrame, kind: str = "all") -> pd.DataFrame:
    """The question rows of a type (verify, choose, query) or of all, with a column `type`.
    Raises ValueError for an unknown type, and when there are no question rows."""
    if kind not in ("all", *TYPES):
        raise ValueError(f"unknown question type {kind!r}; use all, {', '.join(TYPES)}")
    kinds = predictions.kinds(frame["item"])
    questions = np.isin(kinds, TYPES)
    frame = frame[questions].assign(type=kinds[questions])
    if frame.empty:
        text = f"expected items that begin with {', '.join(t + ':' for t in TYPES)}, got none"
        raise ValueError(f"{text}; check the selected method")
    return frame if kind == "all" else frame[frame["type"] == kind]


def score(frame: pd.DataFrame, kind: str = "all") -> pd.DataFrame:
    """The question rows with `type` and score 1.0 or 0.0."""
    frame = select(frame, kind)
    # Different pairs of answers are few. Each is compared once.
    pair = frame.groupby(["target", "prediction"], sort=False, dropna=False).ngroup().to_numpy()
    different = frame.iloc[np.unique(pair, return_index=True)[1]]
    pairs = zip(different["target"], different["prediction"], strict=True)
    return frame.assign(score=np.array([float(matches(*answers)) for answers in pairs])[pair])


def score_chance(frame: pd.DataFrame, kind: str = "all") -> pd.DataFrame:
    """The question rows of one method and seed with `type` and, as score, c / n of their item."""
    rows = select(frame, kind)
    counts = rows.groupby(["item", "target"]).size().groupby("item").agg(["max", "sum"])
    return rows.assign(score=rows["item"].map(counts["max"] / counts["sum"]))


def accuracy(frame: pd.DataFrame, kind: str = "all", seed: int = 0) -> Estimate:
    """Exact match of one method over the questions of a type, or over all."""
    return bounded(mean(score(frame, kind), seed=seed))


def difference(a: pd.DataFrame, b: pd.DataFrame, kind: str = "all", seed: int = 0) -> Estimate:
    """Exact match of a minus that of b on the same questions."""
    return paired_difference(score(a, kind), score(b, kind), seed=seed)


def chance(frame: pd.DataFrame, kind: str = "all", seed: int = 0) -> Estimate:
    """The chance level over the questions of a type, or over all."""
    return bounded(mean(score_chance(frame, kind), seed=seed))


def gain(frame: pd.DataFrame, kind: str = "all", seed: int = 0) -> Estimate:
    """Exact match of one method minus the chance level, with the same draws of patients."""
    return paired_difference(score(frame, kind), score_chance(frame, kind), seed=seed)


def summary(frame: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """Long table: method, type (verify, choose, query, all), questions, value, low, high, n,
    seeds."""
    table = []
    for method, rows in score(frame).groupby("method", sort=True):
        for kind, n in _counts(rows).items():
            asked = rows if kind == "all" else rows[rows["type"] == kind]
            value = bounded(mean(asked, seed=seed))
            table.append({"method": method, "type": kind, "questions": n, **vars(value)})
    return pd.DataFrame(table)


def summary_beside_chance(frame: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """Long table of one method: type, questions, metric, value, low, high, n, seeds.
    The metrics are accuracy, chance, and gain (the first minus the second)."""
    return pd.DataFrame(
        {"type": kind, "questions": n, "metric": f.__name__, **vars(f(frame, kind, seed))}
        for kind, n in _counts(select(frame)).items()
        for f in (accuracy, chance, gain)
    )


def _counts(rows: pd.DataFrame) -> dict[str, int]:
    """The number of questions of each type that occurs, then of all; each seed has the same."""
    rows = rows[rows["seed"] == rows["seed"].iloc[0]]
    counts = {kind: int((rows["type"] == kind).sum()) for kind in TYPES}
    return {kind: n for kind, n in counts.items() if n} | {"all": len(rows)}


def check_sets(frame: pd.DataFrame) -> None:
    """Raise ValueError where the questions of one method were not asked in balanced sets. Each set
    has two ECGs or more, so no answer is right for more than half of an item's questions."""
    rows = score_chance(frame)
    unbalanced = rows.loc[rows["score"] > 0.5, "item"]
    if not unbalanced.empty:
        item = unbalanced.iloc[0]
        answers = rows.loc[rows["item"] == item, "target"].value_counts()
        raise ValueError(
            f"{item}: expected no answer for more than half of the questions, got "
            f"{answers.index[0]!r} for {answers.iloc[0]} of {answers.sum()}; ask in balanced sets"
        )
