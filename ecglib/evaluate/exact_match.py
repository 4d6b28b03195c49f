"""Exact match of answers to ECG questions, by type.

An answer is a set of comma-separated parts, compared without order, case or final full stop
(HeartLLM, evaluation of ECG-QA). The overall figure is the mean over all questions, not over types;
both are listed, because the paper does not say which one it reports. An empty output is wrong, also
where the answer is "none".
"""

import pandas as pd

from ecglib.evaluate.bootstrap import RESAMPLES, Estimate, mean, paired_difference

TYPES = ["verify", "choose", "query"]


def parts(answer: str) -> frozenset[str]:
    """ "LVH, Sinus rhythm." -> {"lvh", "sinus rhythm"}."""
    pieces = (" ".join(piece.split()).strip(" .").lower() for piece in answer.split(","))
    return frozenset(piece for piece in pieces if piece)


def matches(target: str, prediction: str) -> bool:
    """Whether the two answers name the same set; False for an empty prediction."""
    said = parts(prediction)
    return bool(said) and said == parts(target)


def select(frame: pd.DataFrame) -> pd.DataFrame:
    """The question rows, with a column `type`; ValueError when there are none."""
    kind = frame["item"].str.split(":").str[0]
    frame = frame.assign(type=kind)[kind.isin(TYPES)]
    if frame.empty:
        raise ValueError(f"no question rows: items begin with {', '.join(t + ':' for t in TYPES)}")
    return frame


def exact_match(frame: pd.DataFrame) -> pd.DataFrame:
    """The question rows with `type` and score 1.0 or 0.0."""
    frame = select(frame)
    pairs = zip(frame["target"], frame["prediction"], strict=True)
    return frame.assign(score=[float(matches(t, p)) for t, p in pairs])


def accuracy(
    frame: pd.DataFrame, kind: str = "all", seed: int = 0, resamples: int = RESAMPLES
) -> Estimate:
    """Exact match of one method over the questions of a type, or over all."""
    return mean(_of_type(exact_match(frame), kind), "score", seed, resamples)


def difference(
    a: pd.DataFrame, b: pd.DataFrame, kind: str = "all", seed: int = 0, resamples: int = RESAMPLES
) -> Estimate:
    """Exact match of a minus that of b on the same questions."""
    scored = [_of_type(exact_match(frame), kind) for frame in (a, b)]
    return paired_difference(*scored, "score", seed, resamples)


def _of_type(frame: pd.DataFrame, kind: str) -> pd.DataFrame:
    if kind == "all":
        return frame
    if kind not in TYPES:
        raise ValueError(f"unknown question type {kind!r}: use all, {', '.join(TYPES)}")
    return frame[frame["type"] == kind]


def summary(frame: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """Long table: method, type (verify, choose, query, all), questions, value, low, high, n."""
    scored = exact_match(frame)
    table = []
    for method, rows in scored.groupby("method", sort=True):
        for kind in [*TYPES, "all"]:
            part = _of_type(rows, kind)
            if part.empty:
                continue
            found = mean(part, "score", seed)
            table.append({"method": method, "type": kind, "questions": len(part), **vars(found)})
    return pd.DataFrame(table)
