"""What can be asked of an ECG, and in which words; read from questions.yaml.

An attribute (diagnosis, rhythm, ...) has groups, and a group has options. A verify question asks
whether an option is present, a choose question which of two, a query question which of all.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ecglib.labels.label_set import LABELS, Label, parse_label, parse_labels
from ecglib.signals.leads import LEADS
from ecglib.signals.measure import MEASURES

PATH = Path(__file__).parent / "questions.yaml"
KINDS = ("labels", "leads", "infarction", "range", "noise")
TYPES = ("verify", "choose", "query")
# The slots of each form of question. "any" is a verify question about all options of a group.
SLOTS = {"verify": {"a"}, "choose": {"a", "b"}, "query": set(), "any": set()}


@dataclass(frozen=True)
class Option:
    """Something that may be present in an ECG."""

    key: str  # unique in its group; part of a question's item
    name: str  # in the words of questions and answers; only lists of leads have commas
    query_only: bool = False  # answers to query name it, but verify and choose do not ask for it


@dataclass(frozen=True)
class Group:
    """Options among which a question asks."""

    name: str  # part of a question's item and template
    attribute: str  # one of ATTRIBUTES
    kind: str  # one of KINDS; decides how the states of the options are derived
    options: tuple[Option, ...]
    wordings: dict[str, tuple[str, ...]]  # of each form in SLOTS; for "any" there may be none
    rule: dict[str, Any]  # the other entries of the group in questions.yaml


def _load(path: Path) -> tuple[dict, dict[str, Group]]:
    book = yaml.safe_load(path.read_text(encoding="utf-8"))
    for key in ("infarction_mimics", "not_asked"):
        book[key] = {parse_label(slug, path): reason for slug, reason in book[key].items()}
    for rule in book["groups"].values():
        _parse_labels_of(rule, path)
    return book, {name: _group(book, name, rule, path) for name, rule in book["groups"].items()}


def _parse_labels_of(rule: dict, path: Path) -> None:
    """Put labels in place of the slugs in the rule of a group."""
    for key in {"query_only", "not_asked_with"} & set(rule):
        rule[key] = parse_labels(rule[key], path)
    for key in {"st", "q"} & set(rule):
        rule[key] = parse_label(rule[key], path)
    if "labels" in rule:
        rule["labels"] = {parse_label(slug, path): name for slug, name in rule["labels"].items()}
    for limits in rule.get("ranges", {}).values():
        limits["labels"] = parse_labels(limits.get("labels", ()), path)


def _group(book: dict, name: str, rule: dict, path: Path) -> Group:
    """One group, its wordings filled in except for the slots {a}, {b} and {leads}. Raises
    ValueError: an entry of the group is missing or wrong."""

    def require(holds: bool, expected: str, value: object) -> None:
        if not holds:
            raise ValueError(f"{path}: group {name}: expected {expected}, got {value!r}")

    attribute, kind = rule.pop("attribute"), rule.pop("kind")
    attributes, measured = book["attributes"], rule.get("measurement")
    require(attribute in attributes, f"an attribute of {', '.join(attributes)}", attribute)
    require(kind in KINDS, f"a kind of {', '.join(KINDS)}", kind)
    is_known = kind != "range" or measured in MEASURES
    require(is_known, "a measurement of signals/measure.py", measured)
    fixed = {key: str(rule[key]) for key in ("finding", "territory") if key in rule}
    wordings = {}
    for form, slots in SLOTS.items():
        texts = rule.pop(form, book["wordings"].get(kind, {}).get(form, []))
        for text in texts:
            used = {slot for slot in ("a", "b") if "{" + slot + "}" in text}
            require(used == slots, f"the slots {sorted(slots)} in a wording of {form}", text)
        enough = len(texts) > 1 or (form == "any" and not texts)
        require(enough, f"two wordings or more for {form}", texts)
        wordings[form] = tuple(fill_wording(text, **fixed) for text in texts)
    options = tuple(_options(book, kind, rule))
    keys = [option.key for option in options]
    require(len(set(keys)) == len(keys), "each option once", keys)
    return Group(name, attribute, kind, options, wordings, rule)


def _options(book: dict, kind: str, rule: dict) -> list[Option]:
    if kind == "labels":
        query_only = rule.get("query_only", ())
        return [Option(f"{i:02d}", name, i in query_only) for i, name in rule["labels"].items()]
    if kind == "leads":
        leads_of = book["territories"]
        return [Option(key, ", ".join(leads_of[key])) for key in rule["labels"].values()]
    if kind == "noise":
        return [Option(lead, lead) for lead in LEADS]
    named = book["infarction_stages"] if kind == "infarction" else rule["ranges"]
    return [Option(key, entry["name"]) for key, entry in named.items()]


def fill_wording(text: str, **slots: str) -> str:
    """A wording with these slots filled: ("Is {a} there?", a="X") -> "Is X there?"."""
    for slot, value in slots.items():
        text = text.replace("{" + slot + "}", value)
    return text


BOOK, GROUPS = _load(PATH)
ATTRIBUTES: tuple[str, ...] = tuple(BOOK["attributes"])
TERRITORY_LEADS: dict[str, list[str]] = BOOK["territories"]
NOT_ASKED: dict[Label, str] = BOOK["not_asked"]
# Every label is an option of one group of labels, or it is not asked, with a reason.
ASKED_LABELS: tuple[Label, ...] = tuple(
    label for group in GROUPS.values() if group.kind == "labels" for label in group.rule["labels"]
)
if sorted((*ASKED_LABELS, *NOT_ASKED)) != list(range(len(LABELS))):
    raise ValueError(
        f"{PATH}: expected each of the {len(LABELS)} labels once in a group of labels or in "
        "not_asked; add what is missing, remove what comes twice"
    )
