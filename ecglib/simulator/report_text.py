"""Report text from labels, in a simulated hospital's wording and with its habits.

A report does not state everything that is true. Readers leave out what another statement implies,
overlook findings, doubt some and deny others. report_style.yaml says how often, and how they word
it.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import yaml

from ecglib.labels import findings
from ecglib.labels.findings import FINDINGS, NORMAL, SEPARATORS, SITES
from ecglib.labels.label_set import ABSENT, PRESENT, UNCERTAIN, Label, parse_label, parse_labels

PATH = Path(__file__).parent / "report_style.yaml"


class Denial(NamedTuple):
    """A statement that something is absent."""

    text: str
    labels: tuple[Label, ...]  # the labels that it denies
    needs: tuple[Label, ...]  # labels that must be present for it to be written


class Style(NamedTuple):
    """The content of report_style.yaml; each number is a share or chance."""

    usual: float  # of a finding's statements in its first wording, where it has several
    omitted: dict[Label, float]  # that a present finding is left out
    implied_by: dict[Label, tuple[Label, ...]]  # label -> findings that imply it
    implied_omitted: float  # that an implied finding is left out
    hedged: float  # of hedged statements of the findings in `hedges`
    hedges: dict[str, dict[Label, tuple[str, ...]]]  # site -> label -> hedged wordings
    denied: float  # of reports with a negative statement
    denials: dict[str, tuple[Denial, ...]]  # site -> negative statements


def load(path: Path = PATH) -> Style:
    """The style of a file like report_style.yaml. Raises ValueError: a rate lies outside 0 to 1, a
    label is unknown or no finding, a finding is in two classes of `omitted`, or two findings imply
    each other."""
    data = yaml.safe_load(path.read_text(encoding="utf-8"))
    omitted = dict(data["omitted"])
    rates = dict.fromkeys(FINDINGS, omitted.pop("usual"))
    classes: list[Label] = []
    for one in omitted.values():
        labels = parse_labels(one["findings"], path)
        classes += labels
        rates |= dict.fromkeys(labels, one["rate"])
    implied, hedged = data["implied"], data["hedged"]
    pairs = [
        (parse_label(slug, path), other)
        for slug, others in implied["findings"].items()
        for other in parse_labels(others, path)
    ]
    hedges = {site: _hedges(hedged, site, path) for site in SITES}
    style = Style(
        data["usual_wording"],
        rates,
        {label: tuple(a for a, b in pairs if b == label) for label in dict(map(reversed, pairs))},
        implied["rate"],
        hedged["rate"],
        hedges,
        data["denied"]["rate"],
        {
            site: tuple(_denial(path=path, **entry) for entry in data["denied"]["statements"][site])
            for site in SITES
        },
    )
    for share in (style.usual, style.implied_omitted, style.hedged, style.denied, *rates.values()):
        if not 0 <= share <= 1:
            raise ValueError(f"{path}: expected rates from 0 to 1, got {share}")
    named = {label for pair in pairs for label in pair} | {*classes, *hedges[SITES[0]]}
    if no_findings := sorted(named - set(FINDINGS)):
        slug = no_findings[0].name.lower()
        raise ValueError(f"{path}: expected labels that findings.yaml words, got {slug}")
    if twice := [label for label in classes if classes.count(label) > 1]:
        slug = twice[0].name.lower()
        raise ValueError(f"{path}: {slug} is in two classes of `omitted`; leave one")
    if mutual := [one for one, other in pairs if (other, one) in pairs]:
        first, second = (label.name.lower() for label in mutual[:2])
        raise ValueError(f"{path}: {first} and {second} imply each other; leave one")
    return style


def _hedges(hedged: dict, site: str, path: Path) -> dict[Label, tuple[str, ...]]:
    hedges = {}
    for slug, words in hedged["findings"].items():
        kind = "measured_phrases" if slug in hedged["measured"] else "phrases"
        phrases = (phrase.replace("{x}", words[site]) for phrase in hedged[kind][site])
        hedges[parse_label(slug, path)] = tuple(phrases)
    return hedges


def _denial(text: str, labels: list[str], path: Path, needs: list[str] | None = None) -> Denial:
    return Denial(text, parse_labels(labels, path), parse_labels(needs or (), path))


STYLE = load()


def compose(labels: Sequence[int], site: str, rng: np.random.Generator, normal: bool = True) -> str:
    """A report as the given hospital writes it, with its omissions, doubts and negatives.

    The rhythm is always stated, so a report is never empty.

    Args:
        labels: int8 (77,) states.
        site: "A" (short sentences) or "B" (abbreviations between commas).
        normal: False where something is abnormal that has no label, such as a sinus tachycardia.

    Raises ValueError: the hospital is unknown.
    """
    if site not in SITES:
        raise ValueError(f"findings.yaml: expected a hospital of {SITES}, got {site!r}")
    stated = _stated_findings(findings.present_findings(labels), rng)
    statements = [_worded(label, site, rng) for label in stated]
    statements += _negative(labels, site, rng)
    if normal and findings.is_normal(labels):
        statements.append(NORMAL[site][0])
    return findings.join_statements(statements, site)


def _stated_findings(present: list[Label], rng: np.random.Generator) -> list[Label]:
    """The findings that a report states: not overlooked, and not implied by another one.
    A chain of implications ends in a finding that nothing implies, and that one is stated."""
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
    Returns Label -> state; None where it is not a simulated hospital's report."""
    phrases = _PHRASES.get(site, {})
    parts = report.removesuffix(".").split(SEPARATORS.get(site, ". "))
    if any(part not in phrases for part in parts):
        return None
    return {label: state for part in parts for label, state in phrases[part].items()}
