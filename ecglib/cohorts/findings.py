"""The findings that reports state and questions ask; read from findings.yaml, in stating order."""

from dataclasses import dataclass
from pathlib import Path

import yaml

from ecglib.cohorts.labels import LABELS

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
        patterns: regular expressions over a lower-case clause.
    """

    label: int
    name: str
    group: str
    statements: dict[str, tuple[str, ...]]
    patterns: tuple[str, ...]


@dataclass(frozen=True)
class Lexicon:
    """How texts are worded and read: see the comments of findings.yaml."""

    findings: dict[int, Finding]
    normal: dict[str, tuple[str, ...]]
    ignored: tuple[str, ...]
    cues: dict


def _load(path: Path) -> Lexicon:
    data = yaml.safe_load(path.read_text(encoding="utf-8"))
    by_label = _findings(path, data, data["words"])
    normal = {site: tuple(data["normal"][site]) for site in SITES}
    return Lexicon(by_label, normal, tuple(data["ignored"]), data["cues"])


def _with_more(path: Path, more: Path) -> dict[int, Finding]:
    """The findings of two files in stating order; the first file's `words` hold in both."""
    one, two = (yaml.safe_load(p.read_text(encoding="utf-8")) for p in (path, more))
    found = _findings(path, one, one["words"])
    found |= _findings(more, two, one["words"] | two["words"])
    return {item.label: item for item in sorted(found.values(), key=_place)}


def _place(finding: Finding) -> int:
    return GROUPS.index(finding.group)


def _findings(path: Path, data: dict, words: dict[str, str]) -> dict[int, Finding]:
    """The findings of a file, sorted by group."""
    found = []
    for label, entry in data["findings"].items():
        if not 0 <= label < len(LABELS) or entry["group"] not in GROUPS:
            raise ValueError(f"{path}: finding {label}, group {entry['group']!r} is not valid.")
        statements = {site: tuple(entry["statements"][site]) for site in SITES}
        patterns = tuple(_fill(pattern, words) for pattern in entry["patterns"])
        found.append(Finding(label, entry["name"], entry["group"], statements, patterns))
    return {item.label: item for item in sorted(found, key=_place)}


def _fill(pattern: str, words: dict[str, str]) -> str:
    for name, word in words.items():
        pattern = pattern.replace("{" + name + "}", word)
    return pattern


LEXICON = _load(Path(__file__).parent / "findings.yaml")
FINDINGS, NORMAL = LEXICON.findings, LEXICON.normal
# With those that only cohorts with a `prevalence` have.
EVERY = _with_more(*(Path(__file__).parent / f"findings{more}.yaml" for more in ("", "_more")))
# What counts in finding F1: everything stated except what a constant answer gets right.
SCORED: tuple[int, ...] = tuple(label for label in FINDINGS if label not in TRIVIAL)
