"""Labels that are much alike, from label_groups.csv: a mean over groups counts a group once.

A condition often brings several labels: left ventricular hypertrophy has two voltage criteria. A
mean over labels counts such a condition two or three times. Each of the 77 labels is in one group.
"""

import csv
from pathlib import Path

from ecglib.labels.label_set import Label, parse_labels

PATH = Path(__file__).parent / "label_groups.csv"


def load(path: Path = PATH) -> dict[str, tuple[Label, ...]]:
    """Labels by the name of their group, in the order of the file. Raises ValueError: a label is in
    no group or in two, or a slug is unknown."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    groups = {row["group"]: parse_labels(row["labels"].split(), path) for row in rows}
    members = sorted(label for labels in groups.values() for label in labels)
    if members != list(Label):
        odd = next(label for label in Label if members.count(label) != 1)
        raise ValueError(f"{path}: expected {odd.name.lower()} in one group; list it once")
    return groups


GROUPS = load()
