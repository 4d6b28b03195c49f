"""Cuts report text into lower-case clauses that are read one by one."""

import re

from ecglib.labels import territories

_MARKS = re.compile(r"\*+|^\s*-+\s*|-{2,}", re.MULTILINE)
_ABBREVIATED = re.compile(r"\b(intraventr|supraventr|ventr|inc|incompl|compl|path)\.(?=\s*\w)")
_LEAD_COMMA = re.compile(
    rf"\b({territories.LEAD})\s*(?:,\s*(?:and\s+)?|\s+and\s+)(?={territories.LEAD}\b)"
)
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
_LIST = re.compile(r"\b(?:no|without|consider|suspect|cannot rule out)\b[^.;:\n]*?\b(?:or|nor)\b")
_CLAUSE = re.compile(
    r"[.;:,\n]+|\s-{1,3}\s(?=(?:no|possible|probable|consider|only)\b(?!\s*(?:[.;:,\n]|$)))"
)


def clauses(text: str) -> list[str]:
    """Lower-case clauses of a report; leads and territories stay with their finding.

    "Sinus rhythm. T inversion, V4-6" -> ["sinus rhythm", "t inversion v4 v5 v6"]
    """
    text = text.lower().replace("\u00b0", " ").replace("\u2019", "'").replace("`", "'")
    text = _RATIO.sub(" to ", _ABBREVIATED.sub(r"\1 ", _MARKS.sub(" ", text)))
    text = territories.spell_leads(text)
    text = _TERRITORY_COMMA.sub(" ", _LEAD_COMMA.sub(r"\1 ", text))
    text = _LIST.sub(lambda match: match.group().replace(",", " "), text)
    text = _DETAIL_COMMA.sub(" ", text)
    parts = (" ".join(part.split()) for part in _CLAUSE.split(text))
    joined: list[str] = []
    for part in filter(None, parts):
        if joined and territories.only(part):
            joined[-1] += " " + part
        else:
            joined.append(part)
    return joined
