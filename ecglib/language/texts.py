"""Prompts and answers as token ids."""

from ecglib.language.base import Base
from ecglib.language.packing import Text


def report_prompt(site: str) -> str:
    """What precedes a report: the hospital alone, since it decides the wording."""
    return f"{site}:"


def report_text(base: Base, site: str, report: str) -> Text:
    """A report as prompt and supervised answer, end token included."""
    return Text(base.ids(report_prompt(site)), [*base.ids(" " + report), base.eos])


def question_text(base: Base, question: str, answer: str) -> Text:
    """A question as prompt and supervised answer, end token included."""
    return Text(base.ids(question), [*base.ids(" " + answer), base.eos])


def decode(base: Base, ids: list[int]) -> str:
    """Generated tokens as text, outer blanks removed."""
    return base.tokenizer.decode(ids, skip_special_tokens=True).strip()
