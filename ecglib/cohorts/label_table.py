"""Labels from a CSV with one row per ECG, instead of those that we read from codes and reports.

Columns ``ecg_id`` and ``label_00`` to ``label_76``, the states as in ``ecglib.labels.label_set``.
A data plan names the file with the cohort key ``label_table``.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from ecglib.cohorts.store import LABEL_COLUMNS
from ecglib.labels.label_set import ABSENT, HISTORY, NOT_ASSESSABLE, PRESENT, UNCERTAIN

STATES = [str(state) for state in (NOT_ASSESSABLE, ABSENT, PRESENT, UNCERTAIN, HISTORY)]


def write_label_table(path: Path, ecg_ids: Sequence[str], states: np.ndarray) -> None:
    """Write the states int8 (n, 77) of n ECGs, by the identifiers of their source."""
    frame = pd.DataFrame(states, columns=LABEL_COLUMNS)
    frame.insert(0, "ecg_id", list(ecg_ids))
    frame.to_csv(path, index=False, lineterminator="\n")


def read_label_table(path: Path) -> dict[str, np.ndarray]:
    """Read a label table.

    Returns:
        states int8 (77,) by ecg_id.

    Raises:
        FileNotFoundError: no such file.
        ValueError: a missing column, a repeated ecg_id, or a value that is no state.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: the label table named in the data plan is missing")
    frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    lacking = [name for name in ("ecg_id", *LABEL_COLUMNS) if name not in frame]
    if lacking:
        raise ValueError(
            f"{path} has no column {lacking[0]}; it needs ecg_id, label_00 to label_76"
        )
    if frame["ecg_id"].duplicated().any():
        twice = int(frame["ecg_id"].duplicated().sum())
        raise ValueError(f"{path} gives {twice} ECGs more than once; leave one row for each")
    values = frame[LABEL_COLUMNS].to_numpy(dtype=str)
    odd = sorted(set(np.unique(values).tolist()) - set(STATES))
    if odd:
        raise ValueError(f"{path} holds the label {odd[0]!r}; states are {', '.join(STATES)}")
    return dict(zip(frame["ecg_id"], values.astype(np.int8), strict=True))


def relabel(records: list[dict], path: Path) -> list[dict]:
    """Give each record its ``labels`` from the table.

    Raises:
        ValueError: the table lacks an ECG, whose labels are not guessed.
    """
    table = read_label_table(path)
    lacking = [record["ecg_id"] for record in records if record["ecg_id"] not in table]
    if lacking:
        raise ValueError(
            f"{path} lacks {len(lacking)} of {len(records)} ECGs of the cohort; add a row for each"
        )
    return [record | {"labels": table[record["ecg_id"]]} for record in records]
