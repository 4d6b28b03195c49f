"""Every question that can be asked of a set of ECGs, with the ECGs that give each answer.

An item is a question apart from its wording: "verify:conduction.06" (is there left bundle branch
block?), "verify:conduction.any" (is there any conduction disorder?), "choose:conduction.06-22"
(which of the two?), "query:conduction" (which conduction disorders are there?). Answers:

    verify   yes | no | not sure
    choose   a name | both | none | not sure
    query    names, joined by commas | none | not sure

An ECG gives no answer to an item that depends on a state that is not assessable.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from ecglib.labels.label_set import ABSENT, NOT_ASSESSABLE, PRESENT, UNCERTAIN
from ecglib.questions.facts import GroupFacts

YES, NO, BOTH, NONE, NOT_SURE = "yes", "no", "both", "none", "not sure"


@dataclass(frozen=True)
class Item:
    """One question, in several wordings."""

    name: str  # "verify:conduction.06"
    type: str  # verify, choose or query
    group: str
    template: str  # name of the wordings: "verify_conduction"
    wordings: tuple[str, ...]  # with the slots {a}, {b} and {leads} still open
    slots: dict[str, str]  # the texts of the slots; those of {a} and {b} are interchangeable


def answered_items(
    facts: list[GroupFacts], rows: np.ndarray
) -> Iterator[tuple[Item, dict[str, np.ndarray]]]:
    """All questions to which the ECGs `rows` give at least two different answers.

    Yields:
        the question, and for each answer the row numbers of the ECGs that give it.
    """
    for fact in facts:
        for item, answers in _items_of_group(fact, fact.states[rows]):
            by_answer = {a: rows[answers == a] for a in dict.fromkeys(answers.tolist()) if a}
            if len(by_answer) > 1:
                yield item, by_answer


def _items_of_group(fact: GroupFacts, states: np.ndarray) -> Iterator[tuple[Item, np.ndarray]]:
    """The questions of a group and their answers (n,), "" where an ECG gives none."""
    group, options = fact.group, fact.options
    selective = [j for j, option in enumerate(options) if not option.query_only]
    askable = [j for j in selective if fact.askable[j]]

    def item(kind: str, form: str, suffix: str = "", **slots: str) -> Item:
        name = f"{kind}:{group.name}{suffix}"
        template = f"{kind}_{group.name}" + ("_any" if form == "any" else "")
        slots["leads"] = fact.leads
        return Item(name, kind, group.name, template, group.wordings[form], slots)

    for j in askable:
        a = options[j]
        yield item("verify", "verify", f".{a.key}", a=a.name), _verify_answers(states[:, j])
    if askable and group.wordings["any"]:
        yield item("verify", "any", ".any"), _verify_answers(_any_state(states[:, selective]))
    for j, k in combinations(askable, 2):
        a, b = options[j], options[k]
        answers = _choose_answers(states[:, j], states[:, k], a.name, b.name)
        yield item("choose", "choose", f".{a.key}-{b.key}", a=a.name, b=b.name), answers
    yield item("query", "query"), _query_answers(fact, states)


def _verify_answers(state: np.ndarray) -> np.ndarray:
    answers = {PRESENT: YES, ABSENT: NO, UNCERTAIN: NOT_SURE}
    return np.select([state == s for s in answers], list(answers.values()), default="")


def _any_state(states: np.ndarray) -> np.ndarray:
    """Whether any option is present: a present one decides, else all must be assessable."""
    if_none = np.where((states == UNCERTAIN).any(axis=1), UNCERTAIN, ABSENT)
    if_none = np.where((states == NOT_ASSESSABLE).any(axis=1), NOT_ASSESSABLE, if_none)
    return np.where((states == PRESENT).any(axis=1), PRESENT, if_none)


def _choose_answers(a: np.ndarray, b: np.ndarray, name_a: str, name_b: str) -> np.ndarray:
    unknown = (a == NOT_ASSESSABLE) | (b == NOT_ASSESSABLE)
    unclear = (a == UNCERTAIN) | (b == UNCERTAIN)
    cases = [unknown, unclear, (a == PRESENT) & (b == PRESENT), a == PRESENT, b == PRESENT]
    return np.select(cases, ["", NOT_SURE, BOTH, name_a, name_b], default=NONE)


def _query_answers(fact: GroupFacts, states: np.ndarray) -> np.ndarray:
    """The names of the present options; "" where an option that may not be named could be present.

    An ECG with both a present and an uncertain option gives no answer: names alone and "not sure"
    would each be half the truth.
    """
    asked, others = states[:, fact.askable], states[:, ~fact.askable]
    present, unclear = asked == PRESENT, (asked == UNCERTAIN).any(axis=1)
    unanswered = (asked == NOT_ASSESSABLE).any(axis=1) | (unclear & present.any(axis=1))
    unanswered |= (others != ABSENT).any(axis=1)
    names = [o.name for o, askable in zip(fact.options, fact.askable, strict=True) if askable]
    answers = np.full(len(states), "", dtype=object)
    patterns, pattern_of = np.unique(present, axis=0, return_inverse=True)
    for i, pattern in enumerate(patterns):
        answer = ", ".join(name for name, is_in in zip(names, pattern, strict=True) if is_in)
        answers[pattern_of.reshape(-1) == i] = answer or NONE
    answers[unclear] = NOT_SURE
    answers[unanswered] = ""
    return answers
