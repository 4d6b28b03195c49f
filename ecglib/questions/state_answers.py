"""Answers to questions from states: what a classifier would reply, without a language model.

Questions of the kinds labels, leads and infarction follow from the states of the 77 labels. Those
about a measurement or about noise follow from the states of their own options. `question_states`
lists both, as a classifier can predict them, and `state_answers` makes the answers, in the words of
`items`.
"""

import numpy as np
import pandas as pd

from ecglib.labels.label_set import ABSENT, COLUMNS, NOT_ASSESSABLE, PRESENT, UNCERTAIN
from ecglib.questions.facts import group_facts
from ecglib.questions.items import BOTH, NO, NONE, NOT_SURE, YES
from ecglib.questions.question_book import BOOK, GROUPS, TYPES

# Options are counted over all groups: ("ectopy", "19") has the number NUMBER["ectopy", "19"].
OPTIONS = [(group, option) for group in GROUPS.values() for option in group.options]
NUMBER = {(group.name, option.key): i for i, (group, option) in enumerate(OPTIONS)}
MEASURED = [i for i, (group, _) in enumerate(OPTIONS) if group.kind in ("range", "noise")]
INFARCTION = [i for i, (group, _) in enumerate(OPTIONS) if group.kind == "infarction"]


def question_states(records: pd.DataFrame, measurements: pd.DataFrame | None = None) -> np.ndarray:
    """True states that decide all questions, int8 (n, 77 + len(MEASURED)): labels, then options.
    The arguments are those of `group_facts`. What the tables do not decide is NOT_ASSESSABLE."""
    labels = records[list(COLUMNS)].to_numpy(dtype=np.int8)
    return np.hstack([labels, _option_states(records, measurements)[:, MEASURED]])


def state_answers(
    states: np.ndarray, rows: np.ndarray, asked: pd.DataFrame, otherwise: list[str]
) -> list[str]:
    """Answer questions from states; true states give the true answers.

    A question was asked, so what would have prevented it is taken as absent: a condition that
    mimics an infarction does not keep its stage from being named.

    Args:
        states: int8 (n, 77), of the labels alone, or those of `question_states`; often predicted.
        rows: record numbers of the states, (n,), ascending.
        asked: questions with the columns row and item, all about `rows`.
        otherwise: one answer per question, given where no option has a state: without states of
            measurements, these are the questions about them.

    Raises:
        ValueError: a question is about another ECG, or its item is not ours.
    """
    missing = np.setdiff1d(asked["row"], rows)
    if len(missing):
        text = f"expected states of row {missing[0]}, got those of {len(rows)} other ECGs"
        raise ValueError(f"{text}; predict the states of all ECGs that are asked about")
    records = pd.DataFrame(states[:, : len(COLUMNS)], columns=list(COLUMNS))
    plain = records.assign(**{COLUMNS[label]: ABSENT for label in BOOK["infarction_mimics"]})
    known = _option_states(records)
    known[:, INFARCTION] = _option_states(plain)[:, INFARCTION]
    if states.shape[1] > len(COLUMNS):
        known[:, MEASURED] = states[:, len(COLUMNS) :]
    answers = []
    places = np.searchsorted(rows, asked["row"])
    for place, item, instead in zip(places, asked["item"], otherwise, strict=True):
        of_options = known[place, asked_options(item)]
        decided = (of_options != NOT_ASSESSABLE).any()
        answers.append(compose(item, of_options) if decided else instead)
    return answers


def _option_states(records: pd.DataFrame, measurements: pd.DataFrame | None = None) -> np.ndarray:
    """The states of all options, int8 (n, len(OPTIONS))."""
    states = np.full((len(records), len(OPTIONS)), NOT_ASSESSABLE, np.int8)
    for facts in group_facts(records, measurements):
        states[:, [NUMBER[facts.group.name, o.key] for o in facts.options]] = facts.states
    return states


def asked_options(item: str) -> list[int]:
    """Numbers of the options that an item asks about, in the order of the item. Raises ValueError:
    the item is not a question of `ecglib.questions.items`."""
    _, group, keys = parse_item(item)
    if keys and keys != ["any"]:
        return [NUMBER[group, key] for key in keys]
    options = GROUPS[group].options
    return [NUMBER[group, o.key] for o in options if not (keys and o.query_only)]


def compose(item: str, states: np.ndarray) -> str:
    """The answer that follows from the states of the options, worded as in `questions.items`.
    `states`: of `asked_options(item)`; an option that is not assessable counts as absent."""
    kind = parse_item(item)[0]
    options = zip(asked_options(item), states, strict=True)
    present = [OPTIONS[i][1].name for i, state in options if state == PRESENT]
    if (states == UNCERTAIN).any() and (kind == "choose" or not present):
        return NOT_SURE
    if kind == "verify":
        return YES if present else NO
    if kind == "choose" and len(present) == 2:
        return BOTH
    return ", ".join(present) or NONE


def parse_item(item: str) -> tuple[str, str, list[str]]:
    """ "choose:conduction.06-22" -> ("choose", "conduction", ["06", "22"])."""
    kind, _, rest = item.partition(":")
    group, _, keys = rest.partition(".")
    if kind not in TYPES or group not in GROUPS:
        raise ValueError(f"expected an item about a group of questions.yaml, got {item!r}")
    return kind, group, keys.split("-") if keys else []
