"""A memoriser: what answering from notes on other ECGs is worth, with nothing trained.

It writes down what training questions and their answers say about the options of each ECG, and
answers a question from the most similar ECG that it has notes on. With notes on the very ECG, or on
the same patient, struck out, the difference is what a split that shares them leaks
(`ecglib.questions.item_split`). All read the same training questions, apart from those struck out.
"""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from ecglib.labels.label_set import ABSENT, NOT_ASSESSABLE, PRESENT, UNCERTAIN
from ecglib.questions.groups import GROUPS
from ecglib.questions.items import BOTH, NO, NONE, NOT_SURE, YES

CHUNK = 1024  # asked ECGs compared at a time
Fact = tuple[str, str]  # group and option


def known(items: Iterable[tuple[str, str]]) -> list[Fact]:
    """The options that some questions or their answers name, in the order of questions.yaml.

    Args:
        items: pairs of item and answer; "" where the answer is not known.

    Example: ``[("verify:ectopy.19", ""), ("query:rhythm", "sinus rhythm")]`` gives ectopy.19 and
    rhythm.00.
    """
    asked: set[Fact] = set()
    for item, answer in set(items):
        _, group, keys = _parse(item)
        asked |= {(group, key) for key in keys if key != "any"}
        if not keys:
            said = _parts(answer)
            options = GROUPS[group].options
            asked |= {(group, o.key) for o in options if _parts(o.name) <= said}
    every = [(name, option.key) for name, group in GROUPS.items() for option in group.options]
    return [fact for fact in every if fact in asked]


def concerned(item: str, facts: list[Fact]) -> list[int]:
    """Positions in `facts` of the options that an item is about, in the order of its names."""
    _, group, keys = _parse(item)
    if keys and keys != ["any"]:
        return [facts.index((group, key)) for key in keys]
    silent = {o.key for o in GROUPS[group].options if keys and o.query_only}
    return [i for i, (name, key) in enumerate(facts) if name == group and key not in silent]


def notes(items: pd.DataFrame, n_rows: int, facts: list[Fact]) -> np.ndarray:
    """What questions and their answers say of each ECG.

    Args:
        items: columns ``row``, ``item`` and ``answer``, as `ecglib.questions.balanced_sets` makes.
        n_rows: how many ECGs the row numbers count.
        facts: of `known`.

    Returns:
        int8 (n_rows, len(facts)): PRESENT, ABSENT, UNCERTAIN, or NOT_ASSESSABLE without a note.
    """
    states = np.full((n_rows, len(facts)), NOT_ASSESSABLE, np.int8)
    for row, item, answer in zip(items["row"], items["item"], items["answer"], strict=True):
        for place, state in zip(*_said(item, answer, facts), strict=True):
            # An answer of "not sure" never takes a plain note back.
            if state != UNCERTAIN or states[row, place] == NOT_ASSESSABLE:
                states[row, place] = state
    return states


def _said(item: str, answer: str, facts: list[Fact]) -> tuple[list[int], list[int]]:
    """The options of which an answer tells the state, and the states."""
    kind, _, keys = _parse(item)
    places = concerned(item, facts)
    if answer == NOT_SURE:
        return (places, [UNCERTAIN]) if kind == "verify" and keys != ["any"] else ([], [])
    if answer == YES and keys == ["any"]:
        return [], []  # which one is not said
    if answer in (YES, BOTH):
        return places, [PRESENT] * len(places)
    if answer in (NO, NONE):
        return places, [ABSENT] * len(places)
    there = _parts(answer)
    return places, [PRESENT if _parts(_name(facts[p])) <= there else ABSENT for p in places]


def answers(
    past: pd.DataFrame, items: pd.DataFrame, latents: np.ndarray, apart: np.ndarray | None = None
) -> list[str]:
    """Answer questions from the notes on the most similar ECG, for every option on its own.

    Similarity is the cosine of the latents after subtracting their mean. For each option that a
    question is about, the nearest ECG with a note on it decides; without any note it is absent.

    Args:
        past: training questions (columns ``row``, ``item``, ``answer``).
        items: the questions to answer (columns ``row``, ``item``).
        latents: (N, D) pooled embedding of every row number.
        apart: (N,) group of every row number; an ECG's notes are struck out for questions about
            ECGs of the same group (row numbers: the ECG itself; patients: all of the patient's).

    Returns:
        Answers in the order of `items`.

    Raises:
        ValueError: a question is about an ECG without latents.
    """
    highest = max(past["row"].max(), items["row"].max())
    if highest >= len(latents):
        raise ValueError(
            f"questions ask about row {highest}, but there are latents of {len(latents)} ECGs; "
            "give one for each row number"
        )
    asked = zip(items["item"], [""] * len(items), strict=True)
    facts = known([*zip(past["item"], past["answer"], strict=True), *asked])
    states = notes(past, len(latents), facts)
    unit = _unit(latents - latents.mean(axis=0))
    rows = items["row"].to_numpy()
    places_of = {item: concerned(item, facts) for item in items["item"].unique()}
    about = [places_of[item] for item in items["item"]]
    wanted: list[set[int]] = [set() for _ in facts]
    for row, places in zip(rows.tolist(), about, strict=True):
        for place in places:
            wanted[place].add(row)
    recalled = np.full(states.shape, ABSENT, np.int8)
    for place, mine in enumerate(wanted):
        noted = np.flatnonzero(states[:, place] != NOT_ASSESSABLE)
        ordered = np.array(sorted(mine), dtype=np.int64)
        for start in range(0, len(ordered) if len(noted) else 0, CHUNK):
            some = ordered[start : start + CHUNK]
            similarity = unit[some] @ unit[noted].T
            if apart is not None:
                similarity[apart[some][:, None] == apart[noted][None, :]] = -np.inf
            best = similarity.argmax(axis=1)
            any_left = np.isfinite(similarity[np.arange(len(some)), best])
            recalled[some[any_left], place] = states[noted[best[any_left]], place]
    return [
        _compose(item, [_name(facts[p]) for p in places], recalled[row, places])
        for row, item, places in zip(rows, items["item"], about, strict=True)
    ]


def _compose(item: str, names: list[str], states: np.ndarray) -> str:
    """Word the answer that these states give, as `ecglib.questions.items` does."""
    kind = _parse(item)[0]
    there = [name for name, state in zip(names, states, strict=True) if state == PRESENT]
    unclear = bool((states == UNCERTAIN).any())
    if unclear and (kind == "choose" or not there):
        return NOT_SURE
    if kind == "verify":
        return YES if there else NO
    if kind == "choose" and len(there) == 2:
        return BOTH
    return ", ".join(there) or NONE


def _parse(item: str) -> tuple[str, str, list[str]]:
    """ "choose:conduction.06-22" -> ("choose", "conduction", ["06", "22"]).

    Raises:
        ValueError: the item is no question of `ecglib.questions.items`.
    """
    kind, _, rest = item.partition(":")
    group, _, keys = rest.partition(".")
    if kind not in ("verify", "choose", "query") or group not in GROUPS:
        raise ValueError(f"item {item!r} is no question about a group of questions.yaml")
    return kind, group, keys.split("-") if keys else []


def _name(fact: Fact) -> str:
    return next(o.name for o in GROUPS[fact[0]].options if o.key == fact[1])


def _parts(answer: str) -> frozenset[str]:
    return frozenset(answer.split(", "))


def _unit(x: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(x, axis=1, keepdims=True)
    return x / np.where(length > 0, length, 1.0)
