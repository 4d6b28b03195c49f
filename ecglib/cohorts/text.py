"""Report text from labels: a hospital's own wording, and the canonical wording of the oracle."""

from collections.abc import Mapping, Sequence

import numpy as np

from ecglib.cohorts.findings import FINDINGS, NORMAL, SITES, TRIVIAL, Finding
from ecglib.cohorts.labels import PRESENT


def present(labels: Sequence[int], findings: Mapping[int, Finding] = FINDINGS) -> list[int]:
    """Stated findings that are present, in stating order (rhythm first).

    Args:
        labels: int8 (77,) states.
        findings: those that may be stated.
    """
    return [label for label in findings if labels[label] == PRESENT]


def _is_normal(stated: list[int]) -> bool:
    return all(label in TRIVIAL for label in stated)


def _join(statements: list[str], site: str) -> str:
    if site == "A":
        return ". ".join(statements) + "."
    return ", ".join(statements)


def compose(
    labels: Sequence[int],
    site: str,
    rng: np.random.Generator,
    findings: Mapping[int, Finding] = FINDINGS,
) -> str:
    """A report as the given hospital words it; every present finding is stated once.

    Args:
        labels: int8 (77,) states.
        site: "A" (short sentences) or "B" (abbreviations between commas).
        rng: chooses among the hospital's wordings.
        findings: those that may be stated.

    Raises:
        ValueError: the hospital is unknown.
    """
    if site not in SITES:
        raise ValueError(f"Hospital {site!r} has no wording in findings.yaml; choose from {SITES}.")
    stated = present(labels, findings)
    choices = [findings[label].statements[site] for label in stated]
    if _is_normal(stated):
        choices.append(NORMAL[site])
    return _join([str(rng.choice(wordings)) for wordings in choices], site)


def canonical(labels: Sequence[int]) -> str:
    """The report that states every present finding by its name, in one fixed wording.

    Args:
        labels: int8 (77,) states.

    Returns:
        For example "Sinus rhythm. Left bundle branch block." or "Sinus rhythm. Normal ECG."
    """
    stated = present(labels)
    names = [FINDINGS[label].name for label in stated]
    if _is_normal(stated):
        names.append("normal ECG")
    return _join([name[0].upper() + name[1:] for name in names], "A")
