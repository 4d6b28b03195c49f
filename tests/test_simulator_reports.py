"""Simulated reports: findings stated, hedged, denied and omitted at the rates of the style file."""

import numpy as np
import pytest
from simulated import hearts

from ecglib.labels.findings import (
    FINDINGS,
    NORMAL,
    NORMAL_WITH,
    SITES,
    full_report,
    present_findings,
)
from ecglib.labels.label_set import (
    ABSENT,
    NOT_ASSESSABLE,
    PRESENT,
    UNCERTAIN,
    Label,
    parse_labels,
)
from ecglib.labels.labeller import read, read_findings
from ecglib.simulator import report_text
from ecglib.simulator.report_text import STYLE

RHYTHMS = {
    *parse_labels(["sinus_rhythm", "afib", "atrial_flutter", "atrial_tachycardia", "svt"], ""),
    *parse_labels(["ectopic_atrial_rhythm", "junctional_rhythm", "ventricular_tachycardia"], ""),
    *parse_labels(["ventricular_rhythm", "no_qrs", "ventricular_paced", "lv_paced"], ""),
    Label.ATRIAL_PACED,
}
# Other wordings include these findings.
INCLUDED = {Label.Q_WAVE_SEPTAL, Label.VENTRICULAR_PACED}


@pytest.fixture(scope="module")
def reports():
    """(labels, site, text, states that the writer put down) of 3,200 reports on 800 hearts."""
    texts = []
    for index, heart in enumerate(hearts("enriched", 800)):
        rng = np.random.default_rng([5, index])
        for _ in range(4):
            report = report_text.compose(heart.labels, heart.site, rng)
            states = report_text.written_states(report, heart.site)
            texts.append((heart.labels, heart.site, report, states))
    return texts


def close(hits: list[bool], rate: float) -> bool:
    """Within four standard errors of a binomial share."""
    assert len(hits) > 50
    return abs(np.mean(hits) - rate) <= 4 * np.sqrt(rate * (1 - rate) / len(hits))


def test_a_report_says_nothing_untrue(reports):
    for labels, _, report, states in reports:
        assert all(labels[i] == (ABSENT if s == ABSENT else PRESENT) for i, s in states.items())
        assert report and RHYTHMS & {i for i, s in states.items() if s == PRESENT}


def test_the_labeller_reads_what_was_written(reports):
    for labels, _, report, states in reports:
        read_back = read_findings(report)
        # A doubt about a finding that another statement includes leaves it present.
        differ = {i for i, state in states.items() if read_back.get(i) != state}
        assert differ <= INCLUDED and {read_back.get(i) for i in differ} <= {PRESENT}, report
        more = set(read_back) - set(states)
        assert more <= INCLUDED, report
        assert {labels[i] for i in more} <= {PRESENT, NOT_ASSESSABLE}, report
        assert read(report).understood, report


def test_full_reports_state_everything_and_are_read_so(reports):
    for labels, site, *_ in reports[::4]:
        present = set(present_findings(labels))
        for report in (full_report(labels, site), full_report(labels)):
            read_back = read_findings(report)
            assert set(read_back.values()) <= {PRESENT}, report
            assert set(read_back) >= present and set(read_back) - present <= INCLUDED, report
            # A wording may include what the waveform hides.
            assert {labels[i] for i in read_back} <= {PRESENT, NOT_ASSESSABLE}, report


def test_a_normal_heart_has_a_normal_report():
    labels = np.zeros(77, dtype=np.int8)
    labels[[Label.SINUS_RHYTHM, Label.REGULAR]] = PRESENT
    assert full_report(labels) == "Sinus rhythm. Normal ECG."
    assert "normal ecg" in report_text.compose(labels, "B", np.random.default_rng(0))
    assert "normal" not in report_text.compose(labels, "B", np.random.default_rng(0), normal=False)
    with pytest.raises(ValueError, match=r"hospital of .*'C'"):
        report_text.compose(labels, "C", np.random.default_rng(0))


def test_findings_are_omitted_at_the_stated_rates(reports):
    by_rate: dict[float, list[bool]] = {}
    implied = 0
    for labels, _, _, states in reports:
        present = set(present_findings(labels))
        for label in present:
            rate = STYLE.omitted[label]
            by = present.intersection(STYLE.implied_by.get(label, ()))
            if by and any(STYLE.omitted[one] for one in by):
                continue
            if by:  # stated if it is neither overlooked nor left to the other finding
                implied += label in states
                rate = 1 - (1 - rate) * (1 - STYLE.implied_omitted)
            by_rate.setdefault(rate, []).append(label not in states)
    assert len(by_rate) > 4 and implied > 200
    for rate, omitted in by_rate.items():
        assert close(omitted, rate), rate


