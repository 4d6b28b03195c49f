"""Every question that can be asked of some ECGs, with the ECGs that give each answer.

An item is one question apart from its wording: "verify:conduction.06" (is there left bundle branch
block?), "verify:conduction.any" (is there any conduction disorder?), "choose:conduction.06-22"
(which of the two?), "query:conduction" (what is there?). Answers:

    verify   yes | no | not sure
    choose   a name | both | none | not sure
    query    names, joined by commas | none | not sure

An ECG of which a state that the answer depends on cannot be told stands under no answer.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from ecglib.labels.label_set import ABSENT, NOT_ASSESSABLE, PRESENT, UNCERTAIN
from ecglib.questions.facts import Facts

YES, NO, BOTH, NONE, NOT_SURE = "yes", "no", "both", "none", "not sure"


@dataclass(frozen=True)
class Item:
    """One question.

    Attributes:
        name: see above.
        group: name of its group.
        template: what its wordings are called: "verify_conduction".
        wordings: with the slots {a}, {b} and {leads} still open.
        slots: what fills them. {a} and {b} may change places.
    """

    name: str
    group: str
    template: str
    wordings: tuple[str, ...]
    slots: dict[str, str]

    @property
    def type(self) -> str:
        """verify, choose or query."""
        return self.name.split(":")[0]


def items(found: list[Facts], rows: np.ndarray) -> Iterator[tuple[Item, dict[str, np.ndarray]]]:
    """All questions that have two different answers or more among these ECGs.

    Args:
        found: the states of a cohort, of `ecglib.questions.facts.facts`.
        rows: row numbers of the ECGs to ask.

    Yields:
        the question, and for each answer the row numbers of the ECGs that give it.
    """
    for one in found:
        for item, answers in _of_group(one, one.states[rows]):
            by_answer = {a: rows[answers == a] for a in dict.fromkeys(answers.tolist()) if a}
            if len(by_answer) > 1:
                yield item, by_answer


def _of_group(one: Facts, states: np.ndarray) -> Iterator[tuple[Item, np.ndarray]]:
    """The questions of a group and their answers (n,), "" where an ECG cannot be asked."""
    group, leads = one.group, {"leads": one.leads}
    named = [j for j, option in enumerate(one.options) if one.asked[j] and not option.query_only]

    def item(kind: str, what: str, rest: str, slots: dict[str, str]) -> Item:
        template = f"{kind}_{group.name}" + ("_any" if what == "any" else "")
        name = f"{kind}:{group.name}{rest}"
        return Item(name, group.name, template, group.wordings[what], slots | leads)

    for j in named:
        option = one.options[j]
        yield item("verify", "verify", f".{option.key}", {"a": option.name}), _yes(states[:, j])
    if named and group.wordings["any"]:
        real = [j for j, option in enumerate(one.options) if not option.query_only]
        yield item("verify", "any", ".any", {}), _yes(_any(states[:, real]))
    for j, k in combinations(named, 2):
        a, b = one.options[j], one.options[k]
        answers = _which(states[:, j], states[:, k], a.name, b.name)
        yield item("choose", "choose", f".{a.key}-{b.key}", {"a": a.name, "b": b.name}), answers
    yield item("query", "query", "", {}), _what(one, states)


def _yes(state: np.ndarray) -> np.ndarray:
    """Answers to verify, "" where it cannot be asked."""
    said = {PRESENT: YES, ABSENT: NO, UNCERTAIN: NOT_SURE}
    return np.select([state == s for s in said], list(said.values()), default="")


def _any(states: np.ndarray) -> np.ndarray:
    """Whether anything of a group is there: one that is decides, else all must be known."""
    known = np.where((states == UNCERTAIN).any(axis=1), UNCERTAIN, ABSENT)
    known = np.where((states == NOT_ASSESSABLE).any(axis=1), NOT_ASSESSABLE, known)
    return np.where((states == PRESENT).any(axis=1), PRESENT, known)


def _which(a: np.ndarray, b: np.ndarray, name_a: str, name_b: str) -> np.ndarray:
    """Answers to choose."""
    hidden = (a == NOT_ASSESSABLE) | (b == NOT_ASSESSABLE)
    unclear = (a == UNCERTAIN) | (b == UNCERTAIN)
    there_a, there_b = a == PRESENT, b == PRESENT
    cases = [hidden, unclear, there_a & there_b, there_a, there_b]
    return np.select(cases, ["", NOT_SURE, BOTH, name_a, name_b], default=NONE)


def _what(one: Facts, states: np.ndarray) -> np.ndarray:
    """Answers to query: what is there of the options that may be named.

    Where something is there and something else uncertain, both answers would be half the truth.
    """
    asked, others = states[:, one.asked], states[:, ~one.asked]
    unclear = (asked == UNCERTAIN).any(axis=1)
    there = asked == PRESENT
    hidden = (asked == NOT_ASSESSABLE).any(axis=1) | (unclear & there.any(axis=1))
    hidden |= ((others == PRESENT) | (others == UNCERTAIN)).any(axis=1)
    names = [option.name for option, said in zip(one.options, one.asked, strict=True) if said]
    found = np.full(len(states), "", dtype=object)
    patterns, which = np.unique(there, axis=0, return_inverse=True)
    for number, pattern in enumerate(patterns):
        answer = ", ".join(n for n, is_there in zip(names, pattern, strict=True) if is_there)
        found[which.reshape(-1) == number] = answer or NONE
    found[unclear] = NOT_SURE
    found[hidden] = ""
    return found
