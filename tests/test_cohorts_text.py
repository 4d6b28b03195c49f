"""Labels, report text in both hospitals' wording, the labeller, and the simulated patients."""

import numpy as np
import pytest

from ecglib.labels import label_set
from ecglib.labels.clauses import clauses
from ecglib.labels.findings import FINDINGS, GROUPS, SCORED, TRIVIAL
from ecglib.labels.full_report import full_report, present_findings
from ecglib.labels.label_set import ABSENT, HISTORY, NOT_ASSESSABLE, PRESENT, UNCERTAIN
from ecglib.labels.labeller import read, read_findings
from ecglib.simulator import patients
from ecglib.simulator import sample_heart as drawn
from ecglib.simulator.labels_from_heart import labels_of
from ecglib.simulator.report_text import compose


def states(number: int, seed: int = 9):
    """(site, labels, rng) of simulated ECGs without their signal."""
    for index in range(number):
        rng = np.random.default_rng([seed, index])
        site = "AB"[index % 2]
        person = drawn.draw_person(site, "enriched", rng)
        yield site, labels_of(drawn.draw_state(person, person.conditions, rng)), rng


def test_the_77_labels():
    assert len(label_set.LABELS) == 77 and label_set.LABELS[6] == "Left bundle branch block"
    assert sum(map(len, label_set.CATEGORIES.values())) == 78 and len(label_set.CATEGORIES) == 6
    assert [name for name, inside in label_set.CATEGORIES.items() if 47 in inside] == [
        "Other",
        "Infarction or Ischemia",
    ]
    assert label_set.column(6) == "label_06"
    with pytest.raises(ValueError, match="got 77"):
        label_set.column(77)


def test_labels_are_named_by_slugs():
    assert label_set.Label.AFIB == 15 and len(label_set.Label) == 77
    assert label_set.parse_labels(["afib", "lbbb"], "a.yaml") == (15, 6)
    for slug, message in [
        ("afibb", "a.yaml: expected the slug of a label, got 'afibb'; do you mean afib or lafb?"),
        (15, "a.yaml: expected the slug of a label, got 15; choose one of labels77.csv"),
    ]:
        with pytest.raises(ValueError) as error:
            label_set.parse_label(slug, "a.yaml")
        assert str(error.value) == message


def test_findings_are_ordered_and_named_once():
    groups = [GROUPS.index(finding.group) for finding in FINDINGS.values()]
    assert groups == sorted(groups)
    names = [finding.name for finding in FINDINGS.values()]
    assert len(set(names)) == len(names) == 75
    assert set(SCORED) == set(FINDINGS) - TRIVIAL


def test_full_reports_are_read_back():
    for site, state, _ in states(500):
        stated = set(present_findings(state))
        for report in (full_report(state, site), full_report(state)):
            read_back = read_findings(report)
            assert set(read_back) >= stated, report
            # What a wording includes may lie hidden in the waveform, and is then nobody's to tell.
            assert {state[label] for label in read_back} <= {PRESENT, NOT_ASSESSABLE}, report


# What a finding cannot be without: its words state both.
INCLUDES = {3: 60, 73: 23}


def test_every_wording_is_read_as_its_finding():
    for label, finding in FINDINGS.items():
        stated = {label: PRESENT} | ({INCLUDES[label]: PRESENT} if label in INCLUDES else {})
        for wording in (finding.name, *finding.statements["A"], *finding.statements["B"]):
            assert read_findings(wording) == stated, wording
            assert read(wording).understood, wording


