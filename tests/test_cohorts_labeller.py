"""The report labeller: states, territories, what is left open, implications and coverage."""

import re
from pathlib import Path

import pandas as pd
import pytest
from real_data import needs, real

from ecglib.labels import labeller, rules, territories
from ecglib.labels.findings import FINDINGS, NORMAL
from ecglib.labels.label_set import (
    ABSENT,
    HISTORY,
    LABELS,
    NOT_ASSESSABLE,
    PRESENT,
    UNCERTAIN,
    Label,
)
from ecglib.labels.labeller import read, read_findings, read_labels

REPO = Path(__file__).parents[1]
PREDICTIONS = REPO / "reports" / "synthetic-laptop" / "predictions"
# Labels whose own name is no wording of a report.
WORDED = {0: "Sinus rhythm", 1: "Regular rhythm", 76: "Asystole"}
ST_UP, ST_DOWN, T_DOWN = (36, 41, 24, 25, 65), (34, 52, 47, 59), (5, 9, 10, 21)


@pytest.mark.parametrize("label", range(77))
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


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("no acute ST elevation", dict.fromkeys(ST_UP, ABSENT)),
        ("No acute ST elevation in inferior leads", {36: ABSENT}),
        ("No ST elevation or T wave inversion", dict.fromkeys((*ST_UP, *T_DOWN), ABSENT)),
        ("No evidence of LVH, RVH or left atrial enlargement", dict.fromkeys((12, 43, 40), 0)),
        ("LBBB is no longer present. RBBB", {6: ABSENT, 22: PRESENT}),
        ("High Sokolow voltage", {}),  # "low voltage" inside a word is none
        ("No delta wave but first degree AV block", {44: ABSENT, 26: PRESENT}),
        ("Cannot rule out septal infarct - age undetermined", {60: UNCERTAIN}),
        ("Inferior infarct - age undetermined", {14: HISTORY}),
        ("Old anterior infarct, LBBB", {61: HISTORY, 6: PRESENT}),
        ("RBBB inferior infarct - age undetermined", {22: PRESENT, 14: HISTORY}),
        ("Lateral infarct", {49: UNCERTAIN}),  # read from Q waves that the words do not name
        ("LVH suggested by voltage only", {12: UNCERTAIN}),
        ("PVC(s) or aberrant ventricular conduction", {19: UNCERTAIN}),
        ("Incomplete RBBB", {22: UNCERTAIN}),
        ("Leftward axis", {11: UNCERTAIN}),
    ],
)
def test_negation_uncertainty_and_history(text, expected):
    assert read(text).states == expected


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("Anteroseptal ST elevation", {24, 25}),
        ("ST segments are elevated in V2,3", {24, 25}),
        ("ST elevation in II, III and aVF with ST depression in I and aVL", {36, 52}),
        ("Posterolateral ST depression V4-V6", {52}),
        ("Posterior ST elevation", {65}),
        ("Inferolateral T wave inversion", {5, 9}),
        ("T wave inversion in V1 through V4", {10, 21}),
        ("T waves are low or flat in I, V5,6 and inverted in aVL", {9}),
        ("Q waves in inferior leads. ST elevation", {14}),
        ("Inferior and ant/septal Q waves", {14, 60, 61}),
        ("QS complexes in V1-V3", {3, 60}),
        ("ST depression and T wave inversion in V5-V6", {52, 9}),
        ("ST-T lowering, such as in anterolateral ischemia", {52, 47}),
        ("Diffuse ST elevation", {36, 41, 24}),
    ],
)
def test_territories(text, labels):
    stated = {label for label, state in read(text).states.items() if state == PRESENT}
    assert stated == labels


def test_leads_are_spelled_out_and_belong_to_territories():
    spell = territories.spell_leads
    assert spell("v4,5,6") == spell("v4-v6") == spell("v4 to v6") == spell("v4-6") == "v4 v5 v6"
    assert spell("v2 and v3") == "v2 v3"
    assert territories.of_leads("ii iii avf") == {"inferior"}
    assert territories.of_leads("i ii avl v4 v5 v6") == {"lateral"}
    assert territories.of_leads("v3 v4 v5") == {"anterior", "lateral"}
    assert territories.of_leads("avr") == set()


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("Inferior T wave changes are nonspecific", {5}),
        ("Lateral ST-T changes may be due to myocardial ischemia", {9, 52}),
        ("Inferior ST-T changes suggest myocardial injury/ischemia", {5, 34, 36}),
        ("Repol abnrm suggests ischemia, anterolateral", {9, 10, 47, 52}),
        ("2:1 AV block", {33, 53}),
        ("Indeterminate axis", {11, 32, 63}),
        ("Aberrant complex", {19, 27}),
        ("Pacemaker detection suspended due to external noise-review advised", {23, 42, 73}),
        ("AV block analysis disabled", {26, 33, 53, 68}),
        ("Acute MI detection was suspended", {69}),
        ("ST elevation analysis has been switched off", ST_UP),
        ("Suspended detection of atrial flutter", {28}),
    ],
)
def test_words_that_leave_labels_open(text, labels):
    reading = read(text)
    assert reading.states == dict.fromkeys(labels, NOT_ASSESSABLE)
    assert (reading.kind, read_findings(text)) == (labeller.OPEN, {})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Sinus rhythm", {0: 1, 1: 1, 2: 1, 16: 0, 38: 0}),
        ("Sinus rhythm with PVCs", {0: 1, 19: 1}),
        ("Atrial fibrillation", {15: 1, 16: 1, 1: 0}),
        ("Atrial fibrillation. Ventricular paced rhythm", {15: 1, 23: 1, 75: -1}),
        ("Possible left anterior fascicular block", {31: 2, 11: 2}),
        ("Left axis deviation. Possible left anterior fascicular block", {31: 2, 11: 1}),
        ("Left atrial enlargement. Possible right atrial enlargement", {40: 1, 58: 2, 72: 2}),
        ("WPW", {45: 1, 44: 1}),
        ("No pre-excitation", {45: 0}),
    ],
)
def test_implications_fill_what_the_words_leave_out(text, expected):
    assert read_labels(text) == expected


def test_findings_are_what_the_words_state_and_no_more():
    """Left axis deviation and delta waves follow, and no word says so."""
    assert read_findings("Left anterior fascicular block. WPW") == {31: PRESENT, 45: PRESENT}


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
        said = [part.strip().lower() for part in re.split(r"[.,\n]", text) if part.strip()]
        if set(said) <= set(wordings):
            plain += 1
            expected = {wordings[part] for part in said} - {None}
            assert read_findings(text) == dict.fromkeys(expected, PRESENT), text
    assert plain >= len(texts) / 4


@needs("ECGLIB_MIMIC_TEXT")
def test_real_statements_are_understood():
    frame = pd.read_csv(real("ECGLIB_MIMIC_TEXT") / "machine_reports.csv")
    statements = {part.strip() for text in frame["report"] for part in text.split(".")} - {""}
    assert sum(read(text).understood for text in statements) >= 0.95 * len(statements)
