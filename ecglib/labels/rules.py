"""The rules that read report text, loaded from label_rules.yaml and compiled."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import yaml

from ecglib.labels.label_set import PRESENT, STATES, Label, by_territory, parse_label, parse_labels

PATH = Path(__file__).parent / "label_rules.yaml"
_DATA = yaml.safe_load(PATH.read_text(encoding="utf-8"))


@dataclass(frozen=True, eq=False)
class Rule:
    """The states that a pattern gives to labels."""

    pattern: re.Pattern  # over a lower-case clause
    labels: dict[Label, int] = field(default_factory=dict)  # whatever the territory
    located: dict[str, Label] = field(default_factory=dict)  # by territory, where findings have one
    # territory -> labels that the words leave open there
    left_open: dict[str, tuple[Label, ...]] = field(default_factory=dict)
    state: int = PRESENT  # that of `located`
    silent: bool = False  # the words state nothing, by decision
    # words that name no territory leave the labels of all territories open
    open_everywhere: bool = True
    denies: tuple[Label, ...] = ()  # further labels that are absent if the words are negated

    @property
    def has_territory(self) -> bool:
        """Whether the states depend on a territory."""
        return bool(self.located or self.left_open)


class Implication(NamedTuple):
    """`label` implies `other` unless one of `unless` is stated; see label_rules.yaml."""

    label: Label
    other: Label
    state: int | None  # None: that of `label`
    unless: tuple[Label, ...]
    needs: Label | None


class Place(NamedTuple):
    """A word for a part of the heart: the territories that it names, and those it may include."""

    pattern: re.Pattern
    definite: frozenset[str]
    possible: frozenset[str]


def _any(patterns: Iterable[str]) -> re.Pattern:
    """One pattern from alternatives, with the {names} of the words filled in."""
    filled = []
    for pattern in patterns:
        for name, word in _DATA["words"].items():
            pattern = pattern.replace("{" + name + "}", f"(?:{word})")
        filled.append(f"(?:{pattern})")
    return re.compile("|".join(filled))


def _localised(entry: dict) -> Rule:
    left_open: dict[str, tuple[Label, ...]] = {}
    for finding in entry.get("leaves_open", ()):
        for territory, label in by_territory(finding).items():
            left_open[territory] = (*left_open.get(territory, ()), label)
    return Rule(
        _any(entry["patterns"]),
        {parse_label(slug, PATH): STATES[state] for slug, state in entry.get("also", {}).items()},
        located=by_territory(entry["finding"]) if "finding" in entry else {},
        left_open=left_open,
        state=STATES[entry.get("state", "present")],
        open_everywhere="no_territory" not in entry,
    )


# One rule per pattern, so that the longest match of all rules can be chosen.
RULES: tuple[Rule, ...] = (
    *(
        Rule(
            _any([pattern]),
            {parse_label(slug, PATH): STATES[state] for slug, state in entry["labels"].items()},
            denies=parse_labels(entry.get("denies", ()), PATH),
        )
        for entry in _DATA["rules"]
        for pattern in entry["patterns"]
    ),
    *(_localised(entry) for entry in _DATA["localised"].values()),
    *(Rule(_any([p]), silent=True) for patterns in _DATA["silent"].values() for p in patterns),
)
PLACES: tuple[Place, ...] = tuple(
    Place(
        re.compile(rf"\b(?:{entry['pattern']})(?!-?\w)"),
        frozenset(entry.get("definite", ())),
        frozenset(entry.get("possible", ())),
    )
    for entry in _DATA["territories"]
)
BETWEEN: dict[str, str] = _DATA["between"]
FILLERS: frozenset[str] = frozenset(_DATA["fillers"].split())
CUES: dict[int, dict[str, re.Pattern]] = {  # in the order in which they apply
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
