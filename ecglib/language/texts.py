"""Prompts and answers as token ids."""

import numpy as np
import pandas as pd

from ecglib.language.base import Base
from ecglib.language.packing import Text


def report_prompt(site: str) -> str:
    """What precedes a report: the hospital alone, because it decides the wording."""
    return f"{site}:"


def answered(base: Base, prompt: str, answer: str) -> Text:
    """A prompt with its supervised answer, end token included."""
    return Text(base.encode(prompt), [*base.encode(" " + answer), base.eos])


def report_texts(base: Base, records: pd.DataFrame) -> list[Text]:
    """The report of each record; `records` has the columns site and report."""
    pairs = zip(records["site"], records["report"], strict=True)
    return [answered(base, report_prompt(site), report) for site, report in pairs]


def question_texts(base: Base, rows: np.ndarray, questions: pd.DataFrame) -> list[list[Text]]:
    """The questions about each record, possibly none.

    Args:
        rows: record numbers; questions: columns row, question, answer, all about these records.
    """
    by_row = {row: [] for row in rows}
    for asked in questions.itertuples():
        by_row[asked.row].append(answered(base, asked.question, asked.answer))
    return [by_row[row] for row in rows]
