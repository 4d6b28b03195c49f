"""The findings that reports state; read from findings.yaml, in stating order."""

from dataclasses import dataclass
from pathlib import Path

import yaml

from ecglib.labels.label_set import Label, parse_label, parse_labels

GROUPS = ("rhythm", "conduction", "axis", "chamber", "st_t", "other")
SITES = ("A", "B")
# A constant answer gets these right, so no score counts them (neither the word "normal").
TRIVIAL: frozenset[Label] = frozenset({Label.SINUS_RHYTHM, Label.REGULAR, Label.MONOMORPHIC})


@dataclass(frozen=True)
class Finding:
    """One finding.

    Attributes:
        label: the label that it is.
        name: short, lower case but for abbreviations.
        group: one of `GROUPS`.
        statements: wordings by hospital.
    """

    label: Label
    name: str
    group: str
    statements: dict[str, tuple[str, ...]]


def _load(
    path: Path,
) -> tuple[dict[Label, Finding], dict[str, tuple[str, ...]], frozenset[Label]]:
    """The findings of the file in stating order, the wording of "normal", labels it allows."""
    data, findings = yaml.safe_load(path.read_text(encoding="utf-8")), []
    for slug, entry in data["findings"].items():
        label = parse_label(slug, path)
        if entry["group"] not in GROUPS:
            raise ValueError(
                f"{path}: expected a group of {GROUPS} for {slug}, got {entry['group']!r}"
            )
        statements = {site: tuple(entry["statements"][site]) for site in SITES}
        findings.append(Finding(label, entry["name"], entry["group"], statements))
    findings.sort(key=lambda item: GROUPS.index(item.group))
    normal = {site: tuple(data["normal"][site]) for site in SITES}
    return (
        {item.label: item for item in findings},
        normal,
        frozenset(parse_labels(data["normal_with"], path)),
    )


FINDINGS, NORMAL, NORMAL_WITH = _load(Path(__file__).parent / "findings.yaml")
# What counts in finding F1: everything stated except what a constant answer gets right.
SCORED: tuple[Label, ...] = tuple(label for label in FINDINGS if label not in TRIVIAL)
