"""The 77 findings of ECG-Tok, their six categories, and the states that a label can take.

Names, categories and prevalences: ECG-Tok, supplementary table of labels (labels77.csv); the
thresholds are those of its authors' report classifier in their released code.
"""

import csv
from pathlib import Path

NOT_ASSESSABLE = -1  # this source or this ECG cannot say
ABSENT = 0
PRESENT = 1
UNCERTAIN = 2  # "possible", "cannot rule out"
HISTORY = 3  # "old", "age undetermined"

with (Path(__file__).parent / "labels77.csv").open(newline="", encoding="utf-8") as _file:
    _ROWS = list(csv.DictReader(_file))

LABELS: tuple[str, ...] = tuple(row["label"] for row in _ROWS)
# Label 47, anterior ST depression, stands in two categories.
CATEGORIES: dict[str, list[int]] = {
    name: [i for i, row in enumerate(_ROWS) if name in (row["category"], row["second_category"])]
    for name in dict.fromkeys(row["category"] for row in _ROWS)
}
# Per cent of the ECGs of the Montreal Heart Institute; nan where the paper gives none.
PREVALENCE_MHI: tuple[float, ...] = tuple(
    float(row["mhi_prevalence_percent"] or "nan") for row in _ROWS
)
# Probability from which the authors' report classifier calls a label present.
BERT_THRESHOLD: tuple[float, ...] = tuple(float(row["bert_threshold"]) for row in _ROWS)


def column(index: int) -> str:
    """Name of a label's column in records.parquet: 6 -> "label_06".

    Raises:
        ValueError: there is no such label.
    """
    if not 0 <= index < len(LABELS):
        raise ValueError(f"Label {index} does not exist; labels run from 0 to {len(LABELS) - 1}.")
    return f"label_{index:02d}"


COLUMNS: tuple[str, ...] = tuple(column(i) for i in range(len(LABELS)))
