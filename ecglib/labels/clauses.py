"""Report text cut into clauses that are read one by one, and the leads and walls that they name."""

import re
from typing import NamedTuple

from ecglib.labels.rules import BETWEEN, PLACES

LEAD = r"(?:iii|ii|i|av[rlf]|v[1-9])"
_CHEST = re.compile(
    r"\bv([1-9])((?:\s*(?:,|-|/|\+|&)\s*v?[1-9](?![\w:.])|\s+(?:to|through|thru|and)\s+v[1-9]\b)+)"
)
_NEXT = re.compile(r"(,|-|/|\+|&|to|through|thru|and)\s*v?([1-9])")
_LEADS = re.compile(
    rf"\(?\b(?:leads? )?{LEAD}\b\)?(?:(?:\s*[,/&+-]\s*|\s+)(?:and |or )?\(?{LEAD}\b\)?)*"
)
_GAP = r"[\s/+&,()-]"
_BEFORE = BETWEEN["before"]
_AFTER = BETWEEN["after"]
_PREPOSITION = re.compile(rf"\b{BETWEEN['preposition']}\s*$")

_MARKS = re.compile(r"\*+|^\s*-+\s*|-{2,}", re.MULTILINE)
_ABBREVIATED = re.compile(r"\b(intraventr|supraventr|ventr|inc|incompl|compl|path)\.(?=\s*\w)")
_LEAD_COMMA = re.compile(rf"\b({LEAD})\s*(?:,\s*(?:and\s+)?|\s+and\s+)(?={LEAD}\b)")
_TERRITORY_COMMA = re.compile(
    r",\s*(?=(?:such )?as in\b)"
    r"|,\s*(?=(?:in\s+)?(?:the\s+)?(?!otherwise\b)\w+(?:/\w+)?\s+leads\b(?!\s+(?:revers|unsuit)))"
)
_DETAIL_COMMA = re.compile(
    r",\s*(?=consider\s+(?:\w+\s+)?isch)|"
    r",\s*(?=(?:age|or|nor|probably|possibly|may|old|recent|mobitz|type)\b)"
    r"|,\s*(?=acute\b(?!\s+(?:\w+\s+){0,2}(?:mi|infarct\w*|pericarditis)\b))"
    r"|(?<=block),\s*(?=(?:1st|2nd|3rd|first|second|third)\b)"
)
_RATIO = re.compile(r"(?<=\d):(?=\d)")
_DENIED = re.compile(r"\b(?:no|not|without)\b[^.;:,\n]*$")
_OF_DENIED = re.compile(r"age\b|n?or\b|may\b|type\b")  # goes on with what is denied
_LIST = re.compile(  # not up to the "or" of leads, as in "v1 or v2"
    r"\b(?:no|without|consider|suspect|cannot rule out)\b"
    rf"(?:(?!\b(?:or|nor)\b)[^.;:\n])*\b(?:or|nor)\b(?!\s+{LEAD}\b)"
)
_CLAUSE = re.compile(
    r"[.;:,\n]+|\s-{1,3}\s(?=(?:no|possible|probable|consider|only)\b(?!\s*(?:[.;:,\n]|$)))"
)


class Span(NamedTuple):
    """Characters `start` to `end` of a clause, which name territories."""

    start: int
    end: int
    definite: frozenset[str]  # territories that the words name
    possible: frozenset[str]  # territories that the words may include


def spell_leads(text: str) -> str:
    """Spell out every chest lead: "v4,5,6", "v4-v6" and "v4 to v6" become "v4 v5 v6"."""

    def spell(match: re.Match) -> str:
        leads = [int(match.group(1))]
        for sign, number in _NEXT.findall(match.group(2)):
            last, lead = leads[-1], int(number)
            ranged = sign in ("-", "to", "through", "thru") and lead > last
            leads.extend(range(last + 1, lead + 1) if ranged else [lead])
        return " ".join(f"v{lead}" for lead in leads)

    return _CHEST.sub(spell, text)


