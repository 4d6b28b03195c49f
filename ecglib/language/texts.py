"""Prompts and answers as token ids, and who is shuffled with whom."""

import numpy as np

from ecglib.language.base import Base
from ecglib.language.rows import Text


def report_prompt(site: str) -> str:
    """What precedes a report: the hospital alone, since it decides the wording."""
    return f"{site}:"


def report_text(base: Base, site: str, report: str) -> Text:
    """A report as prompt and supervised answer, end token included."""
    return Text(base.ids(report_prompt(site)), [*base.ids(" " + report), base.eos])


def question_text(base: Base, question: str, answer: str) -> Text:
    """A question as prompt and supervised answer, end token included."""
    return Text(base.ids(question), [*base.ids(" " + answer), base.eos])


def within_site(sites: np.ndarray, patients: np.ndarray, seed: int) -> np.ndarray:
    """A partner of the same site and another patient for every row, for the shuffled control.

    Rows are put in a random order by site and each takes the next one's ECG, skipping its own
    patient. Raises ValueError for a site with a single patient.
    """
    rng = np.random.default_rng([seed, 77])
    partner = np.empty(len(sites), dtype=np.int64)
    for site in sorted(set(sites)):
        rows = rng.permutation(np.flatnonzero(sites == site))
        if len(set(patients[rows])) < 2:
            raise ValueError(f"site {site!r} has one patient only: nothing to shuffle with")
        for i, row in enumerate(rows):
            others = (rows[(i + k) % len(rows)] for k in range(1, len(rows)))
            partner[row] = next(o for o in others if patients[o] != patients[row])
    return partner


def decode(base: Base, ids: list[int]) -> str:
    """Generated tokens as text, outer blanks removed."""
    return base.tokenizer.decode(ids, skip_special_tokens=True).strip()
