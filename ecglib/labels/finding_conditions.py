"""The conditions by which findings of reports are scored, from finding_conditions.csv.

A condition often brings several findings: a left anterior fascicular block turns the axis to the
left. A score that adds findings up counts such a condition twice.
"""

import csv
from pathlib import Path

from ecglib.labels.findings import SCORED
from ecglib.labels.label_set import Label, parse_label

PATH = Path(__file__).parent / "finding_conditions.csv"


def load(path: Path = PATH) -> dict[str, tuple[Label, ...]]:
    """Findings by the name of their condition, in the order of the file. Raises ValueError: a
    scored finding has no condition, another one has, a row is repeated, or a slug is unknown."""
    conditions: dict[str, tuple[Label, ...]] = {}
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(line for line in file if not line.startswith("#")):
            label, members = parse_label(row["finding"], path), conditions.get(row["condition"], ())
            if label in members:
                raise ValueError(f"{path}: {row['finding']} is listed twice; remove one row")
            conditions[row["condition"]] = (*members, label)
    listed = {label for members in conditions.values() for label in members}
    if odd := listed ^ set(SCORED):
        slug = min(odd).name.lower()
        raise ValueError(f"{path}: expected the findings of SCORED alone and all, check {slug}")
    return conditions


CONDITIONS = load()
