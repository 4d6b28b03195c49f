"""Floors and a ceiling without a language model, for reports and for questions.

    majority     the commonest report of the hospital, the commonest answer to the template
    text_only    a guess from the words of the question
    retrieval    the nearest training ECG by mean latents (`nearest`, `memoriser.neighbour_answers`)
    memoriser    the same by the method's own codes (`memoriser`)
    summary, median_beat, decoded, probe    a classifier's states (`classify`), worded by
                 `template_reports` and `questions.state_answers`
    template     the true states, worded in the same way
    reference    the reference report itself, read back

`what_floors_saw` lists what each learned from.
"""

import warnings
from collections import Counter
from collections.abc import Iterable

import numpy as np
import pandas as pd
import torch
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from ecglib.labels.findings import full_report

AT_ONCE = 1024  # ECGs of which a copy of the vectors is held
SAW = {  # method: what it reads of a test case, and what of the training ECGs it learns from
    "majority": ("hospital or template", "reports, answers"),
    "text_only": ("words of the question", "answers"),
    "retrieval": ("mean latents", "reports, answers"),
    "memoriser": ("codes", "reports, answers"),
    "summary": ("summary numbers of the signal", "states"),
    "median_beat": ("summary numbers and a median beat", "states"),
    "decoded": ("decoded signal", "states"),
    "probe_reports": ("codes", "reports"),
    "probe": ("codes", "states"),
    "template": ("true states", ""),
    "reference": ("reference report", ""),
}


def what_floors_saw(reports: int, answers: int, states: int) -> pd.DataFrame:
    """Budgets of the floors: columns method, reads, reports, answers, states.

    The arguments are how many of each the training ECGs have. States are known cells of the targets
    of a classifier (`classify.targets`)."""
    counts = {"reports": reports, "answers": answers, "states": states}
    return pd.DataFrame(
        {"method": method, "reads": reads} | {name: n * (name in of) for name, n in counts.items()}
        for method, (reads, of) in SAW.items()
    )


def most_common(values: Iterable[str]) -> str:
    """The most frequent value; of equally frequent ones the first in alphabetical order. Raises
    ValueError: there is no value."""
    counts = Counter(values)
    if not counts:
        raise ValueError("expected training texts, got none; check the training split")
    return min(counts, key=lambda value: (-counts[value], value))


def _commonest(train: pd.DataFrame, by: str, text: str) -> dict[str, str]:
    """The commonest text per value of the column `by`."""
    return {value: most_common(part[text]) for value, part in train.groupby(by)}


def majority_reports(train: pd.DataFrame, asked: pd.DataFrame) -> list[str]:
    """For each record of `asked` the commonest training report of its site.

    `train`: training records with columns site, report; those without a report are left out.
    `asked`: records with column site; a site without training reports gets the commonest of all.
    """
    train = train[train["report"].str.strip() != ""]
    overall, by_site = most_common(train["report"]), _commonest(train, "site", "report")
    return [by_site.get(site, overall) for site in asked["site"]]


def majority_answers(train: pd.DataFrame, asked: pd.DataFrame) -> list[str]:
    """For each question of `asked` the commonest training answer to its template.

    `train`: training questions with columns template, type, answer. `asked`: questions with columns
    template, type. A template that does not occur in training falls back on its type (verify,
    choose, query), an unknown type on all questions.
    """
    overall = most_common(train["answer"])
    by_type, by_template = (_commonest(train, by, "answer") for by in ("type", "template"))
    return [
        by_template.get(template, by_type.get(kind, overall))
        for template, kind in zip(asked["template"], asked["type"], strict=True)
    ]


def mean_pool(z: torch.Tensor, lengths: torch.Tensor) -> np.ndarray:
    """Mean over the valid positions: z (N, T, D), lengths (N,) -> float64 (N, D)."""
    valid = (torch.arange(z.shape[1]) < lengths[:, None])[..., None]
    # A few at a time, because `z` may lie on the disk (`encode.zeros`).
    pairs = zip(z.split(AT_ONCE), valid.split(AT_ONCE), strict=True)
    sums = torch.cat([(part * own).sum(1) for part, own in pairs])
    return (sums.double() / lengths[:, None]).numpy()


