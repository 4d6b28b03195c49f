"""Read the 77 labels out of report text: rules over clauses, with cues for their state.

It reads both simulated hospitals' wording, the canonical reports, English SCP statements, English
translations of cardiologists' reports and ordinary machine statements. What it looks for, and
which words negate, hedge or date a finding, stands in label_rules.yaml. A clause's stretches that
no rule knows are kept, so that a reading can say how much of a text it understood.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from ecglib.labels import territories
from ecglib.labels.clauses import clauses
from ecglib.labels.findings import FINDINGS
from ecglib.labels.label_set import ABSENT, HISTORY, NOT_ASSESSABLE, PRESENT, UNCERTAIN
from ecglib.labels.rules import CUES, FILLERS, IMPLIED, RULES, STOP, UNFINISHED, Rule

LABELLED = "labels"  # states labels
OPEN = "open"  # leaves labels open and states none, for instance "T wave changes"
SILENT = "no label"  # about the tracing, a cause or a finding outside the 77
UNKNOWN = "not understood"  # holds words that no rule knows, whatever else it states

# Of two mentions the stronger wins.
_STRENGTH = {ABSENT: 0, NOT_ASSESSABLE: 1, HISTORY: 2, UNCERTAIN: 3, PRESENT: 4}
_WORD = re.compile(r"[a-z0-9][a-z0-9']*")
# Between a change and what explains it: the place of the cause is that of the change.
_EXPLAINED = re.compile(
    r"\s*(?:(?:such )?as (?:in|with)|consider|suggests?|suggesting"
    r"|(?:(?:is|are|may be|probably|possibly) )*due to)\s*"
)
_JOINED = re.compile(r"\s*(?:and|or|nor|with|[/&+(])\s*")


class Stretch(NamedTuple):
    """A clause of a report, which of the four kinds it is, and the words that no rule knows."""

    text: str
    kind: str
    unknown: tuple[str, ...]


@dataclass(frozen=True)
class Reading:
    """What a report states.

    Attributes:
        states: label -> state; NOT_ASSESSABLE where the words leave a label open. Labels that
            are not mentioned are left out.
        stretches: the clauses, in order.
        finished: False where the report says that (part of) the ECG was not analysed, so that
            what it leaves out is not known to be absent.
    """

    states: dict[int, int]
    stretches: tuple[Stretch, ...]
    finished: bool

    @property
    def understood(self) -> bool:
        """Every clause was."""
        return all(stretch.kind != UNKNOWN for stretch in self.stretches)

    @property
    def kind(self) -> str:
        """That of the whole text: not understood if any clause is; else labels, open, no label."""
        kinds = {stretch.kind for stretch in self.stretches}
        return next((kind for kind in (UNKNOWN, LABELLED, OPEN) if kind in kinds), SILENT)


class _Mention(NamedTuple):
    start: int
    end: int
    rule: Rule


def _mentions(clause: str) -> list[_Mention]:
    """Matches of all rules, in order; one inside a longer one is part of it, equals both count."""
    found = [
        _Mention(*match.span(), rule)
        for rule in RULES
        for match in rule.pattern.finditer(clause)
        if match.group()
    ]
    kept: list[_Mention] = []
    for mention in sorted(found, key=lambda m: (m.start - m.end, m.start)):
        wider = [o for o in kept if o.end - o.start > mention.end - mention.start]
        if not any(o.start <= mention.start and mention.end <= o.end for o in wider):
            kept.append(mention)
    return sorted(kept, key=lambda mention: mention[:2])


def _scopes(clause: str, mentions: list[_Mention]) -> tuple[list[tuple], list[tuple[int, int]]]:
    """(first, last, state): where each cue holds; and the cues' own places."""
    stated = [mention for mention in mentions if not mention.rule.silent]
    taken: list[tuple[int, int]] = [mention[:2] for mention in mentions]
    scopes, cues = [], []
    for state, table in CUES.items():
        # Phrases that look back come first: "is not excluded" holds the cue "not excluded".
        for side in ("after", "before"):
            for match in table[side].finditer(clause):
                if any(low < match.end() and match.start() < high for low, high in taken):
                    continue
                taken.append(match.span())
                cues.append(match.span())
                if side == "before":
                    stop = STOP.search(clause, match.end())
                    scopes.append((match.end(), stop.start() if stop else len(clause), state))
                else:
                    first = _joined_back(clause, stated, match.start())
                    scopes.append((first, match.start(), state))
    return scopes, cues


def _joined_back(clause: str, stated: list[_Mention], end: int) -> int:
    """Where the last finding before `end` starts, or the first of those joined to it."""
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


def _placed(clause: str, mentions: list[_Mention]) -> dict[_Mention, list[territories.Span]]:
    """The places of each shape: inside, directly before, after, or those of one joined to it."""
    spans = territories.find(clause)
    blocked = [mention[:2] for mention in mentions if not mention.rule.shape]
    spans = [s for s in spans if not any(a < s.end and s.start < b for a, b in blocked)]
    shapes = [mention for mention in mentions if mention.rule.shape]
    found: dict[_Mention, list[territories.Span]] = {}
    for shape in shapes:
        inside = [s for s in spans if shape.start <= s.start and s.end <= shape.end]
        earlier = max((s.end for s in shapes if s.end <= shape.start), default=None)
        found[shape] = inside + territories.run_before(clause, spans, shape.start, earlier)
    for i, shape in enumerate(shapes):
        following = shapes[i + 1] if i + 1 < len(shapes) else None
        if not found[shape]:
            nearest = found[following][0].start if following and found[following] else len(clause)
            limit = min(nearest, following.start) if following else len(clause)
            found[shape] = territories.run_after(clause, spans, shape.end, limit)
    pairs = list(pairwise(shapes))
    for one, two in (*pairs, *((b, a) for a, b in reversed(pairs))):
        low, high = sorted((one, two), key=lambda shape: shape.start)
        if found[one] or not found[two]:
            continue
        first = min(high.start, found[high][0].start) if found[high] else high.start
        if _JOINED.fullmatch(clause, low.end, high.start) or (
            one is low and _EXPLAINED.fullmatch(clause, low.end, first)
        ):
            found[one] = found[two]
    return found


