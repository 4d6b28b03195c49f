"""Labels from a CSV with one row per ECG, instead of those that we read from codes and reports.

Columns ``ecg_id`` and ``label_00`` to ``label_76``, the states as in ``ecglib.labels.label_set``.
A data plan names the file with the cohort key ``label_table``.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from ecglib.labels.label_set import ABSENT, COLUMNS, HISTORY, NOT_ASSESSABLE, PRESENT, UNCERTAIN
from ecglib.sources.file_checks import read_csv

STATES = [str(state) for state in (NOT_ASSESSABLE, ABSENT, PRESENT, UNCERTAIN, HISTORY)]


def write_label_table(path: Path, ecg_ids: Sequence[str], states: np.ndarray) -> None:
    """Write the states int8 (n, 77) of n ECGs, by the identifiers of their source."""
    frame = pd.DataFrame(states, columns=list(COLUMNS))
    frame.insert(0, "ecg_id", list(ecg_ids))
    frame.to_csv(path, index=False, lineterminator="\n")


def relabel(records: list[dict], path: Path) -> list[dict]:
    """Give each record its ``labels``, int8 (77,), from the table.

    Raises:
        FileNotFoundError: no such file.
        ValueError: an empty or cut file, a missing column, a repeated ecg_id, a value that is no
            state, or an ECG without a row; its labels are not guessed.
    """
    remedy = "the data plan names it as `label_table`"
    frame = read_csv(path, remedy, ("ecg_id",), "ecg_id", dtype=str, keep_default_na=False)
    if absent := [name for name in COLUMNS if name not in frame]:
        few = ", ".join(absent[:3]) + (f", ... ({len(absent)} in all)" if absent[3:] else "")
        text = f"{path} lacks the columns {few}"
        raise ValueError(f"{text}; add them, with -1 where a label is not known")
    values = frame[list(COLUMNS)].to_numpy(dtype=str)
    if odd := sorted(set(np.unique(values).tolist()) - set(STATES)):
        raise ValueError(f"{path} holds the label {odd[0]!r}; states are {', '.join(STATES)}")
    table = dict(zip(frame["ecg_id"], values.astype(np.int8), strict=True))
    if lacking := [record["ecg_id"] for record in records if record["ecg_id"] not in table]:
        text = f"{path} lacks {len(lacking)} of {len(records)} ECGs of the cohort"
        raise ValueError(f"{text}; add a row for each, the first being ecg_id {lacking[0]}")
    return [record | {"labels": table[record["ecg_id"]]} for record in records]