def lead_territories(text: str) -> frozenset[str]:
    """Territories of named leads.

    II with lateral leads, and V4 with V5 or V6, count as lateral. Without these II is inferior and
    V4 anterior. aVR belongs to no territory.

    Example: "ii iii avf" -> inferior; "i ii avl v4 v5 v6" -> lateral.
    """
    leads = set(re.findall(rf"\b{LEAD}\b", text))
    territories = set()
    if leads & {"i", "avl", "v5", "v6"}:
        territories.add("lateral")
    if leads & {"iii", "avf"} or ("ii" in leads and "lateral" not in territories):
        territories.add("inferior")
    if "v3" in leads or ("v4" in leads and not leads & {"v5", "v6"}):
        territories.add("anterior")
    if leads & {"v1", "v2"}:
        territories.add("septal")
    if leads & {"v7", "v8", "v9"}:
        territories.add("posterior")
    return frozenset(territories)


def find_territories(clause: str) -> list[Span]:
    """The spans of a clause that name territories, in order; of two that overlap the longer one."""
    spans = [
        Span(*match.span(), place.definite, place.possible)
        for place in PLACES
        for match in place.pattern.finditer(clause)
    ]
    spans += [
        Span(*match.span(), lead_territories(match.group()), frozenset())
        for match in _LEADS.finditer(clause)
    ]
    kept: list[Span] = []
    for span in sorted(spans, key=lambda span: (span.start - span.end, span.start)):
        if all(span.end <= other.start or other.end <= span.start for other in kept):
            kept.append(span)
    return sorted(kept)


def _only_territories(clause: str) -> bool:
    """Whether a clause names territories and nothing else."""
    rest, spans = clause, find_territories(clause)
    for span in reversed(spans):
        rest = rest[: span.start] + rest[span.end :]
    return bool(spans) and not re.search(r"\w", re.sub(r"\b(?:and|or|in|leads?)\b", "", rest))


def _join_details(text: str) -> str:
    """The text without the commas in front of details. A comma stays where something is denied
    before it and another finding may follow: "no ischemia, old inferior infarct"."""
    parts, last = [], 0
    for comma in _DETAIL_COMMA.finditer(text):
        denied = _DENIED.search(text, last, comma.start())
        if not denied or _OF_DENIED.match(text, comma.end()):
            parts += [text[last : comma.start()], " "]
            last = comma.end()
    return "".join([*parts, text[last:]])


def clauses(text: str) -> list[str]:
    """Lower-case clauses of a report; leads and territories stay with their finding.
    "Sinus rhythm. T inversion, V4-6" -> ["sinus rhythm", "t inversion v4 v5 v6"]"""
    text = text.lower().replace("\u00b0", " ").replace("\u2019", "'").replace("`", "'")
    text = _RATIO.sub(" to ", _ABBREVIATED.sub(r"\1 ", _MARKS.sub(" ", text)))
    text = spell_leads(text)
    text = _TERRITORY_COMMA.sub(" ", _LEAD_COMMA.sub(r"\1 ", text))
    text = _LIST.sub(lambda match: match.group().replace(",", " "), text)
    text = _join_details(text)
    parts = (" ".join(part.split()) for part in _CLAUSE.split(text))
    joined: list[str] = []
    for part in filter(None, parts):
        if joined and _only_territories(part):
            joined[-1] += " " + part
        else:
            joined.append(part)
    return joined


def run_before(
    clause: str, spans: list[Span], start: int, earlier: int | None = None
) -> list[Span]:
    """Spans that end directly before `start`, separated at most by such words as "leads".

    Empty if a preposition connects them to an `earlier` finding, given by its end: in "Q waves in
    inferior leads ST elevation" the inferior leads belong to the Q waves.
    """
    run: list[Span] = []
    for span in reversed([span for span in spans if span.end <= start]):
        if not re.fullmatch(rf"(?:{_GAP}|\b{_BEFORE}\b)*", clause[span.end : start]):
            break
        run.insert(0, span)
        start = span.start
    if earlier is not None and run and _PREPOSITION.search(clause, earlier, run[0].start):
        return []
    return run


def run_after(clause: str, spans: list[Span], end: int, limit: int) -> list[Span]:
    """Spans from `end` to `limit`, separated at most by such words as "in the"."""
    run: list[Span] = []
    for span in [span for span in spans if end <= span.start and span.end <= limit]:
        if not re.fullmatch(rf"(?:{_GAP}|\b{_AFTER}\b)*", clause[end : span.start]):
            break
        run.append(span)
        end = span.end
    return run
