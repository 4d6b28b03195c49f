"""The 77 labels, the findings and their wordings, and the labels that are read from reports."""

from pathlib import Path

import pandas as pd
import pytest
import yaml
from builds import needs, read_findings, real, refused

from ecglib.labels import label_set, labeller, rules
from ecglib.labels.clauses import clauses, lead_territories, spell_leads
from ecglib.labels.findings import FINDINGS, GROUPS, SCORED, TRIVIAL
from ecglib.labels.label_set import ABSENT, HISTORY, LABELS, PRESENT, UNCERTAIN, Label
from ecglib.labels.labeller import read, read_labels

CASES = yaml.safe_load(Path(__file__).with_name("labeller_cases.yaml").read_text(encoding="utf-8"))
# Labels whose own name is no wording of a report.
WORDED = {
    Label.SINUS_RHYTHM: "Sinus rhythm",
    Label.REGULAR: "Regular rhythm",
    Label.NO_QRS: "Asystole",
}
# The words of these findings also state another one.
INCLUDES = {Label.QS_V1_V3: Label.Q_WAVE_SEPTAL, Label.LV_PACED: Label.VENTRICULAR_PACED}


def states(text: str) -> dict[Label, int]:
    """States of the notation of labeller_cases.yaml: "afib absent: pvc" -> {15: 1, 19: 0}."""
    labels, state, slugs = {}, PRESENT, label_set.SLUGS
    for word in text.split():
        if word.endswith(":"):
            state = label_set.STATES[word.removesuffix(":")]
        else:
            named = [slugs[word]] if word in slugs else label_set.by_territory(word).values()
            labels |= dict.fromkeys(named, state)
    return labels


def test_the_77_labels_and_others_are_refused():
    assert [int(label) for label in Label] == list(range(len(LABELS))) == list(range(77))
    assert LABELS[Label.LBBB] == "Left bundle branch block"
    assert label_set.column(Label.LBBB) == "label_06"
    assert sum(map(len, label_set.CATEGORIES.values())) == 78 and len(label_set.CATEGORIES) == 6
    inside = [n for n, of in label_set.CATEGORIES.items() if Label.ST_DEPRESSION_ANTERIOR in of]
    assert inside == ["Other", "Infarction or Ischemia"]
    assert label_set.parse_labels(["afib", "lbbb"], "a.yaml") == (Label.AFIB, Label.LBBB) == (15, 6)
    assert set(label_set.by_territory("st_depression")) == set(label_set.TERRITORIES[:4])
    refused("from 0 to 76, got 77", label_set.column, 77)
    refused("^a.yaml: .*; do you mean afib or lafb", label_set.parse_label, "afibb", "a.yaml")
    refused("got 15; choose one of labels77.csv", label_set.parse_label, 15, "a.yaml")


def test_findings_are_ordered_and_each_wording_is_read_as_its_finding():
    groups = [GROUPS.index(finding.group) for finding in FINDINGS.values()]
    assert groups == sorted(groups)
    assert set(Label) - set(FINDINGS) == TRIVIAL - {Label.SINUS_RHYTHM}
    assert len({finding.name for finding in FINDINGS.values()}) == len(FINDINGS) == 75
    assert set(SCORED) == set(FINDINGS) - TRIVIAL
    for label, finding in FINDINGS.items():
        stated = {label: PRESENT} | ({INCLUDES[label]: PRESENT} if label in INCLUDES else {})
        for wording in (finding.name, *finding.statements["A"], *finding.statements["B"]):
            assert read_findings(wording) == stated and read(wording).understood, wording


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
def test_every_label_is_read_by_its_name_in_every_state(wording, state):
    texts = {label: wording.format(WORDED.get(label, LABELS[label])) for label in Label}
    assert [text for label, text in texts.items() if read(text).states[label] != state] == []


def test_states_territories_and_implications():
    for text, expected in CASES["states"].items():
        assert read(text).states == states(expected), text
    for text, expected in CASES["territories"].items():
        stated = {label for label, state in read(text).states.items() if state == PRESENT}
        assert stated == set(states(expected)), text
    for text, expected in CASES["implied"].items():
        assert read_labels(text) == states(expected), text
    # Left axis deviation and delta waves are implied, but no word states these findings.
    assert read_findings("Left anterior fascicular block. WPW") == states("lafb preexcitation")


def test_leads_are_spelled_out_and_belong_to_territories():
    for leads in ("v4,5,6", "v4-v6", "v4 to v6", "v4-6"):
        assert spell_leads(leads) == "v4 v5 v6"
    assert spell_leads("v2 and v3") == "v2 v3"
    assert lead_territories("ii iii avf") == {"inferior"}
    assert lead_territories("i ii avl v4 v5 v6") == {"lateral"}
    assert lead_territories("v3 v4 v5") == {"anterior", "lateral"}
    assert lead_territories("avr") == set()
    parts = ["t inversion lateral leads", "sinus rhythm"]
    assert clauses("T inversion, lateral leads. Sinus rhythm") == parts


def test_words_that_leave_labels_open():
    for text, expected in CASES["leaves_open"].items():
        reading = read(text)
        assert reading.states == states("unknown: " + expected), text
        assert (reading.kind, read_findings(text)) == (labeller.OPEN, {}), text


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
    assert reading.kind == kind and reading.finished
    assert {word for stretch in reading.stretches for word in stretch.unknown} == unknown
    assert reading.understood == (not unknown)
    assert not read("Pacemaker rhythm - no further analysis").finished
    assert not read("Lead(s) unsuitable for analysis: V3").finished


def test_every_label_can_be_stated():
    """As present, uncertain or history, by some rule or by implication."""
    stated = [x for rule in rules.RULES for x, state in rule.labels.items() if state > ABSENT]
    located = [label for rule in rules.RULES for label in rule.located.values()]
    assert {*stated, *located, *(step.other for step in rules.IMPLIED)} == set(Label)


@needs("ECGLIB_MIMIC_TEXT")
def test_real_statements_are_understood():
    frame = pd.read_csv(real("ECGLIB_MIMIC_TEXT") / "machine_reports.csv")
    statements = {part.strip() for text in frame["report"] for part in text.split(".")} - {""}
    assert sum(read(text).understood for text in statements) >= 0.95 * len(statements)
