"""A memoriser: it answers from the training answers about other ECGs; nothing is trained.

It notes what the training questions and their answers state about the options of each ECG. It then
answers a question from the notes on the most similar ECG. Excluding the notes on the same ECG or on
the same patient measures what a split that shares them leaks (`ecglib.questions.item_split`).
"""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from ecglib.labels.label_set import ABSENT, NOT_ASSESSABLE, PRESENT, UNCERTAIN
from ecglib.questions.items import BOTH, NO, NONE, NOT_SURE, YES
from ecglib.questions.question_book import GROUPS, TYPES

CHUNK = 1024  # ECGs compared at a time
OptionId = tuple[str, str]  # names of the group and of the option: ("ectopy", "19")


def named_options(items: Iterable[tuple[str, str]]) -> list[OptionId]:
    """The options that questions or their answers name, in the order of questions.yaml.

    Args:
        items: pairs of item and answer; "" where the answer is unknown.

    Example: ``[("verify:ectopy.19", ""), ("query:rhythm", "sinus rhythm")]`` gives ectopy.19 and
    rhythm.00.
    """
    named: set[OptionId] = set()
    for item, answer in set(items):
        _, group, keys = _parse(item)
        named |= {(group, key) for key in keys if key != "any"}
        if not keys:
            names, options = _names(answer), GROUPS[group].options
            named |= {(group, option.key) for option in options if _names(option.name) <= names}
    known = [(name, option.key) for name, group in GROUPS.items() for option in group.options]
    return [option for option in known if option in named]


def options_asked(item: str, options: list[OptionId]) -> list[int]:
    """Positions in `options` of those that an item asks about, in the order of the item."""
    _, group, keys = _parse(item)
    if keys and keys != ["any"]:
        return [options.index((group, key)) for key in keys]
    skipped = {option.key for option in GROUPS[group].options if keys and option.query_only}
    return [i for i, (name, key) in enumerate(options) if name == group and key not in skipped]


def take_notes(items: pd.DataFrame, n_rows: int, options: list[OptionId]) -> np.ndarray:
    """What questions and their answers state about each ECG.

    Args:
        items: columns ``row``, ``item`` and ``answer``, as of `ecglib.questions.balanced_sets`.
        n_rows: the number of ECGs that the row numbers count.
        options: of `named_options`.

    Returns:
        int8 (n_rows, len(options)): PRESENT, ABSENT, UNCERTAIN, or NOT_ASSESSABLE without a note.
    """
    notes = np.full((n_rows, len(options)), NOT_ASSESSABLE, np.int8)
    for row, item, answer in zip(items["row"], items["item"], items["answer"], strict=True):
        for i, state in zip(*_stated(item, answer, options), strict=True):
            # The answer "not sure" never replaces a definite note.
            if state != UNCERTAIN or notes[row, i] == NOT_ASSESSABLE:
                notes[row, i] = state
    return notes


def _stated(item: str, answer: str, options: list[OptionId]) -> tuple[list[int], list[int]]:
    """Positions of the options whose state an answer decides, and their states."""
    kind, _, keys = _parse(item)
    asked = options_asked(item, options)
    if answer == NOT_SURE:
        return (asked, [UNCERTAIN]) if kind == "verify" and keys != ["any"] else ([], [])
    if answer == YES and keys == ["any"]:
        return [], []  # the answer does not name the option
    if answer in (YES, BOTH):
        return asked, [PRESENT] * len(asked)
    if answer in (NO, NONE):
        return asked, [ABSENT] * len(asked)
    names = _names(answer)
    return asked, [PRESENT if _names(_name(options[i])) <= names else ABSENT for i in asked]


