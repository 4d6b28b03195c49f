"""The report labeller: states, territories, what is left open, implications and coverage."""

import re
from pathlib import Path

import pandas as pd
import pytest
import yaml
from real_data import needs, real

from ecglib.labels import labeller, rules
from ecglib.labels.clauses import clauses, lead_territories, spell_leads
from ecglib.labels.findings import FINDINGS, NORMAL
from ecglib.labels.label_set import (
    ABSENT,
    HISTORY,
    LABELS,
    PRESENT,
    SLUGS,
    STATES,
    UNCERTAIN,
    Label,
    by_territory,
)
from ecglib.labels.labeller import read, read_findings, read_labels

CASES = yaml.safe_load(Path(__file__).with_name("labeller_cases.yaml").read_text(encoding="utf-8"))
REPO = Path(__file__).parents[1]
PREDICTIONS = REPO / "reports" / "synthetic-laptop" / "predictions"
# Labels whose own name is no wording of a report.
WORDED = {
    Label.SINUS_RHYTHM: "Sinus rhythm",
    Label.REGULAR: "Regular rhythm",
    Label.NO_QRS: "Asystole",
}


def states(text: str) -> dict[Label, int]:
    """States of the notation of labeller_cases.yaml: "afib absent: pvc" -> {15: 1, 19: 0}."""
    labels, state = {}, PRESENT
    for word in text.split():
        if word.endswith(":"):
            state = STATES[word.removesuffix(":")]
        else:
            named = [SLUGS[word]] if word in SLUGS else by_territory(word).values()
            labels |= dict.fromkeys(named, state)
    return labels


@pytest.mark.parametrize("label", Label)
@pytest.mark.parametrize(
    ("wording", "state"),
    [
        ("{}", PRESENT),
        ("No {}", ABSENT),
        ("Possible {}", UNCERTAIN),
        ("{} cannot be ruled out", UNCERTAIN),
        ("Old {}", HISTORY),
        ("{}, age undetermined", HISTORY),
    ],
)
def test_every_label_is_read_by_its_name_in_every_state(label, wording, state):
    text = wording.format(WORDED.get(label, LABELS[label]))
    assert read(text).states[label] == state, text


@pytest.mark.parametrize(("text", "expected"), CASES["states"].items())
def test_states(text, expected):
    assert read(text).states == states(expected)


@pytest.mark.parametrize(("text", "expected"), CASES["territories"].items())
def test_territories(text, expected):
    stated = {label for label, state in read(text).states.items() if state == PRESENT}
    assert stated == set(states(expected))


def test_leads_are_spelled_out_and_belong_to_territories():
    assert (
        spell_leads("v4,5,6")
        == spell_leads("v4-v6")
        == spell_leads("v4 to v6")
        == spell_leads("v4-6")
        == "v4 v5 v6"
    )
    assert spell_leads("v2 and v3") == "v2 v3"
    assert lead_territories("ii iii avf") == {"inferior"}
    assert lead_territories("i ii avl v4 v5 v6") == {"lateral"}
    assert lead_territories("v3 v4 v5") == {"anterior", "lateral"}
    assert lead_territories("avr") == set()


@pytest.mark.parametrize(("text", "expected"), CASES["leaves_open"].items())
def test_words_that_leave_labels_open(text, expected):
    reading = read(text)
    assert reading.states == states("unknown: " + expected)
    assert (reading.kind, read_findings(text)) == (labeller.OPEN, {})


@pytest.mark.parametrize(("text", "expected"), CASES["implied"].items())
def test_implications_fill_what_the_words_leave_out(text, expected):
    assert read_labels(text) == states(expected)


def test_findings_are_what_the_words_state_and_no_more():
    """Left axis deviation and delta waves follow, and no word says so."""
    assert read_findings("Left anterior fascicular block. WPW") == states("lafb preexcitation")


@pytest.mark.parametrize(
    ("text", "kind", "unknown"),
    [
        ("Left bundle branch block, sex not given", labeller.UNKNOWN, {"sex", "given"}),
        ("Marked left axis deviation", labeller.LABELLED, set()),
        ("Borderline T wave changes", labeller.OPEN, set()),
        ("Abnormal ECG. Compared with previous tracing no change", labeller.SILENT, set()),
        ("Summary: NORMAL", labeller.SILENT, set()),
        ("", labeller.SILENT, set()),
        ("The patient ate breakfast", labeller.UNKNOWN, {"ate", "breakfast"}),
    ],
)
def test_a_reading_says_what_it_understood(text, kind, unknown):
    reading = read(text)
    assert reading.kind == kind
    assert {word for stretch in reading.stretches for word in stretch.unknown} == unknown
    assert reading.understood == (not unknown)


def test_a_report_that_was_not_finished_says_so():
    assert read("Sinus rhythm").finished
    assert not read("Pacemaker rhythm - no further analysis").finished
    assert not read("Lead(s) unsuitable for analysis: V3").finished


def test_clauses_keep_leads_and_territories_with_their_finding():
    parts = ["t inversion lateral leads", "sinus rhythm"]
    assert clauses("T inversion, lateral leads. Sinus rhythm") == parts


def test_every_label_can_be_stated():
    """As present, uncertain or history, by some rule or by implication."""
    stated = [x for rule in rules.RULES for x, state in rule.labels.items() if state > ABSENT]
    located = [label for rule in rules.RULES for label in rule.located.values()]
    assert {*stated, *located, *(step.other for step in rules.IMPLIED)} == set(Label)


def test_texts_of_the_reference_run_are_read_as_they_were_worded():
    """In a report of plain statements each clause names its finding; many others hedge or deny."""
    wordings = dict.fromkeys([n.lower() for names in NORMAL.values() for n in names])
    for label, finding in FINDINGS.items():
        stated = (finding.name, *(w for site in finding.statements.values() for w in site))
        wordings |= {wording.lower(): label for wording in stated}
    texts = set()
    for path in PREDICTIONS.glob("0[46]_texts.parquet"):
        frame = pd.read_parquet(path, columns=["target", "prediction"])
        texts |= {*frame["target"], *frame["prediction"]}
    plain = 0
    for text in texts:
        parts = [part.strip().lower() for part in re.split(r"[.,\n]", text) if part.strip()]
        if set(parts) <= set(wordings):
            plain += 1
            expected = {wordings[part] for part in parts} - {None}
            assert read_findings(text) == dict.fromkeys(expected, PRESENT), text
    assert plain >= len(texts) / 4


@needs("ECGLIB_MIMIC_TEXT")
def test_real_statements_are_understood():
    frame = pd.read_csv(real("ECGLIB_MIMIC_TEXT") / "machine_reports.csv")
    statements = {part.strip() for text in frame["report"] for part in text.split(".")} - {""}
    assert sum(read(text).understood for text in statements) >= 0.95 * len(statements)