def nearest(
    train: np.ndarray, asked: np.ndarray, train_sites: np.ndarray, sites: np.ndarray
) -> np.ndarray:
    """Index of the training record that is most similar to each asked one, of equal ones the first.

    Cosine similarity after subtracting the training mean, because the part that all ECGs share
    would make all cosines alike. The search is within the same site, because the site decides how
    a report is worded and every other system knows the site too. For an ECG of a site without
    training records it is among all.

    `train`: (N, D) pooled embeddings, of sites (N,); `asked`: (M, D), of sites (M,). Raises
    ValueError: no training record, or embeddings of different widths.
    """
    if len(train) == 0 or train.shape[1:] != asked.shape[1:]:
        raise ValueError(
            f"expected training embeddings of width {asked.shape[1:]}, got shape {train.shape}"
        )
    mean = train.mean(0)
    similarity = unit(asked - mean) @ unit(train - mean).T
    same = np.asarray(sites)[:, None] == np.asarray(train_sites)[None, :]
    allowed = same | ~same.any(1, keepdims=True)
    return np.where(allowed, similarity, -np.inf).argmax(1)


def unit(x: np.ndarray) -> np.ndarray:
    """Vectors (N, D) of length 1; zeros stay zeros."""
    length = np.linalg.norm(x, axis=1, keepdims=True)
    return x / np.where(length > 0, length, 1.0)


def text_only_answers(train: pd.DataFrame, asked: pd.DataFrame) -> list[str]:
    """Guess the answers of questions from their words: how much do the words give away?

    Multinomial logistic regression on bags of words and word pairs, one model per type of question
    (verify, choose, query). It can learn which answers go with a finding, a wording or the order of
    two names, which `majority_answers` cannot. Equal questions enter the training once, weighted by
    how often each answer was right, so the cost does not grow with the cohort.

    Args:
        train: training questions with columns type, question, answer.
        asked: questions with columns type, question.

    Raises:
        ValueError: a type does not occur in training.
    """
    guessed = pd.Series("", index=range(len(asked)), dtype=object)
    for kind, part in asked.reset_index(drop=True).groupby("type"):
        past = train[train["type"] == kind]
        if past.empty:
            raise ValueError(f"expected training questions of the type {kind!r}, got none")
        guessed[part.index] = _guess(past, part["question"])
    return guessed.tolist()


@threadpool_limits.wrap(limits=1, user_api="blas")  # as `fit_ridge` of classify
def _guess(past: pd.DataFrame, questions: pd.Series) -> list[str]:
    counts = past.groupby(["question", "answer"]).size().reset_index(name="times")
    if counts["answer"].nunique() == 1:
        return [counts["answer"].iloc[0]] * len(questions)
    bag = CountVectorizer(token_pattern=r"\S+", ngram_range=(1, 2), binary=True)
    model = LogisticRegression(C=10.0, max_iter=300)
    with warnings.catch_warnings():
        # equal questions enter once, so there may be nearly as many answers as questions
        warnings.filterwarnings("ignore", "The number of unique classes", UserWarning)
        model.fit(bag.fit_transform(counts["question"]), counts["answer"], counts["times"])
    different = questions.unique()
    answer = dict(zip(different, model.predict(bag.transform(different)), strict=True))
    return [str(answer[question]) for question in questions]


def template_reports(states: np.ndarray, sites: Iterable[str]) -> list[str]:
    """The present findings in the wording of the report templates: states int8 (N, 77), sites (N,).

    Of predicted states it is a floor: a classifier and a table of phrases, no language model.
    """
    return [full_report(row, site) for row, site in zip(states, sites, strict=True)]
