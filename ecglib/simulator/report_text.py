"""Report text from labels: a hospital's own words and habits, and the full report of the oracle.

A report is not a list of everything that is true: readers leave out what goes without saying and
now and then what they overlook, doubt some findings and deny others. How often stands in
report_style.yaml.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from ecglib.labels.findings import FINDINGS, NORMAL, SITES, Finding
from ecglib.labels.label_set import ABSENT, PRESENT, UNCERTAIN
from ecglib.simulator.report_style import STYLE

_JOINT = {"A": ". ", "B": ", "}


def present(labels: Sequence[int], findings: Mapping[int, Finding] = FINDINGS) -> list[int]:
    """Findings that are present, in stating order (rhythm first).

    Args:
        labels: int8 (77,) states.
        findings: those that may be stated.
    """
    return [label for label in findings if labels[label] == PRESENT]


def _is_normal(labels: Sequence[int]) -> bool:
    """Nothing is present, said or not, that a normal ECG does not have."""
    return not any(
        state == PRESENT and label not in STYLE.normal_with for label, state in enumerate(labels)
    )


def _join(statements: list[str], site: str) -> str:
    return _JOINT[site].join(statements) + ("." if site == "A" else "")


def _check(site: str) -> None:
    if site not in SITES:
        raise ValueError(f"Hospital {site!r} has no wording in findings.yaml; choose from {SITES}.")


def compose(
    labels: Sequence[int],
    site: str,
    rng: np.random.Generator,
    findings: Mapping[int, Finding] = FINDINGS,
    normal: bool = True,
) -> str:
    """A report as the given hospital writes it, with its omissions, doubts and negatives.

    What drives the heart is always stated, so a report is never empty.

    Args:
        labels: int8 (77,) states.
        site: "A" (short sentences) or "B" (abbreviations between commas).
        rng: draws what is said, and how.
        findings: those that may be stated.
        normal: False where something is abnormal that has no label, as a sinus tachycardia.

    Raises:
        ValueError: the hospital is unknown.
    """
    _check(site)
    statements = [_word(label, site, rng) for label in _said(present(labels, findings), rng)]
    statements += _negative(labels, site, rng)
    if normal and _is_normal(labels):
        statements.append(NORMAL[site][0])
    return _join(statements, site)


def _said(there: list[int], rng: np.random.Generator) -> list[int]:
    """The findings that the report names: not overlooked, and not told by another one.

    A chain of implications ends in a finding that nothing implies, and that one is named.
    """
    seen = [label for label in there if rng.random() >= STYLE.unsaid[label]]
    told = {label for label in seen if not set(STYLE.implied_by.get(label, ())).isdisjoint(seen)}
    return [x for x in seen if x not in told or rng.random() >= STYLE.implied_unsaid]


def _word(label: int, site: str, rng: np.random.Generator) -> str:
    hedges = STYLE.hedges[site].get(label)
    if hedges and rng.random() < STYLE.hedged:
        return hedges[int(rng.integers(len(hedges)))]
    usual, *others = FINDINGS[label].statements[site]
    if not others or rng.random() < STYLE.usual:
        return usual
    return others[int(rng.integers(len(others)))]


def _negative(labels: Sequence[int], site: str, rng: np.random.Generator) -> list[str]:
    """At most one statement of what is absent."""
    if rng.random() >= STYLE.denied:
        return []
    true = [
        denial.text
        for denial in STYLE.denials[site]
        if all(labels[i] == ABSENT for i in denial.labels)
        and all(labels[i] == PRESENT for i in denial.needs)
    ]
    return [true[int(rng.integers(len(true)))]] if true else []


def complete(labels: Sequence[int], site: str) -> str:
    """The hospital's report that states every present finding plainly, in its usual wording.

    Args:
        labels: int8 (77,) states.
        site: "A" or "B".

    Raises:
        ValueError: the hospital is unknown.
    """
    _check(site)
    statements = [FINDINGS[label].statements[site][0] for label in present(labels)]
    return _join(statements + ([NORMAL[site][0]] if _is_normal(labels) else []), site)


def canonical(labels: Sequence[int]) -> str:
    """The report that states every present finding by its name, in one fixed wording.

    Args:
        labels: int8 (77,) states.

    Returns:
        For example "Sinus rhythm. Left bundle branch block." or "Sinus rhythm. Normal ECG."
    """
    names = [FINDINGS[label].name for label in present(labels)]
    if _is_normal(labels):
        names.append("normal ECG")
    return _join([name[0].upper() + name[1:] for name in names], "A")


def _phrases(site: str) -> dict[str, dict[int, int]]:
    """Every statement that a hospital can write, with the states that it gives."""
    found = {
        wording: {label: PRESENT}
        for label, finding in FINDINGS.items()
        for wording in finding.statements[site]
    }
    for label, hedges in STYLE.hedges[site].items():
        found |= {phrase: {label: UNCERTAIN} for phrase in hedges}
    found |= {denial.text: dict.fromkeys(denial.labels, ABSENT) for denial in STYLE.denials[site]}
    return found | {phrase: {} for phrase in NORMAL[site]}


_PHRASES = {site: _phrases(site) for site in SITES}


def written(report: str, site: str) -> dict[int, int] | None:
    """What the writer of a simulated report put down, label -> state: `compose` backwards.

    Returns:
        None where it is not a simulated hospital's report.
    """
    phrases = _PHRASES.get(site, {})
    parts = report.removesuffix(".").split(_JOINT.get(site, ". "))
    if any(part not in phrases for part in parts):
        return None
    return {label: state for part in parts for label, state in phrases[part].items()}
