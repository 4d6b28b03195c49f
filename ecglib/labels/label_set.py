"""The 77 labels of ECG-Tok by name, their six categories, and the states that a label can take.

labels77.csv holds names and categories, and the thresholds of its authors' report classifier (their
released code). The prevalences are those of the training ECGs of the Montreal Heart Institute, from
the file of thresholds in the released code (DeepECG_Docker). The slugs are ours.
"""

import csv
from collections.abc import Iterable
from difflib import get_close_matches
from enum import IntEnum
from pathlib import Path

NOT_ASSESSABLE = -1  # this source or this ECG does not decide
ABSENT = 0
PRESENT = 1
UNCERTAIN = 2  # "possible", "cannot rule out"
HISTORY = 3  # "old", "age undetermined"
# The states as YAML and CSV files name them.
STATES = {
    "present": PRESENT,
    "uncertain": UNCERTAIN,
    "history": HISTORY,
    "absent": ABSENT,
    "unknown": NOT_ASSESSABLE,
}

PATH = Path(__file__).parent / "labels77.csv"
with PATH.open(newline="", encoding="utf-8") as _file:
    _ROWS = list(csv.DictReader(_file))

# Label.AFIB is 15, the number of the label in arrays, columns and predictions. YAML and CSV files
# use its slug, afib.
Label = IntEnum("Label", {row["slug"].upper(): int(row["index"]) for row in _ROWS}, module=__name__)
SLUGS: dict[str, Label] = {label.name.lower(): label for label in Label}
LABELS: tuple[str, ...] = tuple(row["label"] for row in _ROWS)
# Parts of the heart that labels name, such as Label.Q_WAVE_INFERIOR.
TERRITORIES = ("inferior", "lateral", "anterior", "septal", "posterior")
# Anterior ST depression belongs to two categories.
CATEGORIES: dict[str, list[Label]] = {
    name: [
        label
        for label, row in zip(Label, _ROWS, strict=True)
        if name in (row["category"], row["second_category"])
    ]
    for name in dict.fromkeys(row["category"] for row in _ROWS)
}
# Per cent of the training ECGs of the Montreal Heart Institute; nan where that file gives none.
PREVALENCE_MHI: tuple[float, ...] = tuple(
    float(row["mhi_prevalence_percent"] or "nan") for row in _ROWS
)
# Probability from which the authors' report classifier calls a label present.
BERT_THRESHOLD: tuple[float, ...] = tuple(float(row["bert_threshold"]) for row in _ROWS)


def parse_label(slug: object, where: str | Path) -> Label:
    """The label of a slug of the file `where`: "afib" -> Label.AFIB. Raises ValueError: no label
    has this slug."""
    if slug in SLUGS:
        return SLUGS[slug]
    near = get_close_matches(str(slug).lower(), SLUGS)
    remedy = f"do you mean {' or '.join(near)}?" if near else "choose one of labels77.csv"
    raise ValueError(f"{where}: expected the slug of a label, got {slug!r}; {remedy}")


def parse_labels(slugs: Iterable[object], where: str | Path) -> tuple[Label, ...]:
    """The labels of several slugs, in their order; see `parse_label`."""
    return tuple(parse_label(slug, where) for slug in slugs)


def by_territory(finding: str) -> dict[str, Label]:
    """Labels of a finding by territory: "q_wave" -> {"inferior": Label.Q_WAVE_INFERIOR, ...}."""
    slugs = {territory: f"{finding}_{territory}" for territory in TERRITORIES}
    return {territory: SLUGS[slug] for territory, slug in slugs.items() if slug in SLUGS}


def column(label: int) -> str:
    """Name of a label's column in records.parquet: Label.LBBB -> "label_06". Raises ValueError:
    there is no such label."""
    if not 0 <= label < len(LABELS):
        raise ValueError(f"expected a label from 0 to {len(LABELS) - 1}, got {label}")
    return f"label_{label:02d}"


COLUMNS: tuple[str, ...] = tuple(column(label) for label in Label)
