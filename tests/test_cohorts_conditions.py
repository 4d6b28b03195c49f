"""Prevalences, exclusions, repeated ECGs and reports of the simulated patients with conditions."""

import numpy as np
import pytest

from ecglib.cohorts import build
from ecglib.figures import ecg_leads
from ecglib.labels import label_set
from ecglib.labels.findings import FINDINGS, GROUPS, TRIVIAL
from ecglib.labels.full_report import full_report
from ecglib.labels.label_set import ABSENT, NOT_ASSESSABLE, PRESENT
from ecglib.labels.labeller import read_findings
from ecglib.simulator import (
    conditions,
    labels_from_heart,
    patients,
    sample_heart,
)
from ecglib.simulator.condition_effects import EFFECTS
from ecglib.simulator.waveform import simulate


def drawn(kind: str, number: int, seed: int = 0) -> tuple[list[frozenset], np.ndarray]:
    """Conditions and labels of people of both hospitals, without signals."""
    has, found = [], []
    for index in range(number):
        rng = np.random.default_rng([seed, index])
        person = sample_heart.draw_person("AB"[index % 2], kind, rng)
        has.append(person.conditions)
        found.append(
            labels_from_heart.labels_of(sample_heart.draw_state(person, person.conditions, rng))
        )
    return has, np.stack(found)


def test_every_condition_changes_the_heart_and_excludes_with_a_reason():
    assert set(EFFECTS) == set(conditions.CONDITIONS)
    table = conditions.clashes()
    assert (table == table.T).all() and not table.diagonal().any()
    assert all(reason for *_, reason in conditions.EXCLUDES)
    assert not conditions.compatible("atrial fibrillation", "Mobitz I")
    assert conditions.compatible("first degree AV block", "right bundle branch block")


@pytest.mark.parametrize("kind", conditions.PREVALENCE)
def test_conditions_come_as_often_as_asked(kind):
    rng = np.random.default_rng(1)
    people = [conditions.draw_conditions(kind, rng) for _ in range(6000)]
    barred = conditions.clashes()
    for has in people[:500]:
        places = [conditions.CONDITIONS.index(name) for name in has]
        assert not barred[np.ix_(places, places)].any()
    share = np.array([[name in has for name in conditions.CONDITIONS] for has in people]).mean(0)
    wanted = conditions.prevalences(kind)
    error = np.sqrt(wanted * (1 - wanted) / len(people)) + 0.06 * wanted
    assert (np.abs(share - wanted) < 4 * error + 1e-4).all()
    assert 0.10 < np.mean([not has for has in people]) < 0.2


def test_enriched_has_cases_of_every_label():
    """15 in the test fifth of 4,000 patients with 5,000 ECGs are 1.5 per cent."""
    _, found = drawn("enriched", 1600)
    share = (found == PRESENT).mean(axis=0)
    assert share.min() > 0.013, label_set.LABELS[int(share.argmin())]
    assert (found == ABSENT).mean(axis=0).min() > 0.015


def test_paper_follows_the_table_of_labels():
    _, found = drawn("paper", 1200)
    share = 100 * (found == PRESENT).mean(axis=0)
    for label in (5, 6, 9, 13, 14, 15, 17, 18, 19, 22, 23, 26, 31, 37, 40, 46, 75):
        assert share[label] == pytest.approx(label_set.PREVALENCE_MHI[label], rel=0.4), label
    assert share[[64, 67, 73, 76]].max() < 0.6


def test_any_patient_can_be_made_alone_and_differs_with_the_prevalence():
    one = patients.patient(3, 17, prevalence="enriched")
    two = patients.patient(3, 17, prevalence="enriched")
    assert [r["signal"].tobytes() for r in one] == [r["signal"].tobytes() for r in two]
    assert [r["report"] for r in one] == [r["report"] for r in two]
    assert patients.patient(3, 17)[0]["signal"].tobytes() == one[0]["signal"].tobytes()
    paper = patients.patient(3, 17, prevalence="paper")[0]["signal"]
    assert one[0]["signal"].shape != paper.shape or (one[0]["signal"] != paper).any()


def test_few_conditions_are_drawn_more_often_and_no_others():
    few = ("left bundle branch block", "atrial fibrillation", "low voltage")
    share = dict(zip(conditions.CONDITIONS, conditions.prevalences("enriched", few), strict=True))
    assert {name for name, value in share.items() if value} == set(few)
    assert set(share.values()) == {0.0, conditions.MOST}  # nothing is raised beyond
    half = conditions.CONDITIONS[::2]
    whole, raised = conditions.prevalences("enriched"), conditions.prevalences("enriched", half)
    assert (raised[::2] > whole[::2]).all() and raised.max() <= conditions.MOST
    assert raised.sum() == pytest.approx(whole.sum(), rel=0.01)
    drawn = [
        conditions.draw_conditions("enriched", np.random.default_rng(i), only=few)
        for i in range(600)
    ]
    assert set().union(*drawn) == set(few)
    found = [sum(name in has for has in drawn) / 600 for name in few]
    assert found == pytest.approx([conditions.MOST] * 3, abs=0.05)
    with pytest.raises(ValueError, match="unknown condition 'flu'"):
        conditions.prevalences("enriched", ("flu",))


