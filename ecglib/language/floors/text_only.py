"""A guesser that reads the question without the ECG: how much do the words give away?

Multinomial logistic regression on bags of words and word pairs, trained on the training answers.
It can learn which answers go with a finding, a wording or the order of two names. The commonest
answer by template (`ecglib.language.floors.majority`) cannot.
"""

import warnings

import pandas as pd
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression

SETTINGS = {"C": 10.0, "max_iter": 300}


def answers(train: pd.DataFrame, asked: pd.DataFrame) -> list[str]:
    """Guess the answers of some questions from their words.

    There is one model per type of question (verify, choose, query). Equal questions enter the
    training once, weighted by how often each answer was right, so the cost does not grow with the
    cohort.

    Args:
        train: training questions with columns type, question, answer.
        asked: questions with columns type, question.

    Returns:
        Answers in the order of `asked`.

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


def _guess(past: pd.DataFrame, questions: pd.Series) -> list[str]:
    counts = past.groupby(["question", "answer"]).size().reset_index(name="times")
    if counts["answer"].nunique() == 1:
        return [counts["answer"].iloc[0]] * len(questions)
    bag = CountVectorizer(token_pattern=r"\S+", ngram_range=(1, 2), binary=True)
    model = LogisticRegression(**SETTINGS)
    with warnings.catch_warnings():
        # equal questions enter once, so there may be nearly as many answers as questions
        warnings.filterwarnings("ignore", "The number of unique classes", UserWarning)
        model.fit(bag.fit_transform(counts["question"]), counts["answer"], counts["times"])
    different = questions.unique()
    answer = dict(zip(different, model.predict(bag.transform(different)), strict=True))
    return [str(answer[question]) for question in questions]