def test_normal_report():
    state = np.zeros(77, dtype=np.int8)
    state[[0, 1]] = PRESENT
    assert full_report(state) == "Sinus rhythm. Normal ECG."
    assert "normal ecg" in compose(state, "B", np.random.default_rng(0))
    assert "normal" not in compose(state, "B", np.random.default_rng(0), normal=False)
    with pytest.raises(ValueError, match=r"hospital of .*'C'"):
        compose(state, "C", np.random.default_rng(0))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("complete left bundle branch block", {6: PRESENT}),
        ("incomplete right bundle branch block", {22: UNCERTAIN}),
        ("sinus bradycardia", {0: PRESENT, 13: PRESENT}),
        ("ventricular premature complex", {19: PRESENT}),
        ("supraventricular extrasystoles", {27: UNCERTAIN}),
        ("enlarged left atrium, dilatation of both atria", {40: PRESENT, 72: PRESENT}),
        ("low QRS voltages in the frontal and horizontal leads", {37: PRESENT}),
        ("low amplitude T-waves", {}),
        ("long QT-interval", {46: PRESENT}),
        ("AV block, 1st degree", {26: PRESENT}),
        ("RBBB with left anterior fascicular block", {22: PRESENT, 31: PRESENT}),
        ("Inferior and anterior T wave inversion", {5: PRESENT, 10: PRESENT}),
        ("Anterolateral T wave inversion", {9: PRESENT, 10: PRESENT}),
        ("T waves inverted in II, III and aVF", {5: PRESENT}),
        ("ST elevation in V3-V4", {24: PRESENT}),
        ("", {}),
    ],
)
def test_ordinary_statements(text, expected):
    assert read_findings(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("No acute ST elevation in inferior leads.", {36: ABSENT}),
        ("No LBBB, RBBB or PVCs", {6: ABSENT, 22: ABSENT, 19: ABSENT}),
        ("LBBB is no longer present", {6: ABSENT}),
        ("Possible LVH, atrial fibrillation", {12: UNCERTAIN, 15: PRESENT}),
        ("Cannot rule out inferior Q waves", {14: UNCERTAIN}),
        ("LVH cannot be ruled out", {12: UNCERTAIN}),
        ("Sinus rhythm with borderline 1st degree A-V block", {0: PRESENT, 26: UNCERTAIN}),
        ("Inferior Q waves, age undetermined", {14: HISTORY}),
        ("old LBBB", {6: HISTORY}),
        ("RBBB inferior infarct - age undetermined", {22: PRESENT, 14: HISTORY}),
        ("Lateral T inversion, probably due to LVH", {9: PRESENT, 12: UNCERTAIN}),
        ("Compared with previous ECG, LBBB is new", {6: PRESENT}),
        ("No significant change. Low voltage", {37: PRESENT}),
        ("no PVCs. PVCs in V1", {19: PRESENT}),
        ("no ectopy", {19: ABSENT, 27: ABSENT}),
        ("No AV block", dict.fromkeys((26, 33, 53, 68), ABSENT)),
        ("? lvh, poss lae, prob rvh, rae", {12: 2, 40: 2, 43: 2, 58: PRESENT}),
        ("? lae, acute mi", {40: UNCERTAIN, 69: PRESENT}),
        ("Anterior infarct, acute", {69: PRESENT}),
    ],
)
def test_negation_uncertainty_and_history(text, expected):
    assert read_findings(text) == expected


def test_clauses_keep_leads_and_places_with_their_finding():
    assert clauses("T inversion, lateral leads. Sinus rhythm") == [
        "t inversion lateral leads",
        "sinus rhythm",
    ]


def test_conditions_exclude_and_imply_each_other():
    table = np.stack([state for _, state, _ in states(1500)])
    has = table == PRESENT
    assert not (has[:, 6] & has[:, 22]).any() and not (has[:, 15] & has[:, 26]).any()
    assert not (has[:, 11] & has[:, 32]).any() and (has[:, 11] | ~has[:, 31]).all()
    assert (table[has[:, 6]][:, [5, 9, 10, 12, 14, 24, 36]] == label_set.NOT_ASSESSABLE).all()
    assert not (has[:, 0] & has[:, 15]).any()


def test_any_patient_can_be_made_alone():
    together = list(patients.patients(6, seed=4))
    alone = patients.patient(4, 5)
    for one, two in zip(together[-len(alone) :], alone, strict=True):
        assert one["signal"].tobytes() == two["signal"].tobytes()
        assert one["report"] == two["report"] and one["ecg_id"] == two["ecg_id"]
    later = [record["ecg_id"] for record in patients.patients(3, seed=4, start=3)]
    assert later == [record["ecg_id"] for record in together][-len(later) :]
    other = patients.patient(5, 5)[0]["signal"]
    assert other.shape != alone[0]["signal"].shape or (other != alone[0]["signal"]).any()


def test_records_of_both_hospitals():
    records = list(patients.patients(40, seed=0))
    assert {record["site"] for record in records} == {"A", "B"}
    for record in records:
        assert record["signal"].shape == (12, 10 * record["rate"])
        assert record["signal"].dtype == np.float32 and record["labels"].shape == (77,)
        assert record["rate"] == {"A": 500, "B": 400}[record["site"]]
        assert np.abs(record["signal"]).max() < 8 and record["verified"] is True
    assert {record["site"] for record in patients.patients(5, 0, sites=("B",))} == {"B"}
    with pytest.raises(ValueError, match="expected hospitals"):
        patients.patient(0, 0, sites=("C",))
