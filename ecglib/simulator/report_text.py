"""Report text from labels, in a simulated hospital's wording and with its habits.

A report does not state everything that is true. Readers leave out what another statement implies,
overlook findings, doubt some and deny others. report_style.yaml says how often.
"""

from collections.abc import Sequence

import numpy as np

from ecglib.labels.findings import FINDINGS, NORMAL, SITES
from ecglib.labels.full_report import SEPARATORS, is_normal, join_statements, present_findings
from ecglib.labels.label_set import ABSENT, PRESENT, UNCERTAIN, Label
from ecglib.simulator.report_style import STYLE


def compose(labels: Sequence[int], site: str, rng: np.random.Generator, normal: bool = True) -> str:
    """A report as the given hospital writes it, with its omissions, doubts and negatives.

    The rhythm is always stated, so a report is never empty.

    Args:
        labels: int8 (77,) states.
        site: "A" (short sentences) or "B" (abbreviations between commas).
        rng: draws which findings are stated, and how.
        normal: False where something is abnormal that has no label, such as a sinus tachycardia.

    Raises:
        ValueError: the hospital is unknown.
    """
    if site not in SITES:
        raise ValueError(f"findings.yaml: expected a hospital of {SITES}, got {site!r}")
    stated = _stated_findings(present_findings(labels), rng)
    statements = [_worded(label, site, rng) for label in stated]
    statements += _negative(labels, site, rng)
    if normal and is_normal(labels):
        statements.append(NORMAL[site][0])
    return join_statements(statements, site)


def _stated_findings(present: list[Label], rng: np.random.Generator) -> list[Label]:
    """The findings that a report states: not overlooked, and not implied by another one.

    A chain of implications ends in a finding that nothing implies, and that one is stated.
    """
    seen = [label for label in present if rng.random() >= STYLE.omitted[label]]
    implied = {x for x in seen if not set(STYLE.implied_by.get(x, ())).isdisjoint(seen)}
    return [x for x in seen if x not in implied or rng.random() >= STYLE.implied_omitted]


def _worded(label: Label, site: str, rng: np.random.Generator) -> str:
    """A finding's statement: hedged, usual, or another of its wordings."""
    hedges = STYLE.hedges[site].get(label)
    if hedges and rng.random() < STYLE.hedged:
        return hedges[int(rng.integers(len(hedges)))]
    usual, *others = FINDINGS[label].statements[site]
    if not others or rng.random() < STYLE.usual:
        return usual
    return others[int(rng.integers(len(others)))]


def _negative(labels: Sequence[int], site: str, rng: np.random.Generator) -> list[str]:
    """At most one statement that findings are absent."""
    if rng.random() >= STYLE.denied:
        return []
    true = [
        denial.text
        for denial in STYLE.denials[site]
        if all(labels[i] == ABSENT for i in denial.labels)
        and all(labels[i] == PRESENT for i in denial.needs)
    ]
    return [true[int(rng.integers(len(true)))]] if true else []


def _phrases(site: str) -> dict[str, dict[Label, int]]:
    """Every statement that a hospital can write, with the states that it gives."""
    phrases = {
        wording: {label: PRESENT}
        for label, finding in FINDINGS.items()
        for wording in finding.statements[site]
    }
    for label, hedges in STYLE.hedges[site].items():
        phrases |= {phrase: {label: UNCERTAIN} for phrase in hedges}
    phrases |= {denial.text: dict.fromkeys(denial.labels, ABSENT) for denial in STYLE.denials[site]}
    return phrases | {phrase: {} for phrase in NORMAL[site]}


_PHRASES = {site: _phrases(site) for site in SITES}


def written_states(report: str, site: str) -> dict[Label, int] | None:
    """The states that the writer of a simulated report put down: `compose` backwards.

    Returns:
        Label -> state; None where it is not a simulated hospital's report.
    """
    phrases = _PHRASES.get(site, {})
    parts = report.removesuffix(".").split(SEPARATORS.get(site, ". "))
    if any(part not in phrases for part in parts):
        return None
    return {label: state for part in parts for label, state in phrases[part].items()}
