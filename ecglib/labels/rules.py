"""The rules that read report text, loaded from label_rules.yaml and compiled."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from ecglib.labels.label_set import (
    ABSENT,
    HISTORY,
    NOT_ASSESSABLE,
    PRESENT,
    UNCERTAIN,
    Label,
    parse_label,
    parse_labels,
)

STATES = {
    "present": PRESENT,
    "uncertain": UNCERTAIN,
    "history": HISTORY,
    "absent": ABSENT,
    "unknown": NOT_ASSESSABLE,
}
PATH = Path(__file__).parent / "label_rules.yaml"
TERRITORIES = ("inferior", "lateral", "anterior", "septal", "posterior")


@dataclass(frozen=True, eq=False)
class Rule:
    """What a pattern states.

    Attributes:
        pattern: over a lower-case clause.
        labels: label -> state, wherever the finding stands.
        placed: territory -> label, for findings that stand in a place.
        opened: territory -> labels that such a finding leaves open.
        state: that of `placed`.
        silent: the words state nothing, by decision.
        bare: without a place, a finding that stands in one leaves its labels open.
        denies: labels that are absent where the words are negated, beside those they state.
    """

    pattern: re.Pattern
    labels: dict[Label, int] = field(default_factory=dict)
    placed: dict[str, Label] = field(default_factory=dict)
    opened: dict[str, tuple[Label, ...]] = field(default_factory=dict)
    state: int = PRESENT
    silent: bool = False
    bare: bool = True
    denies: tuple[Label, ...] = ()

    @property
    def shape(self) -> bool:
        """The finding stands in a place."""
        return bool(self.placed or self.opened)


@dataclass(frozen=True)
class Implication:
    """`label` implies `other` unless one of `unless` is stated; see label_rules.yaml."""

    label: Label
    other: Label
    state: int | None  # None: that of `label`
    unless: tuple[Label, ...]
    needs: Label | None


@dataclass(frozen=True)
class Place:
    """A word for a place: territories that it names, and others that it may take in."""

    pattern: re.Pattern
    sure: frozenset[str]
    open: frozenset[str]


def _any(patterns: Iterable[str], words: dict[str, str]) -> re.Pattern:
    filled = []
    for pattern in patterns:
        for name, word in words.items():
            pattern = pattern.replace("{" + name + "}", f"(?:{word})")
        filled.append(f"(?:{pattern})")
    return re.compile("|".join(filled))


def _states(entry: dict) -> dict[Label, int]:
    return {parse_label(slug, PATH): STATES[state] for slug, state in entry.items()}


def _placed(entry: dict) -> dict[str, Label]:
    return {territory: parse_label(slug, PATH) for territory, slug in entry["labels"].items()}


def _shape(entry: dict, shapes: dict, words: dict) -> Rule:
    opened: dict[str, tuple[Label, ...]] = {}
    for name in entry.get("open", ()):
        for territory, label in _placed(shapes[name]).items():
            opened[territory] = (*opened.get(territory, ()), label)
    placed = shapes[entry["like"]] if "like" in entry else entry
    return Rule(
        _any(entry["patterns"], words),
        labels=_states(entry.get("also", {})),
        placed=_placed(placed) if "labels" in placed else {},
        opened=opened,
        state=STATES[entry.get("state", "present")],
        bare=entry.get("bare") != "silent",
    )


_DATA = yaml.safe_load(PATH.read_text(encoding="utf-8"))
_WORDS = _DATA["words"]

# One pattern a rule, so that the longest of all alternatives can be found rule by rule.
RULES: tuple[Rule, ...] = (
    *(
        Rule(
            _any([pattern], _WORDS),
            _states(entry["labels"]),
            denies=parse_labels(entry.get("denies", ()), PATH),
        )
        for entry in _DATA["rules"]
        for pattern in entry["patterns"]
    ),
    *(_shape(entry, _DATA["shapes"], _WORDS) for entry in _DATA["shapes"].values()),
    *(
        Rule(_any([pattern], _WORDS), silent=True)
        for patterns in _DATA["silent"].values()
        for pattern in patterns
    ),
)
PLACES: tuple[Place, ...] = tuple(
    Place(
        re.compile(rf"\b(?:{entry['pattern']})(?!-?\w)"),
        frozenset(entry.get("sure", ())),
        frozenset(entry.get("open", ())),
    )
    for entry in _DATA["places"]
)
BETWEEN: dict[str, str] = _DATA["between"]
FILLERS: frozenset[str] = frozenset(_DATA["fillers"].split())
CUES: dict[int, dict[str, re.Pattern]] = {  # in the order in which they count
    STATES[name]: {side: re.compile(_DATA["cues"][name][side]) for side in ("before", "after")}
    for name in ("unknown", "uncertain", "absent", "history")
}
STOP = re.compile(_DATA["cues"]["stop"])
UNFINISHED = re.compile(_DATA["unfinished"])
IMPLIED: tuple[Implication, ...] = tuple(
    Implication(
        parse_label(entry["label"], PATH),
        parse_label(entry["implies"], PATH),
        STATES[entry["state"]] if "state" in entry else None,
        parse_labels(entry.get("unless", ()), PATH),
        parse_label(entry["needs"], PATH) if "needs" in entry else None,
    )
    for entry in _DATA["implied"]
)
MACHINE_LEAVES_OUT: tuple[Label, ...] = tuple(
    sorted(
        label
        for entry in _DATA["machine_leaves_out"]
        for label in parse_labels(entry["labels"], PATH)
    )
)


def stateable() -> frozenset[Label]:
    """Labels that some rule can state as present, uncertain or history."""
    found = {
        label for rule in RULES for label, state in rule.labels.items() if state > NOT_ASSESSABLE
    }
    found |= {label for rule in RULES for label in rule.placed.values()}
    return frozenset(found | {step.other for step in IMPLIED})
