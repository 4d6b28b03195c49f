"""The floor without a model: the commonest report or answer of the training split."""

from collections import Counter
from collections.abc import Iterable

import pandas as pd


def most_common(values: Iterable[str]) -> str:
    """The most frequent value; of equally frequent ones the first in alphabetical order.

    Raises:
        ValueError: there is no value.
    """
    counts = Counter(values)
    if not counts:
        raise ValueError("expected training texts, got none; check the training split")
    return min(counts, key=lambda value: (-counts[value], value))


def reports(train: pd.DataFrame, asked: pd.DataFrame) -> list[str]:
    """For each record of `asked` the commonest training report of its site.

    Args:
        train: training records with columns site, report.
        asked: records with column site; a site without training records gets the commonest report
            of all.

    Returns:
        Reports in the order of `asked`.
    """
    overall = most_common(train["report"])
    by_site = {site: most_common(part["report"]) for site, part in train.groupby("site")}
    return [by_site.get(site, overall) for site in asked["site"]]


def answers(train: pd.DataFrame, asked: pd.DataFrame) -> list[str]:
    """For each question of `asked` the commonest training answer to its template.

    Args:
        train: training questions with columns template, type, answer.
        asked: questions with columns template, type. A template that does not occur in training
            falls back on its type (verify, choose, query), an unknown type on all questions.

    Returns:
        Answers in the order of `asked`.
    """
    overall = most_common(train["answer"])
    by_type = {kind: most_common(part["answer"]) for kind, part in train.groupby("type")}
    by_template = {name: most_common(part["answer"]) for name, part in train.groupby("template")}
    return [
        by_template.get(template, by_type.get(kind, overall))
        for template, kind in zip(asked["template"], asked["type"], strict=True)
    ]
