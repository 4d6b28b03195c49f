"""What can be asked of an ECG, and in which words; read from questions.yaml.

An attribute (diagnosis, rhythm, ...) has groups, a group has options. Of an option one can ask
whether it is there (verify), of two options which (choose), of a group what there is (query).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ecglib.labels.label_set import LABELS, Label, parse_label, parse_labels
from ecglib.signals.leads import LEADS
from ecglib.signals.measure import MEASURES

PATH = Path(__file__).parent / "questions.yaml"
KINDS = ("labels", "leads", "stage", "range", "noise")
TYPES = ("verify", "choose", "query")
# What a wording may name. "any" asks whether anything of the group is there (a verify question).
SLOTS = {"verify": {"a"}, "choose": {"a", "b"}, "query": set(), "any": set()}


@dataclass(frozen=True)
class Option:
    """One thing that can be there.

    Attributes:
        key: short, unique in its group; part of a question's item.
        name: how questions and answers call it. Commas only where it lists leads.
        query_only: it is named in answers to query, but asked by no verify or choose.
    """

    key: str
    name: str
    query_only: bool = False


@dataclass(frozen=True)
class Group:
    """Options among which a question asks.

    Attributes:
        name: unique; part of a question's item and template.
        attribute: one of `ATTRIBUTES`.
        kind: one of `KINDS`, where the states of the options come from.
        options: at least two, or one and nothing to choose.
        wordings: for each of verify, choose, query and, where it can be asked, any.
        rule: what else questions.yaml says of the group.
    """

    name: str
    attribute: str
    kind: str
    options: tuple[Option, ...]
    wordings: dict[str, tuple[str, ...]]
    rule: dict[str, Any]


def _load(path: Path) -> tuple[dict, dict[str, Group]]:
    book = yaml.safe_load(path.read_text(encoding="utf-8"))
    for key in ("stage_mimics", "left_out"):
        book[key] = {parse_label(slug, path): reason for slug, reason in book[key].items()}
    return book, {
        name: _group(book, name, _with_labels(rule, path)) for name, rule in book["groups"].items()
    }


def _with_labels(rule: dict, path: Path) -> dict:
    """The rule of a group with labels in place of their slugs."""
    rule = dict(rule)
    for key in {"query_only", "silent_with"} & set(rule):
        rule[key] = parse_labels(rule[key], path)
    for key in {"st", "q"} & set(rule):
        rule[key] = parse_label(rule[key], path)
    if "labels" in rule:
        rule["labels"] = {parse_label(slug, path): name for slug, name in rule["labels"].items()}
    for limits in rule.get("ranges", {}).values():
        limits["labels"] = parse_labels(limits.get("labels", ()), path)
    return rule


def _group(book: dict, name: str, rule: dict) -> Group:
    """One group with its wordings filled in, but for {a}, {b} and {leads}.

    Raises:
        ValueError: the group does not say what it must.
    """
    attribute, kind = rule.pop("attribute"), rule.pop("kind")
    if attribute not in book["attributes"] or kind not in KINDS:
        raise ValueError(f"{PATH}: group {name} has the attribute {attribute} and the kind {kind}.")
    wordings = {}
    for what, slots in SLOTS.items():
        texts = rule.pop(what, book["wordings"].get(kind, {}).get(what, []))
        for text in texts:
            needs = {slot for slot in ("a", "b") if "{" + slot + "}" in text}
            if needs != slots:
                raise ValueError(f"{PATH}: group {name}, {what}: {text!r} names {sorted(needs)}.")
        if len(texts) < 2 and not (what == "any" and not texts):
            raise ValueError(f"{PATH}: group {name} needs two wordings or more for {what}.")
        fixed = {k: str(rule[k]) for k in ("finding", "place") if k in rule}
        wordings[what] = tuple(_fill(text, fixed) for text in texts)
    options = tuple(_options(book, kind, rule))
    if len({option.key for option in options}) < len(options):
        raise ValueError(f"{PATH}: group {name} names an option twice.")
    return Group(name, attribute, kind, options, wordings, rule)


def _options(book: dict, kind: str, rule: dict) -> list[Option]:
    if kind == "labels":
        silent = rule.get("query_only", ())
        return [Option(f"{i:02d}", name, i in silent) for i, name in rule["labels"].items()]
    if kind == "leads":
        places = book["places"]
        return [Option(place, ", ".join(places[place])) for place in rule["labels"].values()]
    if kind == "stage":
        return [Option(key, stage["name"]) for key, stage in book["stages"].items()]
    if kind == "range":
        if rule["measure"] not in MEASURES:
            raise ValueError(f"{PATH}: {rule['measure']} is no measure.")
        return [Option(key, one["name"]) for key, one in rule["ranges"].items()]
    return [Option(lead, lead) for lead in LEADS]


def _fill(text: str, values: dict[str, str]) -> str:
    for slot, value in values.items():
        text = text.replace("{" + slot + "}", value)
    return text


def word(text: str, a: str = "", b: str = "", leads: str = "") -> str:
    """A wording with its slots filled: ("Is {a} there?", "X") -> "Is X there?"."""
    return _fill(text, {"a": a, "b": b, "leads": leads})


BOOK, GROUPS = _load(PATH)
ATTRIBUTES: tuple[str, ...] = tuple(BOOK["attributes"])
PLACES: dict[str, list[str]] = BOOK["places"]
LEFT_OUT: dict[Label, str] = BOOK["left_out"]
# Every label is asked by the group that it stands in, or left out with a reason.
ASKED_LABELS: tuple[Label, ...] = tuple(
    label for group in GROUPS.values() if group.kind == "labels" for label in group.rule["labels"]
)
if sorted((*ASKED_LABELS, *LEFT_OUT)) != list(range(len(LABELS))):
    raise ValueError(f"{PATH} must ask for each of the {len(LABELS)} labels once or leave it out.")
