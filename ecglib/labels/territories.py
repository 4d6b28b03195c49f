"""Leads and walls in report text: lists of leads made plain, and the territories they name."""

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


class Span(NamedTuple):
    """A stretch of a clause that names a place."""

    start: int
    end: int
    sure: frozenset[str]
    open: frozenset[str]


def spell_leads(text: str) -> str:
    """Write every chest lead out: "v4,5,6", "v4-v6" and "v4 to v6" become "v4 v5 v6"."""

    def spell(match: re.Match) -> str:
        leads = [int(match.group(1))]
        for sign, number in _NEXT.findall(match.group(2)):
            last, here = leads[-1], int(number)
            ranged = sign in ("-", "to", "through", "thru") and here > last
            leads.extend(range(last + 1, here + 1) if ranged else [here])
        return " ".join(f"v{lead}" for lead in leads)

    return _CHEST.sub(spell, text)


def of_leads(text: str) -> frozenset[str]:
    """Territories of named leads.

    II beside lateral leads, and V4 beside V5 or V6, belong to the lateral wall; alone or with
    their own kind they are inferior and anterior. aVR belongs to none.

    Example: "ii iii avf" -> inferior; "i ii avl v4 v5 v6" -> lateral.
    """
    leads = set(re.findall(rf"\b{LEAD}\b", text))
    found = set()
    if leads & {"i", "avl", "v5", "v6"}:
        found.add("lateral")
    if leads & {"iii", "avf"} or ("ii" in leads and "lateral" not in found):
        found.add("inferior")
    if "v3" in leads or ("v4" in leads and not leads & {"v5", "v6"}):
        found.add("anterior")
    if leads & {"v1", "v2"}:
        found.add("septal")
    if leads & {"v7", "v8", "v9"}:
        found.add("posterior")
    return frozenset(found)


def find(clause: str) -> list[Span]:
    """Places named in a clause, in order; the longer of two that overlap."""
    spans = [
        Span(*match.span(), place.sure, place.open)
        for place in PLACES
        for match in place.pattern.finditer(clause)
    ]
    spans += [
        Span(*match.span(), of_leads(match.group()), frozenset())
        for match in _LEADS.finditer(clause)
    ]
    kept: list[Span] = []
    for span in sorted(spans, key=lambda span: (span.start - span.end, span.start)):
        if all(span.end <= other.start or other.end <= span.start for other in kept):
            kept.append(span)
    return sorted(kept)


def only(clause: str) -> bool:
    """Whether a clause names places and nothing else."""
    rest, spans = clause, find(clause)
    for span in reversed(spans):
        rest = rest[: span.start] + rest[span.end :]
    return bool(spans) and not re.search(r"\w", re.sub(r"\b(?:and|or|in|leads?)\b", "", rest))


def run_before(
    clause: str, spans: list[Span], start: int, earlier: int | None = None
) -> list[Span]:
    """Places that end directly before `start`, with nothing but such words as "leads" between.

    None where an `earlier` finding (its end) and a preposition lead them in: "Q waves in inferior
    leads ST elevation" gives the inferior leads to the Q waves.
    """
    found: list[Span] = []
    for span in reversed([span for span in spans if span.end <= start]):
        if not re.fullmatch(rf"(?:{_GAP}|\b{_BEFORE}\b)*", clause[span.end : start]):
            break
        found.insert(0, span)
        start = span.start
    if earlier is not None and found and _PREPOSITION.search(clause, earlier, found[0].start):
        return []
    return found


def run_after(clause: str, spans: list[Span], end: int, limit: int) -> list[Span]:
    """Places that follow `end` with nothing but such words as "in the" between, before `limit`."""
    found: list[Span] = []
    for span in [span for span in spans if end <= span.start and span.end <= limit]:
        if not re.fullmatch(rf"(?:{_GAP}|\b{_AFTER}\b)*", clause[end : span.start]):
            break
        found.append(span)
        end = span.end
    return found
