"""Reads the 77 labels from report text by rules over clauses, with cues for their state.

It reads the wording of both simulated hospitals, full reports, English SCP statements, English
translations of cardiologists' reports and ordinary machine statements. label_rules.yaml holds the
rules and the words that negate, hedge or date a finding. Words that no rule knows are kept, so that
a reading can state which part of a text it understood.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from ecglib.labels.clauses import Span, clauses, find_territories, run_after, run_before
from ecglib.labels.label_set import ABSENT, HISTORY, NOT_ASSESSABLE, PRESENT, UNCERTAIN, Label
from ecglib.labels.rules import CUES, FILLERS, IMPLIED, RULES, STOP, UNFINISHED, Rule

# Kinds of clauses.
LABELLED = "labels"  # states labels
OPEN = "open"  # leaves labels open and states none, for instance "T wave changes"
SILENT = "no label"  # about the tracing, a cause or a finding outside the 77
UNKNOWN = "not understood"  # has words that no rule knows, whatever else it states

# The stronger of two mentions counts.
_STRENGTH = {ABSENT: 0, NOT_ASSESSABLE: 1, HISTORY: 2, UNCERTAIN: 3, PRESENT: 4}
_DENIED = re.compile(r"\b(?:no|not|no longer|without)\s+$")
_WORD = re.compile(r"[a-z0-9][a-z0-9']*")
# Between a change and its cause: the territory of the cause is that of the change.
_EXPLAINED = re.compile(
    r"\s*(?:(?:such )?as (?:in|with)|consider|suggests?|suggesting"
    r"|(?:(?:is|are|may be|probably|possibly) )*due to)\s*"
)
_JOINED = re.compile(r"\s*(?:and|or|nor|with|[/&+(])\s*")


class Stretch(NamedTuple):
    """A clause of a report, its kind, and the words that no rule knows."""

    text: str
    kind: str
    unknown: tuple[str, ...]


@dataclass(frozen=True)
class Reading:
    """The statements of a report."""

    # label -> state; NOT_ASSESSABLE if the words leave a label open; without labels not mentioned
    states: dict[Label, int]
    stretches: tuple[Stretch, ...]  # the clauses, in order
    # False if the report states that (part of) the ECG was not analysed. Then a label that it
    # leaves out is not known to be absent.
    finished: bool

    @property
    def understood(self) -> bool:
        """Whether every clause was."""
        return all(stretch.kind != UNKNOWN for stretch in self.stretches)

    @property
    def kind(self) -> str:
        """The first kind that any clause has of: not understood, labels, open, no label."""
        kinds = {stretch.kind for stretch in self.stretches}
        return next((kind for kind in (UNKNOWN, LABELLED, OPEN) if kind in kinds), SILENT)


class _Mention(NamedTuple):
    start: int
    end: int
    rule: Rule


def _mentions(clause: str) -> list[_Mention]:
    """Matches of all rules, in order, but for those inside a longer one; equal ones all count."""
    matches = [
        _Mention(*match.span(), rule)
        for rule in RULES
        for match in rule.pattern.finditer(clause)
        if match.group()
    ]
    kept: list[_Mention] = []
    for mention in sorted(matches, key=lambda m: (m.start - m.end, m.start)):
        wider = [o for o in kept if o.end - o.start > mention.end - mention.start]
        if not any(o.start <= mention.start and mention.end <= o.end for o in wider):
            kept.append(mention)
    return sorted(kept, key=lambda mention: mention[:2])


def _scopes(clause: str, mentions: list[_Mention]) -> tuple[list[tuple], list[tuple[int, int]]]:
    """(first, last, state) for each cue: the part to which it applies; and the cues themselves."""
    stated = [mention for mention in mentions if not mention.rule.silent]
    taken: list[tuple[int, int]] = [mention[:2] for mention in mentions]
    scopes, cues = [], []
    for state, table in CUES.items():
        # Phrases that look back come first: "is not excluded" contains the cue "not excluded".
        for side in ("after", "before"):
            for match in table[side].finditer(clause):
                if any(low < match.end() and match.start() < high for low, high in taken):
                    continue
                if side == "before":
                    stop = STOP.search(clause, match.end())
                    scope = match.end(), stop.start() if stop else len(clause), state
                else:
                    first = _joined_back(clause, stated, match.start())
                    if first == match.start() and _looks_ahead(clause, first, table["before"]):
                        continue
                    scope = first, match.start(), state
                taken.append(match.span())
                cues.append(match.span())
                scopes.append(scope)
    return scopes, cues


def _looks_ahead(clause: str, start: int, before: re.Pattern) -> bool:
    """Whether a cue with no finding to look back at is one for what follows: "suspected LVH", but
    not "no suspected LVH"."""
    return bool(before.match(clause, start)) and not _DENIED.search(clause[:start])


def _joined_back(clause: str, stated: list[_Mention], end: int) -> int:
    """Start of the last finding before `end`, or of the first of those joined to it."""
    before = [mention for mention in stated if mention.end <= end]
    if not before or STOP.search(clause, before[-1].end, end):
        return end
    first = before[-1].start
    for mention in reversed(before[:-1]):
        if STOP.search(clause, mention.end, first):
            break
        if not _JOINED.fullmatch(clause, mention.end, first):
            break
        first = mention.start
    return first


def _spans(clause: str, mentions: list[_Mention]) -> dict[_Mention, list[Span]]:
    """Spans of each localised mention: inside it, directly before or after, or of one joined."""
    named = find_territories(clause)
    blocked = [mention[:2] for mention in mentions if not mention.rule.has_territory]
    named = [s for s in named if not any(a < s.end and s.start < b for a, b in blocked)]
    localised = [mention for mention in mentions if mention.rule.has_territory]
    spans: dict[_Mention, list[Span]] = {}
    for mention in localised:
        inside = [s for s in named if mention.start <= s.start and s.end <= mention.end]
        earlier = max((m.end for m in localised if m.end <= mention.start), default=None)
        spans[mention] = inside + run_before(clause, named, mention.start, earlier)
    for i, mention in enumerate(localised):
        following = localised[i + 1] if i + 1 < len(localised) else None
        if not spans[mention]:
            nearest = spans[following][0].start if following and spans[following] else len(clause)
            limit = min(nearest, following.start) if following else len(clause)
            spans[mention] = run_after(clause, named, mention.end, limit)
    pairs = list(pairwise(localised))
    for one, two in (*pairs, *((b, a) for a, b in reversed(pairs))):
        low, high = sorted((one, two), key=lambda mention: mention.start)
        if spans[one] or not spans[two]:
            continue
        first = min(high.start, spans[high][0].start) if spans[high] else high.start
        if _JOINED.fullmatch(clause, low.end, high.start) or (
            one is low and _EXPLAINED.fullmatch(clause, low.end, first)
        ):
            spans[one] = spans[two]
    return spans


def _uncued_states(mention: _Mention, spans: list[Span]) -> dict[Label, int]:
    """Label -> state that a mention gives if no cue changes it."""
    rule = mention.rule
    states = dict(rule.labels)
    definite = frozenset().union(*(span.definite for span in spans))
    possible = frozenset().union(*(span.possible for span in spans)) - definite
    if not spans and rule.open_everywhere:
        possible = frozenset((*rule.located, *rule.left_open))
    for territory in sorted(possible):
        for label in (rule.located.get(territory), *rule.left_open.get(territory, ())):
            if label is not None:
                states.setdefault(label, NOT_ASSESSABLE)
    for territory in sorted(definite):
        for label in rule.left_open.get(territory, ()):
            states.setdefault(label, NOT_ASSESSABLE)
        if territory in rule.located:
            states[rule.located[territory]] = rule.state
    return states


def _under(state: int, cue: int | None) -> int | None:
    """A state under a cue; None if the words then state nothing."""
    if cue is None or cue == NOT_ASSESSABLE:
        return state if cue is None else cue
    if state in (NOT_ASSESSABLE, ABSENT):
        return None if cue == ABSENT else state
    return cue


@lru_cache(maxsize=1 << 16)
def read_clause(clause: str) -> tuple[tuple[tuple[Label, int], ...], str, tuple[str, ...]]:
    """(label, state) pairs, kind and unknown words of one clause of `clauses`."""
    mentions = _mentions(clause)
    scopes, cues = _scopes(clause, mentions)
    spans = _spans(clause, mentions)
    states: dict[Label, int] = {}
    for mention in mentions:
        cue = next((s for low, high, s in scopes if low <= mention.start < high), None)
        stated = _uncued_states(mention, spans.get(mention, []))
        if cue == ABSENT and not spans.get(mention):
            # "no ST elevation" denies it in all territories
            stated |= dict.fromkeys(mention.rule.located.values(), PRESENT)
        if cue == ABSENT:
            stated |= dict.fromkeys(mention.rule.denies, PRESENT)
        for label, state in stated.items():
            _strengthen(states, label, _under(state, cue))
    covered = [mention[:2] for mention in mentions] + cues
    covered += [span[:2] for span in find_territories(clause)]
    unknown = tuple(
        match.group()
        for match in _WORD.finditer(clause)
        if match.group() not in FILLERS
        and not all(any(a <= i < b for a, b in covered) for i in range(*match.span()))
        and not match.group().isdigit()
    )
    if unknown:
        kind = UNKNOWN
    elif any(state != NOT_ASSESSABLE for state in states.values()):
        kind = LABELLED
    else:
        kind = OPEN if states else SILENT
    return tuple(states.items()), kind, unknown


def _strengthen(states: dict[Label, int], label: Label, state: int | None) -> None:
    if state is not None and (label not in states or _STRENGTH[state] > _STRENGTH[states[label]]):
        states[label] = state


def read(text: str) -> Reading:
    """The labels that the words of a text state, and which of its clauses were understood."""
    states: dict[Label, int] = {}
    stretches = []
    for clause in clauses(text):
        pairs, kind, unknown = read_clause(clause)
        stretches.append(Stretch(clause, kind, unknown))
        for label, state in pairs:
            _strengthen(states, label, state)
    finished = not any(UNFINISHED.search(stretch.text) for stretch in stretches)
    return Reading(states, tuple(stretches), finished)


def implied(states: dict[Label, int]) -> dict[Label, int]:
    """Add the labels that stated ones imply (`implied` in label_rules.yaml); words win."""
    full = dict(states)
    stated = (PRESENT, UNCERTAIN, HISTORY)
    for step in IMPLIED:
        state = full.get(step.label)
        known = full.get(step.other, NOT_ASSESSABLE) != NOT_ASSESSABLE
        against = any(full.get(i, ABSENT) != ABSENT for i in step.unless)
        if state not in stated or known or against:
            continue
        if step.needs is not None and full.get(step.needs) not in stated:
            continue
        if step.state is None:
            other = full.get(step.needs, state) if step.needs is not None else state
            full[step.other] = min((state, other), key=_STRENGTH.__getitem__)
        elif step.state != ABSENT or state == PRESENT:
            full[step.other] = step.state
    return full


def read_labels(text: str) -> dict[Label, int]:
    """States of all labels that a text states or implies.

    Example: "Atrial fibrillation" -> {AFIB: PRESENT, IRREGULARLY_IRREGULAR: PRESENT, REGULAR:
    ABSENT}.

    Returns:
        Label -> PRESENT, UNCERTAIN, HISTORY, ABSENT, or NOT_ASSESSABLE if the words leave it open;
        labels that are not mentioned are left out.
    """
    return implied(read(text).states)
