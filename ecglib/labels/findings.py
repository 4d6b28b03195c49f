"""The findings that reports state; read from findings.yaml, in stating order."""

from dataclasses import dataclass
from pathlib import Path

import yaml

from ecglib.labels.label_set import LABELS

GROUPS = ("rhythm", "conduction", "axis", "chamber", "st_t", "other")
SITES = ("A", "B")
# A constant answer gets these right, so no score counts them (neither the word "normal").
TRIVIAL: frozenset[int] = frozenset({0, 1, 2})


@dataclass(frozen=True)
class Finding:
    """One finding.

    Attributes:
        label: its index among the 77.
        name: short, lower case but for abbreviations.
        group: one of `GROUPS`.
        statements: wordings by hospital.
    """

    label: int
    name: str
    group: str
    statements: dict[str, tuple[str, ...]]


def _load(path: Path) -> tuple[dict[int, Finding], dict[str, tuple[str, ...]]]:
    """The findings of the file in stating order, and the wording of "normal"."""
    data, found = yaml.safe_load(path.read_text(encoding="utf-8")), []
    for label, entry in data["findings"].items():
        if not 0 <= label < len(LABELS) or entry["group"] not in GROUPS:
            raise ValueError(f"{path}: finding {label}, group {entry['group']!r} is not valid.")
        statements = {site: tuple(entry["statements"][site]) for site in SITES}
        found.append(Finding(label, entry["name"], entry["group"], statements))
    found.sort(key=lambda item: GROUPS.index(item.group))
    normal = {site: tuple(data["normal"][site]) for site in SITES}
    return {item.label: item for item in found}, normal


FINDINGS, NORMAL = _load(Path(__file__).parent / "findings.yaml")
# What counts in finding F1: everything stated except what a constant answer gets right.
SCORED: tuple[int, ...] = tuple(label for label in FINDINGS if label not in TRIVIAL)