def answers(
    train: pd.DataFrame,
    items: pd.DataFrame,
    latents: np.ndarray,
    same_group: np.ndarray | None = None,
) -> list[str]:
    """Answer questions from the notes on the most similar ECG, separately for every option.

    Similarity is the cosine of the latents after subtracting their mean. For each option that a
    question asks about, the most similar ECG with a note on that option decides; without any note
    the option counts as absent.

    Args:
        train: training questions (columns ``row``, ``item``, ``answer``).
        items: the questions to answer (columns ``row``, ``item``).
        latents: (N, D) pooled embedding of every row number.
        same_group: (N,) group of every row number. Notes on ECGs of the group of the asked ECG are
            excluded (groups are row numbers: the ECG itself; patients: all ECGs of the patient).

    Returns:
        Answers in the order of `items`.

    Raises:
        ValueError: a question is about an ECG without latents.
    """
    highest = max(train["row"].max(), items["row"].max())
    if highest >= len(latents):
        raise ValueError(
            f"expected latents for row {highest}, got those of {len(latents)} ECGs; give one vector"
            " per row number"
        )
    asked_items = zip(items["item"], [""] * len(items), strict=True)
    options = named_options([*zip(train["item"], train["answer"], strict=True), *asked_items])
    notes = take_notes(train, len(latents), options)
    direction = _normalise(latents - latents.mean(axis=0))
    rows = items["row"].to_numpy()
    asked_by_item = {item: options_asked(item, options) for item in items["item"].unique()}
    asked = [asked_by_item[item] for item in items["item"]]
    rows_by_option: list[set[int]] = [set() for _ in options]
    for row, positions in zip(rows.tolist(), asked, strict=True):
        for i in positions:
            rows_by_option[i].add(row)
    recalled = np.full(notes.shape, ABSENT, np.int8)
    for i, rows_of_option in enumerate(rows_by_option):
        noted = np.flatnonzero(notes[:, i] != NOT_ASSESSABLE)
        ordered = np.array(sorted(rows_of_option), dtype=np.int64)
        for start in range(0, len(ordered) if len(noted) else 0, CHUNK):
            chunk = ordered[start : start + CHUNK]
            similarity = direction[chunk] @ direction[noted].T
            if same_group is not None:
                excluded = same_group[chunk][:, None] == same_group[noted][None, :]
                similarity[excluded] = -np.inf
            best = similarity.argmax(axis=1)
            any_left = np.isfinite(similarity[np.arange(len(chunk)), best])
            recalled[chunk[any_left], i] = notes[noted[best[any_left]], i]
    return [
        _compose(item, [_name(options[i]) for i in positions], recalled[row, positions])
        for row, item, positions in zip(rows, items["item"], asked, strict=True)
    ]


def _compose(item: str, names: list[str], states: np.ndarray) -> str:
    """The answer that follows from these states, worded as in `ecglib.questions.items`."""
    kind = _parse(item)[0]
    present = [name for name, state in zip(names, states, strict=True) if state == PRESENT]
    unclear = bool((states == UNCERTAIN).any())
    if unclear and (kind == "choose" or not present):
        return NOT_SURE
    if kind == "verify":
        return YES if present else NO
    if kind == "choose" and len(present) == 2:
        return BOTH
    return ", ".join(present) or NONE


def _parse(item: str) -> tuple[str, str, list[str]]:
    """ "choose:conduction.06-22" -> ("choose", "conduction", ["06", "22"]).

    Raises:
        ValueError: the item is not a question of `ecglib.questions.items`.
    """
    kind, _, rest = item.partition(":")
    group, _, keys = rest.partition(".")
    if kind not in TYPES or group not in GROUPS:
        raise ValueError(f"expected an item about a group of questions.yaml, got {item!r}")
    return kind, group, keys.split("-") if keys else []


def _name(option: OptionId) -> str:
    return next(o.name for o in GROUPS[option[0]].options if o.key == option[1])


def _names(answer: str) -> frozenset[str]:
    return frozenset(answer.split(", "))


def _normalise(x: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(x, axis=1, keepdims=True)
    return x / np.where(length > 0, length, 1.0)
