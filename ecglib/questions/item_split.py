"""ECG-Byte's split by question item, kept only to measure what it leaks.

The released code splits question items, not patients, so training and test have questions about the
same ECG. No model is trained on that split here. Three memorisers (`ecglib.questions.memoriser`)
answer the same test questions from the same training questions, except for the excluded ones:

    item split      nothing is excluded: the answers about the ECG itself may be read
    ECG split       those about the ECG itself; answers about the patient's other ECGs may be read
    patient split   those about all ECGs of the patient

Their differences are therefore the leak, not a change of the test set or of the training size.
"""

import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split

RELEASED_SEED = 42


def assign_parts(n_items: int, seed: int = RELEASED_SEED) -> np.ndarray:
    """Assign items to parts as the released code does: 30 % are held out, 60 % of these for test.

    Source: ECG-Byte, released preprocessing (`train_test_split`, twice, random_state 42).

    Returns:
        (n_items,) array of "train" (70 %), "validation" (12 %) or "test" (18 %).

    Raises:
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