def _stated(mention: _Mention, spans: list[territories.Span]) -> dict[int, int]:
    """Label -> state that a mention gives where no cue changes it."""
    rule = mention.rule
    states = dict(rule.labels)
    if not rule.shape:
        return states
    sure = frozenset().union(*(span.sure for span in spans))
    perhaps = frozenset().union(*(span.open for span in spans)) - sure
    if not spans and rule.bare:
        perhaps = frozenset((*rule.placed, *rule.opened))
    for territory in sorted(perhaps):
        for label in (rule.placed.get(territory), *rule.opened.get(territory, ())):
            if label is not None:
                states.setdefault(label, NOT_ASSESSABLE)
    for territory in sorted(sure):
        for label in rule.opened.get(territory, ()):
            states.setdefault(label, NOT_ASSESSABLE)
        if territory in rule.placed:
            states[rule.placed[territory]] = rule.state
    return states


def _under(state: int, cue: int | None) -> int | None:
    """A state under a cue; None where the words then state nothing."""
    if cue in (None, NOT_ASSESSABLE):
        return state if cue is None else cue
    if state in (NOT_ASSESSABLE, ABSENT):
        return None if cue == ABSENT else state
    return cue


@lru_cache(maxsize=1 << 16)
def read_clause(clause: str) -> tuple[tuple[tuple[int, int], ...], str, tuple[str, ...]]:
    """(label, state) pairs, kind and unknown words of one clause, as `clauses` gives it."""
    mentions = _mentions(clause)
    scopes, cues = _scopes(clause, mentions)
    spans = _placed(clause, mentions)
    states: dict[int, int] = {}
    for mention in mentions:
        cue = next((s for low, high, s in scopes if low <= mention.start < high), None)
        states_here = _stated(mention, spans.get(mention, []))
        if cue == ABSENT and mention.rule.shape and not spans[mention]:
            # "no ST elevation" denies it everywhere
            states_here |= dict.fromkeys(mention.rule.placed.values(), PRESENT)
        if cue == ABSENT:
            states_here |= dict.fromkeys(mention.rule.denies, PRESENT)
        for label, plain in states_here.items():
            _strengthen(states, label, _under(plain, cue))
    covered = [mention[:2] for mention in mentions] + cues
    covered += [span[:2] for span in territories.find(clause)]
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


def _strengthen(states: dict[int, int], label: int, state: int | None) -> None:
    if state is not None and (label not in states or _STRENGTH[state] > _STRENGTH[states[label]]):
        states[label] = state


def read(text: str) -> Reading:
    """What a text states by its own words, and which stretches of it were understood.

    Args:
        text: a report, in any of the wordings above; empty text mentions nothing.
    """
    states: dict[int, int] = {}
    stretches = []
    for clause in clauses(text):
        pairs, kind, unknown = read_clause(clause)
        stretches.append(Stretch(clause, kind, unknown))
        for label, state in pairs:
            _strengthen(states, label, state)
    finished = not any(UNFINISHED.search(stretch.text) for stretch in stretches)
    return Reading(states, tuple(stretches), finished)


def implied(states: dict[int, int]) -> dict[int, int]:
    """Add what stated labels say of others (`implied` in label_rules.yaml); words always win."""
    full = dict(states)
    said = (PRESENT, UNCERTAIN, HISTORY)
    for step in IMPLIED:
        state = full.get(step.label)
        known = full.get(step.other, NOT_ASSESSABLE) != NOT_ASSESSABLE
        against = any(full.get(i, ABSENT) != ABSENT for i in step.unless)
        if state not in said or known or against:
            continue
        if step.needs is not None and full.get(step.needs) not in said:
            continue
        if step.state is None:
            other = full.get(step.needs, state) if step.needs is not None else state
            full[step.other] = min((state, other), key=_STRENGTH.__getitem__)
        elif step.state != ABSENT or state == PRESENT:
            full[step.other] = step.state
    return full


def read_labels(text: str) -> dict[int, int]:
    """States of all labels that a text states or implies.

    Example: "Atrial fibrillation" -> {15: PRESENT, 16: PRESENT, 1: ABSENT}.

    Returns:
        label index -> PRESENT, UNCERTAIN, HISTORY, ABSENT, or NOT_ASSESSABLE where the words
        leave it open; labels that are not mentioned are left out.
    """
    return implied(read(text).states)


def read_findings(text: str) -> dict[int, int]:
    """States of the findings that a text states by its own words.

    Args:
        text: a report, in any of the wordings above; empty text mentions nothing.

    Returns:
        label index -> PRESENT, UNCERTAIN, HISTORY or ABSENT; labels that are not mentioned, or
        not in `FINDINGS`, are left out.
    """
    states = read(text).states
    return {i: s for i, s in states.items() if i in FINDINGS and s != NOT_ASSESSABLE}