def test_a_rhythm_is_omitted_only_if_another_one_implies_it():
    assert all(STYLE.omitted[label] == 0 for label in RHYTHMS)
    implied = {label: set(by) for label, by in STYLE.implied_by.items() if label in RHYTHMS}
    assert implied == {
        Label.VENTRICULAR_RHYTHM: {Label.VENTRICULAR_TACHYCARDIA},
        Label.VENTRICULAR_PACED: {Label.LV_PACED},
    }


def test_doubts_and_usual_wordings_come_at_the_stated_rates(reports):
    doubted, usual = [], []
    for _, site, report, states in reports:
        parts = report.removesuffix(".").split(", " if site == "B" else ". ")
        for label, state in states.items():
            if label in STYLE.hedges[site] and state != ABSENT:
                doubted.append(state == UNCERTAIN)
            wordings = FINDINGS[label].statements[site]
            if state == PRESENT and len(wordings) > 1:
                usual.append(wordings[0] in parts)
    assert close(doubted, STYLE.hedged) and close(usual, STYLE.usual)


def test_rhythm_pacing_and_extra_beats_are_never_doubted(reports):
    plain = {label for label, finding in FINDINGS.items() if finding.group == "rhythm"}
    for *_, states in reports:
        assert not any(state == UNCERTAIN and label in plain for label, state in states.items())


def test_negatives_come_at_the_stated_rate_and_one_at_most(reports):
    denied = []
    for labels, site, report, states in reports:
        possible = [
            denial
            for denial in STYLE.denials[site]
            if all(labels[i] == ABSENT for i in denial.labels)
            and all(labels[i] == PRESENT for i in denial.needs)
        ]
        if possible:
            denied.append(ABSENT in states.values())
        written = [denial for denial in possible if denial.text in report]
        assert len(written) == (ABSENT in states.values())
    assert close(denied, STYLE.denied)


def test_normal_is_said_of_every_normal_heart_and_of_no_other(reports):
    for labels, site, report, _ in reports:
        normal = set(np.flatnonzero(labels == PRESENT)) <= NORMAL_WITH
        assert (NORMAL[site][0] in report) == normal


def test_reports_have_a_usual_length(reports):
    parts = [report.count(", " if site == "B" else ". ") + 1 for _, site, report, _ in reports]
    assert 3.4 < np.mean(parts) < 5
    assert np.mean([2 <= n <= 8 for n in parts]) > 0.9


def test_phrases_are_unambiguous():
    for site in SITES:
        joint = {"A": ". ", "B": ", "}[site]
        plain = [w for finding in FINDINGS.values() for w in finding.statements[site]]
        hedges = [phrase for phrases in STYLE.hedges[site].values() for phrase in phrases]
        denials = [denial.text for denial in STYLE.denials[site]]
        every = [*plain, *hedges, *denials, *NORMAL[site]]
        assert len(set(every)) == len(every)
        assert not any(joint in phrase or phrase.endswith(".") for phrase in every)
    assert report_text.written_states("Sinus rhythm. Possible LVH.", "A") is None
    assert report_text.written_states("sinus rhythm", "a real hospital") is None
    assert report_text.written_states("sinus rhythm, ? lvh, no ectopy", "B") == {
        0: 1,
        12: 2,
        19: 0,
        27: 0,
    }


def test_a_wrong_style_is_refused(tmp_path):
    right = report_text.PATH.read_text(encoding="utf-8")
    for old, new, message in [
        ("usual_wording: 0.75", "usual_wording: 1.75", "rates from 0 to 1, got 1.75"),
        ("[av_block_3, mobitz_2,", "[av_block_3, afib,", "afib is in two classes"),
        (
            "[av_block_3, mobitz_2,",
            "[av_block_3, mobitz_3,",
            "got 'mobitz_3'; do you mean mobitz_2",
        ),
        ("[av_block_3, mobitz_2,", "[av_block_3, regular,", "findings.yaml words, got regular"),
        ("    lv_paced: [", "    delta_wave: [preexcitation]\n    lv_paced: [", "imply each other"),
    ]:
        assert old in right
        path = tmp_path / "style.yaml"
        path.write_text(right.replace(old, new), encoding="utf-8")
        with pytest.raises(ValueError, match=message):
            report_text.load(path)
