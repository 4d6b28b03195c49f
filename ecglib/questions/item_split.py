"""ECG-Byte's split by question item, kept for one purpose: to measure what it leaks.

The released code deals question items, not patients, so questions about one ECG stand on both
sides. Nothing here is trained on that split. What it is worth to a memoriser
(`ecglib.questions.memoriser`) is measured under three rules:

    item split      the ECG's own notes may be read
    ECG split       they are struck out; notes on the patient's other ECGs may be read
    patient split   everything about the patient is struck out

All three answer the same test questions from the same training questions, apart from those struck
out, so their differences are the leak and not a change of test set or of training size.
"""

import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split

RELEASED_SEED = 42


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
