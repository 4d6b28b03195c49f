"""Read findings out of report text: regular expressions over clauses, with cues for their state.

It reads both simulated hospitals' wording, the canonical reports, English SCP statements and
ordinary machine statements. What it looks for, and which words negate, hedge or date a finding,
stands in findings.yaml.
"""

import re

from ecglib.cohorts.findings import FINDINGS, LEXICON
from ecglib.cohorts.labels import ABSENT, HISTORY, PRESENT, UNCERTAIN

_PATTERNS = {
    label: re.compile("|".join(f"(?:{pattern})" for pattern in finding.patterns))
    for label, finding in FINDINGS.items()
}
_STATES = {"uncertain": UNCERTAIN, "absent": ABSENT, "history": HISTORY}
_BEFORE = {name: re.compile(LEXICON.cues[name]["before"]) for name in _STATES}
_AFTER = {name: re.compile(LEXICON.cues[name]["after"]) for name in _STATES}
_STOP = re.compile(LEXICON.cues["stop"])
_IGNORED = re.compile("|".join(LEXICON.ignored))
# Of two mentions the stronger wins; of two cues on one mention, the first in _STATES.
_STRENGTH = {ABSENT: 0, HISTORY: 1, UNCERTAIN: 2, PRESENT: 3}

_LEAD = r"(?:iii|ii|i|av[rlf]|v[1-6])"
_LEAD_COMMA = re.compile(rf"\b({_LEAD})\s*(?:,\s*(?:and\s+)?|\s+and\s+)(?={_LEAD}\b)")
_PLACE_COMMA = re.compile(r",\s*(?=(?:in\s+)?(?:the\s+)?\w+(?:/\w+)?\s+leads\b)")
_DETAIL_COMMA = re.compile(
    r",\s*(?=(?:age|or|nor|probably|possibly|may)\b)|(?<=block),\s*(?=(?:1st|first)\b)"
)
_NEGATED_LIST = re.compile(r"\b(?:no|without)\b[^.;:\n]*?\b(?:or|nor)\b")
_CLAUSE = re.compile(r"[.;:,\n]+|\s-{1,3}\s(?=(?:no|possible|probable|consider)\b)")


def clauses(text: str) -> list[str]:
    """Lower-case clauses of a report; lists of leads and trailing places stay with their finding.

    "Sinus rhythm. T inversion, lateral leads" -> ["sinus rhythm", "t inversion lateral leads"]
    """
    text = _IGNORED.sub(" ", text.lower().replace("\u00b0", " "))
    text = _PLACE_COMMA.sub(" ", _LEAD_COMMA.sub(r"\1 ", text))
    text = _NEGATED_LIST.sub(lambda match: match.group().replace(",", " "), text)
    text = _DETAIL_COMMA.sub(" ", text)
    parts = (" ".join(part.split()) for part in _CLAUSE.split(text))
    return [part for part in parts if part]


def _scopes(clause: str) -> list[tuple[int, int, int]]:
    """(first, last, state): the stretch of the clause over which each cue holds."""
    taken: list[tuple[int, int]] = []
    scopes = []
    for name, state in _STATES.items():
        # Phrases that look back come first: "is not excluded" holds the cue "not excluded".
        for table, back in ((_AFTER, True), (_BEFORE, False)):
            for match in table[name].finditer(clause):
                if any(low < match.end() and match.start() < high for low, high in taken):
                    continue
                taken.append(match.span())
                if back:
                    stops = [stop.end() for stop in _STOP.finditer(clause, 0, match.start())]
                    scopes.append((max(stops, default=0), match.start(), state))
                else:
                    stop = _STOP.search(clause, match.end())
                    scopes.append((match.end(), stop.start() if stop else len(clause), state))
    return scopes


def read_findings(text: str) -> dict[int, int]:
    """States of the findings that a text mentions.

    Args:
        text: a report, in any of the wordings above; empty text mentions nothing.

    Returns:
        label index -> PRESENT, UNCERTAIN, HISTORY or ABSENT; labels that are not mentioned, or
        not in `FINDINGS`, are left out.
    """
    states: dict[int, int] = {}
    for clause in clauses(text):
        scopes = _scopes(clause)
        for label, pattern in _PATTERNS.items():
            for match in pattern.finditer(clause):
                held = [s for low, high, s in scopes if low <= match.start() < high]
                state = held[0] if held else PRESENT
                if label not in states or _STRENGTH[state] > _STRENGTH[states[label]]:
                    states[label] = state
    return states
