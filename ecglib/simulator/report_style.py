"""Style of the simulated reports, read from report_style.yaml: rates and phrases."""

from dataclasses import dataclass
from pathlib import Path

import yaml

from ecglib.labels.findings import FINDINGS, SITES
from ecglib.labels.label_set import Label, parse_label, parse_labels

PATH = Path(__file__).parent / "report_style.yaml"


@dataclass(frozen=True)
class Denial:
    """A statement that something is absent.

    Attributes:
        text: the words.
        labels: the labels that it denies.
        needs: labels that must be present for it to be written.
    """

    text: str
    labels: tuple[Label, ...]
    needs: tuple[Label, ...]


@dataclass(frozen=True)
class Style:
    """The content of report_style.yaml.

    Attributes:
        usual: share of a finding's statements in its first wording, where it has several.
        omitted: label -> chance that a present finding is left out.
        implied_by: label -> findings that imply it.
        implied_omitted: chance that an implied finding is left out.
        hedged: share of hedged statements of the findings in `hedges`.
        hedges: site -> label -> hedged wordings.
        denied: share of reports with a negative statement.
        denials: site -> negative statements.
    """

    usual: float
    omitted: dict[Label, float]
    implied_by: dict[Label, tuple[Label, ...]]
    implied_omitted: float
    hedged: float
    hedges: dict[str, dict[Label, tuple[str, ...]]]
    denied: float
    denials: dict[str, tuple[Denial, ...]]


def load(path: Path = PATH) -> Style:
    """The style of a file like report_style.yaml.

    Raises:
        ValueError: a rate lies outside 0 to 1, a label is unknown or no finding, a finding is in
            two classes of `omitted`, or two findings imply each other.
    """
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
        {site: _denials(data["denied"]["statements"][site], path) for site in SITES},
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


def _denials(entries: list[dict], path: Path) -> tuple[Denial, ...]:
    return tuple(
        Denial(
            entry["text"],
            parse_labels(entry["labels"], path),
            parse_labels(entry.get("needs", ()), path),
        )
        for entry in entries
    )


STYLE = load()
