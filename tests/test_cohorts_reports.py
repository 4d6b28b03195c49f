"""Simulated reports: what is said, doubted, denied and left out, at the rates of the style file."""

import numpy as np
import pytest

from ecglib.labels.findings import FINDINGS, NORMAL, NORMAL_WITH, SITES
from ecglib.labels.full_report import full_report, present_findings
from ecglib.labels.label_set import ABSENT, NOT_ASSESSABLE, PRESENT, UNCERTAIN
from ecglib.labels.labeller import read, read_findings
from ecglib.simulator import patients, report_style, report_text, sample_heart
from ecglib.simulator.labels_from_heart import labels_of
from ecglib.simulator.report_style import STYLE

RHYTHMS = {0, 15, 28, 17, 66, 50, 39, 64, 75, 76, 23, 73, 42}
# What a finding cannot be without: its words state both.
INCLUDES = {60, 23}


@pytest.fixture(scope="module")
def reports():
    """(labels, site, text, what was written) of 3,200 reports on 800 hearts."""
    found = []
    for index in range(800):
        rng = np.random.default_rng([5, index])
        site = "AB"[index % 2]
        person = sample_heart.draw_person(site, "enriched", rng)
        labels = labels_of(sample_heart.draw_state(person, person.conditions, rng))
        for _ in range(4):
            report = report_text.compose(labels, site, rng)
            found.append((labels, site, report, report_text.written_states(report, site)))
    return found


def close(hits: list[bool], rate: float) -> bool:
    """Within four standard errors of a binomial share."""
    assert len(hits) > 50
    return abs(np.mean(hits) - rate) <= 4 * np.sqrt(rate * (1 - rate) / len(hits))


def test_a_report_says_nothing_untrue(reports):
    for labels, _, report, said in reports:
        assert all(labels[i] == (ABSENT if s == ABSENT else PRESENT) for i, s in said.items())
        assert report and RHYTHMS & {i for i, s in said.items() if s == PRESENT}


def test_the_labeller_reads_what_was_written(reports):
    for labels, _, report, said in reports:
        back = read_findings(report)
        # A doubt about what another statement includes leaves it present.
        differ = {i for i, state in said.items() if back.get(i) != state}
        assert differ <= INCLUDES and {back.get(i) for i in differ} <= {PRESENT}, report
        more = set(back) - set(said)
        assert more <= INCLUDES, report
        assert {labels[i] for i in more} <= {PRESENT, NOT_ASSESSABLE}, report
        assert read(report).understood, report


def test_complete_reports_state_everything_and_are_read_so(reports):
    for labels, site, *_ in reports[::4]:
        there = set(present_findings(labels))
        for full in (full_report(labels, site), full_report(labels)):
            back = read_findings(full)
            assert set(back.values()) <= {PRESENT}
            assert set(back) >= there and set(back) - there <= INCLUDES, full


def test_findings_are_left_out_at_the_stated_rates(reports):
    by_rate: dict[float, list[bool]] = {}
    told = []
    for labels, _, _, said in reports:
        there = set(present_findings(labels))
        for label in there:
            by = there.intersection(STYLE.implied_by.get(label, ()))
            if not by:
                by_rate.setdefault(STYLE.omitted[label], []).append(label not in said)
            elif all(STYLE.omitted[one] == 0 for one in by):
                # named where it is seen and does not go without saying
                told.append(label in said)
                expected = (1 - STYLE.omitted[label]) * (1 - STYLE.implied_omitted)
                by_rate.setdefault(1 - expected, []).append(label not in said)
    assert len(by_rate) > 4 and len(told) > 200
    for rate, left_out in by_rate.items():
        assert close(left_out, rate), rate


def test_what_drives_the_heart_is_never_left_out_but_for_another_rhythm():
    assert all(STYLE.omitted[label] == 0 for label in RHYTHMS)
    implied = {label: set(by) for label, by in STYLE.implied_by.items() if label in RHYTHMS}
    assert implied == {75: {64}, 23: {73}}


def test_doubts_and_usual_wordings_come_at_the_stated_rates(reports):
    doubted, usual = [], []
    for _, site, report, said in reports:
        parts = report.removesuffix(".").split(", " if site == "B" else ". ")
        for label, state in said.items():
            if label in STYLE.hedges[site] and state != ABSENT:
                doubted.append(state == UNCERTAIN)
            wordings = FINDINGS[label].statements[site]
            if state == PRESENT and len(wordings) > 1:
                usual.append(wordings[0] in parts)
    assert close(doubted, STYLE.hedged) and close(usual, STYLE.usual)


def test_rhythm_pacing_and_extra_beats_are_never_doubted(reports):
    plain = {label for label, finding in FINDINGS.items() if finding.group == "rhythm"}
    for _, _, _, said in reports:
        assert not any(state == UNCERTAIN and label in plain for label, state in said.items())


def test_negatives_come_at_the_stated_rate_and_one_at_most(reports):
    denied = []
    for labels, site, report, said in reports:
        possible = [
            denial
            for denial in STYLE.denials[site]
            if all(labels[i] == ABSENT for i in denial.labels)
            and all(labels[i] == PRESENT for i in denial.needs)
        ]
        if possible:
            denied.append(ABSENT in said.values())
        made = [denial for denial in possible if denial.text in report]
        assert len(made) == (ABSENT in said.values())
    assert close(denied, STYLE.denied)


def test_normal_is_said_of_every_normal_heart_and_of_no_other(reports):
    for labels, site, report, _ in reports:
        normal = set(np.flatnonzero(labels == PRESENT)) <= NORMAL_WITH
        assert (NORMAL[site][0] in report) == normal


def test_reports_have_a_usual_length(reports):
    parts = [report.count(", " if site == "B" else ". ") + 1 for _, site, report, _ in reports]
    assert 3.4 < np.mean(parts) < 5
    assert np.mean([2 <= n <= 8 for n in parts]) > 0.9


def test_same_seed_same_reports():
    once, again = (
        [r["report"] for i in range(6) for r in patients.patient(3, i, prevalence="enriched")]
        for _ in range(2)
    )
    assert once == again
    alone = patients.patient(3, 5, prevalence="enriched")
    assert [record["report"] for record in alone] == once[-len(alone) :]


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
    right = report_style.PATH.read_text(encoding="utf-8")
    for old, new, says in [
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
        with pytest.raises(ValueError, match=says):
            report_style.load(path)
