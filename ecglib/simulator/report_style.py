"""Habits of the simulated hospitals' reports, read from report_style.yaml: rates and phrases."""

from dataclasses import dataclass
from pathlib import Path

import yaml

from ecglib.labels.findings import FINDINGS, SITES

PATH = Path(__file__).parent / "report_style.yaml"


@dataclass(frozen=True)
class Denial:
    """A statement that something is absent.

    Attributes:
        text: the words.
        labels: those that it denies.
        needs: those that must be present for it to be made.
    """

    text: str
    labels: tuple[int, ...]
    needs: tuple[int, ...]


@dataclass(frozen=True)
class Style:
    """What report_style.yaml says.

    Attributes:
        usual: share of a finding's statements in its first wording, where it has several.
        unsaid: label -> chance that a finding that is there is left out.
        implied_by: label -> findings whose naming lets it go without saying.
        implied_unsaid: chance that it then does.
        hedged: share of a hedged finding's statements with a doubt.
        hedges: site -> label -> the wordings with a doubt.
        denied: share of reports with a negative.
        denials: site -> the negatives.
        normal_with: labels that a normal ECG may have.
    """

    usual: float
    unsaid: dict[int, float]
    implied_by: dict[int, tuple[int, ...]]
    implied_unsaid: float
    hedged: float
    hedges: dict[str, dict[int, tuple[str, ...]]]
    denied: float
    denials: dict[str, tuple[Denial, ...]]
    normal_with: frozenset[int]


def load(path: Path = PATH) -> Style:
    """The style of a file like report_style.yaml.

    Raises:
        ValueError: a rate lies outside 0 to 1, a finding is unknown or stands in two classes, or
            two findings let each other go without saying.
    """
    data = yaml.safe_load(path.read_text(encoding="utf-8"))
    unsaid = dict(data["unsaid"])
    rates = dict.fromkeys(FINDINGS, unsaid.pop("usual"))
    classes = [label for one in unsaid.values() for label in one["findings"]]
    for one in unsaid.values():
        rates |= dict.fromkeys(one["findings"], one["rate"])
    implied = data["goes_without_saying"]
    pairs = [(one, other) for one, others in implied["findings"].items() for other in others]
    hedged = data["hedged"]
    style = Style(
        data["usual_wording"],
        rates,
        {label: tuple(a for a, b in pairs if b == label) for label in dict(map(reversed, pairs))},
        implied["rate"],
        hedged["rate"],
        {site: _hedges(hedged, site) for site in SITES},
        data["denied"]["rate"],
        {site: _denials(data["denied"]["statements"][site]) for site in SITES},
        frozenset(data["normal_with"]),
    )
    shares = (style.usual, style.implied_unsaid, style.hedged, style.denied, *rates.values())
    if not all(0 <= share <= 1 for share in shares):
        raise ValueError(f"{path}: every rate must lie between 0 and 1.")
    named = {label for pair in pairs for label in pair} | {*classes, *hedged["findings"]}
    if named - set(FINDINGS) or len(set(classes)) < len(classes):
        raise ValueError(f"{path}: findings are unknown or stand in two classes of `unsaid`.")
    if any((b, a) in pairs for a, b in pairs):
        raise ValueError(f"{path}: two findings let each other go without saying.")
    return style


def _hedges(hedged: dict, site: str) -> dict[int, tuple[str, ...]]:
    found = {}
    for label, words in hedged["findings"].items():
        kind = "measured_phrases" if label in hedged["measured"] else "phrases"
        found[label] = tuple(phrase.replace("{x}", words[site]) for phrase in hedged[kind][site])
    return found


def _denials(entries: list[dict]) -> tuple[Denial, ...]:
    return tuple(
        Denial(entry["text"], tuple(entry["labels"]), tuple(entry.get("needs", ())))
        for entry in entries
    )


STYLE = load()
