"""ECG-Byte's split by question item, kept for one purpose: to measure what it leaks.

The released code deals question items, not patients, so questions about one ECG stand on both
sides. Nothing here is trained on that split. A memoriser shows what it is worth: it writes down
what the training questions say about each ECG and answers a test question from the most similar
ECG it has notes on. Under the item split that is the very ECG it is asked about.

    item split      the ECG's own notes may be read
    ECG split       they are struck out; notes on the patient's other ECGs may be read
    patient split   everything about the patient is struck out

All three answer the same test questions from the same training questions, apart from those struck
out, so their differences are the leak and not a change of test set or of training size.
"""

from collections.abc import Collection

import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split

from ecglib.cohorts.findings import FINDINGS
from ecglib.cohorts.labels import ABSENT, LABELS, NOT_ASSESSABLE, PRESENT

RELEASED_SEED = 42
CHUNK = 1024  # asked ECGs compared at a time


def assign(n_items: int, seed: int = RELEASED_SEED) -> np.ndarray:
    """Deal items as the released code does: 30 % are cut off, and 60 % of these are the test part.

    Source: ECG-Byte, released preprocessing (`train_test_split`, twice, random_state 42).

    Returns:
        (n_items,) array of "train" (70 %), "validation" (12 %) or "test" (18 %).

    Raises:
        ValueError: for fewer than four items, which cannot fill three parts.
    """
    if n_items < 4:
        raise ValueError(f"{n_items} question items cannot fill three parts; ask about more ECGs")
    train, rest = train_test_split(np.arange(n_items), test_size=0.3, random_state=seed)
    _, test = train_test_split(rest, test_size=0.6, random_state=seed)
    part = np.full(n_items, "validation", dtype=object)
    part[train], part[test] = "train", "test"
    return part


def overlap(items: pd.DataFrame, part: np.ndarray, patients: np.ndarray) -> pd.DataFrame:
    """Count the test items whose ECG, and whose patient, training questions are about as well.

    Args:
        items: questions with the column ``row``, the row number of the ECG.
        part: (len(items),) "train", "validation" or "test".
        patients: (N,) patient of every row number.

    Returns:
        two rows, columns ``in_training`` ("the same ECG", "the same patient"), ``test_items``,
        ``shared`` and ``percent``.
    """
    row = items["row"].to_numpy()
    found = []
    for what, key in (("the same ECG", row), ("the same patient", patients[row])):
        shared = np.isin(key[part == "test"], key[part == "train"])
        counts = {"test_items": len(shared), "shared": int(shared.sum())}
        found.append({"in_training": what, **counts, "percent": 100 * float(shared.mean())})
    return pd.DataFrame(found)


def notes(items: pd.DataFrame, n_rows: int, asked: Collection[int]) -> np.ndarray:
    """Read off question and answer which findings an ECG has.

    Args:
        items: questions with the columns ``row``, ``item`` and ``answer`` of `cohorts.questions`.
        n_rows: how many ECGs the row numbers count.
        asked: labels that could be asked about (the `allowed` of `cohorts.questions`).

    Returns:
        int8 (n_rows, 77): PRESENT, ABSENT, or NOT_ASSESSABLE where no question tells.
    """
    states = np.full((n_rows, len(LABELS)), NOT_ASSESSABLE, np.int8)
    for row, item, answer in zip(items["row"], items["item"], items["answer"], strict=True):
        kind = item.split(":")[0]
        said = set(answer.split(", "))
        for label in concerned(item, asked):
            there = "yes" if kind == "verify" else FINDINGS[label].name
            states[row, label] = PRESENT if said & {there, "both"} else ABSENT
    return states


def answers(
    past: pd.DataFrame,
    items: pd.DataFrame,
    latents: np.ndarray,
    asked: Collection[int],
    apart: np.ndarray | None = None,
) -> list[str]:
    """Answer questions from the notes on the most similar ECG, for every finding on its own.

    Similarity is the cosine of the latents after subtracting their mean. For each finding that a
    question is about, the nearest ECG with a note on it decides; without any note it is absent.

    Args:
        past: training questions (columns ``row``, ``item``, ``answer``).
        items: the questions to answer (columns ``row``, ``item``).
        latents: (N, D) pooled embedding of every row number.
        asked: labels that could be asked about.
        apart: (N,) group of every row number; an ECG's notes are struck out for questions about
            ECGs of the same group (row numbers: the ECG itself; patients: all of the patient's).

    Returns:
        Answers in the order of `items`.

    Raises:
        ValueError: a question is about an ECG without latents, or is none.
    """
    highest = max(past["row"].max(), items["row"].max())
    if highest >= len(latents):
        raise ValueError(
            f"questions ask about row {highest}, but there are latents of {len(latents)} ECGs; "
            "give one for each row number"
        )
    states = notes(past, len(latents), asked)
    unit = _unit(latents - latents.mean(axis=0))
    rows = items["row"].to_numpy()
    about = [concerned(item, asked) for item in items["item"]]
    recalled = np.full(states.shape, ABSENT, np.int8)
    for label in asked:
        wanted = np.unique(rows[[label in labels for labels in about]])
        known = np.flatnonzero(states[:, label] != NOT_ASSESSABLE)
        for start in range(0, len(wanted) if len(known) else 0, CHUNK):
            some = wanted[start : start + CHUNK]
            similarity = unit[some] @ unit[known].T
            if apart is not None:
                similarity[apart[some][:, None] == apart[known][None, :]] = -np.inf
            best = similarity.argmax(axis=1)
            any_left = np.isfinite(similarity[np.arange(len(some)), best])
            recalled[some[any_left], label] = states[known[best[any_left]], label]
    return [
        _compose(item, labels, recalled[row])
        for row, item, labels in zip(rows, items["item"], about, strict=True)
    ]


def concerned(item: str, asked: Collection[int]) -> list[int]:
    """Labels that an item is about: "verify:06" -> [6], "query:rhythm" -> those of the group.

    Raises:
        ValueError: the item is none of verify, choose and query.
    """
    kind, _, what = item.partition(":")
    if kind == "query":
        return [label for label in FINDINGS if label in asked and FINDINGS[label].group == what]
    if kind not in ("verify", "choose"):
        raise ValueError(f"item {item!r} is no question: it must begin with verify, choose, query")
    return [int(label) for label in what.split("-")]


def _compose(item: str, labels: list[int], states: np.ndarray) -> str:
    """Word the answer that these states give to an item, as `cohorts.questions` does."""
    names = [FINDINGS[label].name for label in labels if states[label] == PRESENT]
    if item.startswith("verify"):
        return "yes" if names else "no"
    if item.startswith("choose") and len(names) == 2:
        return "both"
    return ", ".join(names) or "none"


def _unit(x: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(x, axis=1, keepdims=True)
    return x / np.where(length > 0, length, 1.0)
