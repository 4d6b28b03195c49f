"""The findings that reports state, from findings.yaml, and the report that states all present ones.

That report is a ceiling for the findings of a report. It is no ceiling for text overlap: a written
report chooses among wordings, doubts, denies and leaves out, and no reader of the waveform can know
which.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import yaml

from ecglib.labels.label_set import PRESENT, Label, parse_label, parse_labels

GROUPS = ("rhythm", "conduction", "axis", "chamber", "st_t", "other")
SITES = ("A", "B")
SEPARATORS = {"A": ". ", "B": ", "}
# A constant answer gets these right, so no score counts them (neither the word "normal").
TRIVIAL: frozenset[Label] = frozenset({Label.SINUS_RHYTHM, Label.REGULAR, Label.MONOMORPHIC})


class Finding(NamedTuple):
    """A finding that a report can state."""

    label: Label
    name: str  # short, lower case but for abbreviations
    group: str  # one of `GROUPS`
    statements: dict[str, tuple[str, ...]]  # wordings by hospital


def _load(path: Path) -> tuple[dict[Label, Finding], dict[str, tuple[str, ...]], frozenset[Label]]:
    """The findings of the file in stating order, the wording of "normal", labels it allows."""
    data, findings = yaml.safe_load(path.read_text(encoding="utf-8")), []
    for slug, entry in data["findings"].items():
        label = parse_label(slug, path)
        if entry["group"] not in GROUPS:
            given = f"{slug}, got {entry['group']!r}"
            raise ValueError(f"{path}: expected a group of {GROUPS} for {given}")
        statements = {site: tuple(entry["statements"][site]) for site in SITES}
        findings.append(Finding(label, entry["name"], entry["group"], statements))
    findings.sort(key=lambda item: GROUPS.index(item.group))
    normal = {site: tuple(data["normal"][site]) for site in SITES}
    allowed = frozenset(parse_labels(data["normal_with"], path))
    return {item.label: item for item in findings}, normal, allowed


FINDINGS, NORMAL, NORMAL_WITH = _load(Path(__file__).parent / "findings.yaml")
# What counts in finding F1: everything stated except what a constant answer gets right.
SCORED: tuple[Label, ...] = tuple(label for label in FINDINGS if label not in TRIVIAL)


def present_findings(labels: Sequence[int]) -> list[Label]:
    """Findings that are present in int8 (77,) states, in stating order (rhythm first)."""
    return [label for label in FINDINGS if labels[label] == PRESENT]


def is_normal(labels: Sequence[int]) -> bool:
    """Whether no label is present, stated or not, that a normal ECG does not have."""
    return all(labels[label] != PRESENT or label in NORMAL_WITH for label in Label)


def join_statements(statements: list[str], site: str) -> str:
    """One report of a hospital from its statements: "Sinus rhythm. Normal ECG."."""
    return SEPARATORS[site].join(statements) + ("." if site == "A" else "")


def full_report(labels: Sequence[int], site: str = "") -> str:
    """Every present finding, in the site's usual wording or, for other sites, by its name.

    Args:
        labels: int8 (77,) states.
        site: the hospital; only the simulated ones ("A", "B") have their own wording.

    For example "Sinus rhythm. Left bundle branch block." or "Sinus rhythm. Normal ECG."
    """
    findings = [FINDINGS[label] for label in present_findings(labels)]
    if site in SITES:
        statements = [finding.statements[site][0] for finding in findings]
    else:
        site = SITES[0]
        statements = [finding.name[0].upper() + finding.name[1:] for finding in findings]
    return join_statements(statements + [NORMAL[site][0]] * is_normal(labels), site)
