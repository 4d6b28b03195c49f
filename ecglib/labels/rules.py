"""The rules that read report text, loaded from label_rules.yaml and compiled."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from ecglib.labels.label_set import ABSENT, HISTORY, LABELS, NOT_ASSESSABLE, PRESENT, UNCERTAIN

STATES = {
    "present": PRESENT,
    "uncertain": UNCERTAIN,
    "history": HISTORY,
    "absent": ABSENT,
    "unknown": NOT_ASSESSABLE,
}
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
    labels: dict[int, int] = field(default_factory=dict)
    placed: dict[str, int] = field(default_factory=dict)
    opened: dict[str, tuple[int, ...]] = field(default_factory=dict)
    state: int = PRESENT
    silent: bool = False
    bare: bool = True
    denies: tuple[int, ...] = ()

    @property
    def shape(self) -> bool:
        """The finding stands in a place."""
        return bool(self.placed or self.opened)


@dataclass(frozen=True)
class Implication:
    """`label` implies `other` unless one of `unless` is stated; see label_rules.yaml."""

    label: int
    other: int
    state: int | None  # None: that of `label`
    unless: tuple[int, ...]
    needs: int | None


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


def _labels(entry: dict) -> dict[int, int]:
    for label in entry:
        if not 0 <= label < len(LABELS):
            raise ValueError(f"label_rules.yaml: label {label} does not exist")
    return {label: STATES[state] for label, state in entry.items()}


def _shape(entry: dict, shapes: dict, words: dict) -> Rule:
    opened: dict[str, tuple[int, ...]] = {}
    for name in entry.get("open", ()):
        for territory, label in shapes[name]["labels"].items():
            opened[territory] = (*opened.get(territory, ()), label)
    return Rule(
        _any(entry["patterns"], words),
        labels=_labels(entry.get("also", {})),
        placed=shapes[entry.get("like")]["labels"] if "like" in entry else entry.get("labels", {}),
        opened=opened,
        state=STATES[entry.get("state", "present")],
        bare=entry.get("bare") != "silent",
    )


with (Path(__file__).parent / "label_rules.yaml").open(encoding="utf-8") as _file:
    _DATA = yaml.safe_load(_file)
_WORDS = _DATA["words"]

# One pattern a rule, so that the longest of all alternatives can be found rule by rule.
RULES: tuple[Rule, ...] = (
    *(
        Rule(
            _any([pattern], _WORDS), _labels(entry["labels"]), denies=tuple(entry.get("denies", ()))
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
    for name in ("uncertain", "absent", "history")
}
STOP = re.compile(_DATA["cues"]["stop"])
UNFINISHED = re.compile(_DATA["unfinished"])
IMPLIED: tuple[Implication, ...] = tuple(
    Implication(
        entry["label"],
        entry["implies"],
        STATES[entry["state"]] if "state" in entry else None,
        tuple(entry.get("unless", ())),
        entry.get("needs"),
    )
    for entry in _DATA["implied"]
)
MACHINE_LEAVES_OUT: tuple[int, ...] = tuple(
    sorted(label for entry in _DATA["machine_leaves_out"] for label in entry["labels"])
)


def stateable() -> frozenset[int]:
    """Labels that some rule can state as present, uncertain or history."""
    found = {
        label for rule in RULES for label, state in rule.labels.items() if state > NOT_ASSESSABLE
    }
    found |= {label for rule in RULES for label in rule.placed.values()}
    return frozenset(found | {step.other for step in IMPLIED})
