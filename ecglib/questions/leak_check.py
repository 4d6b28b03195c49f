"""What ECG-Byte's split by question item leaks, measured with a memoriser; nothing is trained.

The released code splits question items, not patients, so training and test have questions about the
same ECG. The memoriser notes what the training answers state about each ECG and answers a question
from the notes on the most similar ECG. Three of them answer the same test questions from the same
training questions, except for the notes that are excluded:

    item split      none
    ECG split       those on the asked ECG itself; other ECGs of the patient may be read
    patient split   those on all ECGs of the patient

Their differences are therefore the leak, not a change of the test set or of the training size.
"""

import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split

from ecglib.labels.label_set import ABSENT, NOT_ASSESSABLE, PRESENT, UNCERTAIN
from ecglib.questions.items import BOTH, NO, NONE, NOT_SURE, YES
from ecglib.questions.state_answers import OPTIONS, asked_options, compose, parse_item

RELEASED_SEED = 42
CHUNK = 1024  # ECGs compared at a time


def assign_parts(n_items: int, seed: int = RELEASED_SEED) -> np.ndarray:
    """Assign items to parts as the released code does: 30 % are held out, 60 % of these for test.

    Source: ECG-Byte, released preprocessing (`train_test_split`, twice, random_state 42).

    Returns (n_items,) array of "train" (70 %), "validation" (12 %) or "test" (18 %). Raises
    ValueError: there are fewer than four items, too few for three parts.
    """
    if n_items < 4:
        raise ValueError(f"expected at least 4 question items, got {n_items}; ask about more ECGs")
    train, held_out = train_test_split(np.arange(n_items), test_size=0.3, random_state=seed)
    _, test = train_test_split(held_out, test_size=0.6, random_state=seed)
    part = np.full(n_items, "validation", dtype=object)
    part[train], part[test] = "train", "test"
    return part


def overlap(items: pd.DataFrame, part: np.ndarray, patients: np.ndarray) -> pd.DataFrame:
    """Count the test items whose ECG, and whose patient, training items are about as well.

    Args:
        items: questions with the column ``row``, the row number of the ECG.
        part: (len(items),) "train", "validation" or "test".
        patients: (N,) patient of every row number.

    Returns:
        two rows, columns ``in_training`` ("the same ECG", "the same patient"), ``test_items``,
        ``shared`` and ``percent``.
    """
    row = items["row"].to_numpy()
    table = []
    for name, key in (("the same ECG", row), ("the same patient", patients[row])):
        shared = np.isin(key[part == "test"], key[part == "train"])
        counts = {"test_items": len(shared), "shared": int(shared.sum())}
        table.append({"in_training": name, **counts, "percent": 100 * float(shared.mean())})
    return pd.DataFrame(table)


def memorised_answers(
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
        ValueError: a question is about an ECG without latents, or an item is not ours.
    """
    highest = max(train["row"].max(), items["row"].max())
    if highest >= len(latents):
        text = f"expected latents for row {highest}, got those of {len(latents)} ECGs"
        raise ValueError(f"{text}; give one vector per row number")
    notes = take_notes(train, len(latents))
    centred = latents - latents.mean(axis=0)
    length = np.linalg.norm(centred, axis=1, keepdims=True)
    direction = centred / np.where(length > 0, length, 1.0)
    asked = items[["row", "item"]].assign(option=items["item"].map(asked_options))
    recalled = np.full(notes.shape, ABSENT, np.int8)
    for i, rows_of_option in asked.explode("option").groupby("option")["row"]:
        noted = np.flatnonzero(notes[:, i] != NOT_ASSESSABLE)
        ordered = np.unique(rows_of_option)
        for start in range(0, len(ordered) if len(noted) else 0, CHUNK):
            chunk = ordered[start : start + CHUNK]
            similarity = direction[chunk] @ direction[noted].T
            if same_group is not None:
                excluded = same_group[chunk][:, None] == same_group[noted][None, :]
                similarity[excluded] = -np.inf
            best = similarity.argmax(axis=1)
            any_left = np.isfinite(similarity[np.arange(len(chunk)), best])
            recalled[chunk[any_left], i] = notes[noted[best[any_left]], i]
    return [compose(item, recalled[row, options]) for row, item, options in asked.to_numpy()]


def take_notes(items: pd.DataFrame, n_rows: int) -> np.ndarray:
    """What questions and their answers state about each ECG.

    Args:
        items: columns ``row``, ``item`` and ``answer``, as of `ecglib.questions.balanced_sets`.
        n_rows: the number of ECGs that the row numbers count.

    Returns:
        int8 (n_rows, len(OPTIONS)): PRESENT, ABSENT, UNCERTAIN, or NOT_ASSESSABLE without a note.
    """
    notes = np.full((n_rows, len(OPTIONS)), NOT_ASSESSABLE, np.int8)
    for row, item, answer in zip(items["row"], items["item"], items["answer"], strict=True):
        for i, state in _stated(item, answer):
            # The answer "not sure" never replaces a definite note.
            if state != UNCERTAIN or notes[row, i] == NOT_ASSESSABLE:
                notes[row, i] = state
    return notes


def _stated(item: str, answer: str) -> list[tuple[int, int]]:
    """The options whose state an answer decides, with their states."""
    kind, _, keys = parse_item(item)
    asked = asked_options(item)
    if answer == NOT_SURE:
        return [(asked[0], UNCERTAIN)] if kind == "verify" and keys != ["any"] else []
    if answer == YES and keys == ["any"]:
        return []  # the answer does not name the option
    if answer in (YES, NO, BOTH, NONE):
        return [(i, PRESENT if answer in (YES, BOTH) else ABSENT) for i in asked]
    # The name of an option of leads has several parts.
    names = [set(OPTIONS[i][1].name.split(", ")) for i in asked]
    stated = set(answer.split(", "))
    return [(i, PRESENT if n <= stated else ABSENT) for i, n in zip(asked, names, strict=True)]
