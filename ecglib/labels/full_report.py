"""The report that states every present finding of an ECG: a ceiling for the findings of a report.

It is no ceiling for text overlap: a written report chooses among wordings, doubts, denies and
leaves out, and no reader of the waveform can know which.
"""

from collections.abc import Sequence

from ecglib.labels.findings import FINDINGS, NORMAL, NORMAL_WITH, SITES
from ecglib.labels.label_set import PRESENT, Label

SEPARATORS = {"A": ". ", "B": ", "}


def present_findings(labels: Sequence[int]) -> list[Label]:
    """Findings that are present, in stating order (rhythm first).

    Args:
        labels: int8 (77,) states.
    """
    return [label for label in FINDINGS if labels[label] == PRESENT]


def is_normal(labels: Sequence[int]) -> bool:
    """Whether no label is present, stated or not, that a normal ECG does not have."""
    return all(labels[label] != PRESENT or label in NORMAL_WITH for label in Label)


def join_statements(statements: list[str], site: str) -> str:
    """One report of a hospital from its statements: "Sinus rhythm. Normal ECG."."""
    return SEPARATORS[site].join(statements) + ("." if site == "A" else "")


def full_report(labels: Sequence[int], site: str = "") -> str:
    """Every present finding, in the site's usual wording or, for other sites, by its name.

    Args:
        labels: int8 (77,) states.
        site: the hospital; only the simulated ones ("A", "B") have their own wording.

    Returns:
        For example "Sinus rhythm. Left bundle branch block." or "Sinus rhythm. Normal ECG."
    """
    findings = [FINDINGS[label] for label in present_findings(labels)]
    if site in SITES:
        statements = [finding.statements[site][0] for finding in findings]
    else:
        site = SITES[0]
        statements = [finding.name[0].upper() + finding.name[1:] for finding in findings]
    return join_statements(statements + [NORMAL[site][0]] * is_normal(labels), site)