def test_hospitals_report_only_some_labels():
    of_all = patients.patient(3, 17)
    of_three = patients.patient(3, 17, reported_labels=("sinus_rhythm", "lbbb", "afib"))
    for one, two in zip(of_all, of_three, strict=True):
        assert one["signal"].tobytes() == two["signal"].tobytes()
        reported = np.isin(np.arange(77), (0, 6, 15))
        assert (two["labels"][reported] == one["labels"][reported]).all()
        assert (two["labels"][~reported] == NOT_ASSESSABLE).all()
    reports = [
        r["report"] for r in patients.patients(40, 5, reported_labels=("sinus_rhythm", "afib"))
    ]
    assert all(set(read_findings(report)) <= {0, 15, 16} for report in reports)
    with pytest.raises(ValueError, match="got 77; choose"):
        patients.patient(0, 0, reported_labels=(77,))
    with pytest.raises(ValueError, match=r"reported_labels`: .* 'afibb'; do you mean afib"):
        build.check({"patients": 2, "reported_labels": ["afibb"]}, {})


def test_repeated_ecgs_keep_what_is_chronic():
    chronic = {"left bundle branch block", "atrial fibrillation", "left atrial enlargement"}
    acute = {"acute inferior infarction", "sinus tachycardia", "premature ventricular complexes"}
    for seed in range(20):
        rng = np.random.default_rng(seed)
        assert sample_heart.conditions_later(frozenset(chronic), rng) == chronic
        after = sample_heart.conditions_later(frozenset(acute), rng)
        assert after <= acute | {"inferior Q waves"}
        assert ("inferior Q waves" in after) == ("acute inferior infarction" not in after)
    person = sample_heart.draw_person("A", "enriched", np.random.default_rng(5))
    first, second = (
        sample_heart.draw_state(
            person, frozenset({"left bundle branch block"}), np.random.default_rng(i)
        )
        for i in range(2)
    )
    assert first.qrs == second.qrs and first.voltage == second.voltage
    assert first.rate != second.rate and abs(first.axis - second.axis) < 15


def test_sex_and_build_show():
    tall = {"F": [], "M": []}
    for index in range(400):
        person = sample_heart.draw_person("A", "enriched", np.random.default_rng([2, index]))
        state = sample_heart.draw_state(person, frozenset(), np.random.default_rng([3, index]))
        tall[person.sex].append((state.qrs, state.qtc, state.voltage))
    woman, man = (np.mean(tall[sex], axis=0) for sex in "FM")
    assert woman[0] < man[0] and woman[1] > man[1] and woman[2] < man[2]


@pytest.mark.parametrize(
    ("condition", "present", "hidden"),
    [
        ("left bundle branch block", 6, 5),
        ("right bundle branch block", 22, 21),
        ("ventricular pacing", 23, 24),
        ("lead misplacement", 67, 11),
        ("standstill", 76, 0),
        ("premature ventricular complexes", 19, 1),
    ],
)
def test_what_hides_another_finding(condition, present, hidden):
    found = labels_from_heart.labels_of(sample_heart.example_heart(condition))
    assert found[present] == PRESENT and found[hidden] == NOT_ASSESSABLE


def test_a_healthy_heart_is_normal():
    found = labels_from_heart.labels_of(sample_heart.example_heart())
    assert [i for i in range(77) if found[i] == PRESENT] == [0, 1, 2]
    assert (found != NOT_ASSESSABLE).all()
    with pytest.raises(ValueError, match="unknown condition 'flu'"):
        sample_heart.example_heart("flu")


def test_every_simulated_label_can_be_stated():
    groups = [GROUPS.index(finding.group) for finding in FINDINGS.values()]
    assert groups == sorted(groups)
    assert set(range(77)) - set(FINDINGS) == TRIVIAL - {0}
    assert len({finding.name for finding in FINDINGS.values()}) == len(FINDINGS)


def test_reports_state_what_is_present():
    found = labels_from_heart.labels_of(sample_heart.example_heart("third degree AV block"))
    report = full_report(found, "A")
    assert "AV block" in report and report.endswith(".")


def test_settings_are_checked():
    config = {"patients": 2, "prevalence": "rare"}
    with pytest.raises(ValueError, match="got 'rare'"):
        build.check(config, {})
    with pytest.raises(ValueError, match="unknown condition 'flu'"):
        build.check({"patients": 2, "conditions": ["flu"]}, {})
    with pytest.raises(ValueError, match="got 'C'"):
        sample_heart.draw_person("C", "paper", np.random.default_rng(0))
    with pytest.raises(ValueError, match="got 'rare'"):
        conditions.prevalences("rare")
    example = build.example({"patients": 3, "prevalence": "enriched"}, {}, 0)
    assert example["processed"].shape == (12, 2500)


def test_a_gallery_draws_each_condition_once():
    signals = {
        name: simulate(sample_heart.example_heart(name), 100, np.random.default_rng(3))
        for name in ("atrial flutter", "Mobitz I", "acute inferior infarction")
    }
    figure = ecg_leads.gallery(signals, 100, columns=2)
    assert sum(bool(axes.lines) for axes in figure.axes) == 3
    with pytest.raises(ValueError, match="unknown lead 'V9'"):
        ecg_leads.gallery(signals, 100, leads=("V9",))
    with pytest.raises(ValueError, match="expected the ECG of"):
        ecg_leads.gallery({"short": np.zeros((12, 10))}, 100)
