"""Simulated patients: conditions and their prevalences, exclusions, repeated ECGs, records."""

import numpy as np
import pytest
from simulated import hearts

from ecglib.cohorts import build
from ecglib.figures import ecg_leads
from ecglib.labels.findings import FINDINGS, full_report
from ecglib.labels.label_set import (
    ABSENT,
    LABELS,
    NOT_ASSESSABLE,
    PRESENT,
    PREVALENCE_MHI,
    Label,
    parse_labels,
)
from ecglib.labels.labeller import read_findings
from ecglib.simulator import conditions, patients, sample_heart
from ecglib.simulator.condition_effects import EFFECTS
from ecglib.simulator.labels_from_heart import labels_of
from ecglib.simulator.sample_heart import example_heart
from ecglib.simulator.waveform import simulate


def test_every_condition_has_an_effect_and_excludes_with_a_reason():
    assert all(entry["why"] for entry in conditions.EXCLUSIONS["exclusions"])
    with pytest.raises(ValueError, match="set, got 'flu'"):
        conditions._members(["flu"])
    assert set(EFFECTS) == set(conditions.CONDITIONS)
    table = conditions.clashes()
    assert (table == table.T).all() and not table.diagonal().any()
    assert not conditions.compatible("atrial fibrillation", "Mobitz I")
    assert conditions.compatible("first degree AV block", "right bundle branch block")


@pytest.mark.parametrize("kind", conditions.PREVALENCE)
def test_conditions_have_the_requested_prevalence(kind):
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
    labels = np.stack([heart.labels for heart in hearts("enriched", 1200)])
    share = (labels == PRESENT).mean(axis=0)
    assert share.min() > 0.013, LABELS[int(share.argmin())]
    assert (labels == ABSENT).mean(axis=0).min() > 0.015


def test_paper_follows_the_table_of_labels():
    share = 100 * np.mean([heart.labels == PRESENT for heart in hearts("paper", 800)], axis=0)
    slugs = "lbbb t_inversion_inferior t_inversion_lateral bradycardia q_wave_inferior afib pvc"
    slugs += " atrial_tachycardia ivcd rbbb ventricular_paced av_block_1 lafb low_voltage long_qt"
    slugs += " left_atrial_enlargement ventricular_rhythm"
    for label in parse_labels(slugs.split(), "here"):
        assert share[label] == pytest.approx(PREVALENCE_MHI[label], rel=0.4), label
    rare = "ventricular_tachycardia lead_misplacement lv_paced no_qrs"
    assert share[list(parse_labels(rare.split(), "here"))].max() < 0.6


def test_labels_exclude_and_imply_each_other():
    labels = np.stack([heart.labels for heart in hearts("enriched", 1200)])
    has = {label: labels[:, label] == PRESENT for label in Label}
    for one, other in (
        (Label.LBBB, Label.RBBB),
        (Label.AFIB, Label.AV_BLOCK_1),
        (Label.LEFT_AXIS, Label.RIGHT_AXIS),
        (Label.SINUS_RHYTHM, Label.AFIB),
    ):
        assert not (has[one] & has[other]).any()
    assert (has[Label.LEFT_AXIS] | ~has[Label.LAFB]).all()
    hidden = "t_inversion_inferior t_inversion_lateral t_inversion_anterior lvh q_wave_inferior"
    hidden += " st_elevation_anterior st_elevation_inferior"
    hidden = list(parse_labels(hidden.split(), "here"))
    assert (labels[has[Label.LBBB]][:, hidden] == NOT_ASSESSABLE).all()


def test_few_conditions_are_drawn_more_often_and_no_others():
    few = ("left bundle branch block", "atrial fibrillation", "low voltage")
    share = dict(zip(conditions.CONDITIONS, conditions.prevalences("enriched", few), strict=True))
    assert {name for name, value in share.items() if value} == set(few)
    assert set(share.values()) == {0.0, conditions.MOST}  # nothing is raised beyond
    half = conditions.CONDITIONS[::2]
    whole, raised = conditions.prevalences("enriched"), conditions.prevalences("enriched", half)
    assert (raised[::2] > whole[::2]).all() and raised.max() <= conditions.MOST
    assert raised.sum() == pytest.approx(whole.sum(), rel=0.01)
    rngs = [np.random.default_rng(i) for i in range(600)]
    drawn = [conditions.draw_conditions("enriched", rng, only=few) for rng in rngs]
    assert set().union(*drawn) == set(few)
    shares = [sum(name in has for has in drawn) / 600 for name in few]
    assert shares == pytest.approx([conditions.MOST] * 3, abs=0.05)


def test_a_hospital_that_reports_only_some_labels():
    slugs = ("sinus_rhythm", "lbbb", "afib")
    reported = np.isin(np.arange(77), parse_labels(slugs, "here"))
    of_all, of_three = patients.patient(3, 17), patients.patient(3, 17, reported_labels=slugs)
    for one, two in zip(of_all, of_three, strict=True):
        assert one["signal"].tobytes() == two["signal"].tobytes()
        assert (two["labels"][reported] == one["labels"][reported]).all()
        assert (two["labels"][~reported] == NOT_ASSESSABLE).all()
    records = patients.patients(40, 5, reported_labels=("sinus_rhythm", "afib"))
    stated = {label for record in records for label in read_findings(record["report"])}
    assert stated <= {Label.SINUS_RHYTHM, Label.AFIB}


def test_repeated_ecgs_keep_chronic_conditions():
    chronic = {"left bundle branch block", "atrial fibrillation", "left atrial enlargement"}
    acute = {"acute inferior infarction", "sinus tachycardia", "premature ventricular complexes"}
    for seed in range(20):
        rng = np.random.default_rng(seed)
        assert sample_heart.conditions_later(frozenset(chronic), rng) == chronic
        after = sample_heart.conditions_later(frozenset(acute), rng)
        assert after <= acute | {"inferior Q waves"}
        assert ("inferior Q waves" in after) == ("acute inferior infarction" not in after)
    person = sample_heart.draw_person("A", "enriched", np.random.default_rng(5))
    block = frozenset({"left bundle branch block"})
    first, second = (
        sample_heart.draw_state(person, block, np.random.default_rng(i)) for i in range(2)
    )
    assert first.qrs == second.qrs and first.voltage == second.voltage
    assert first.rate != second.rate and abs(first.axis - second.axis) < 15


def test_sex_and_build_show():
    sizes = {"F": [], "M": []}
    for index in range(400):
        person = sample_heart.draw_person("A", "enriched", np.random.default_rng([2, index]))
        state = sample_heart.draw_state(person, frozenset(), np.random.default_rng([3, index]))
        sizes[person.sex].append((state.qrs, state.qtc, state.voltage))
    woman, man = (np.mean(sizes[sex], axis=0) for sex in "FM")
    assert woman[0] < man[0] and woman[1] > man[1] and woman[2] < man[2]


@pytest.mark.parametrize(
    ("condition", "present", "hidden"),
    [
        ("left bundle branch block", Label.LBBB, Label.T_INVERSION_INFERIOR),
        ("right bundle branch block", Label.RBBB, Label.T_INVERSION_SEPTAL),
        ("ventricular pacing", Label.VENTRICULAR_PACED, Label.ST_ELEVATION_ANTERIOR),
        ("lead misplacement", Label.LEAD_MISPLACEMENT, Label.LEFT_AXIS),
        ("standstill", Label.NO_QRS, Label.SINUS_RHYTHM),
        ("premature ventricular complexes", Label.PVC, Label.REGULAR),
    ],
)
def test_a_finding_can_hide_another_one(condition, present, hidden):
    labels = labels_of(example_heart(condition))
    assert labels[present] == PRESENT and labels[hidden] == NOT_ASSESSABLE
    assert FINDINGS[present].statements["A"][0] in full_report(labels, "A")


def test_a_healthy_heart_is_normal():
    labels = labels_of(example_heart())
    normal = [Label.SINUS_RHYTHM, Label.REGULAR, Label.MONOMORPHIC]
    assert np.flatnonzero(labels == PRESENT).tolist() == normal
    assert (labels != NOT_ASSESSABLE).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: build.check({"patients": 2, "prevalence": "rare"}, {}), "got 'rare'"),
        (lambda: build.check({"patients": 2, "conditions": ["flu"]}, {}), "condition 'flu'"),
        (
            lambda: build.check({"patients": 2, "reported_labels": ["afibb"]}, {}),
            r"reported_labels`: .* 'afibb'; do you mean afib",
        ),
        (lambda: conditions.prevalences("enriched", ("flu",)), "condition 'flu'"),
        (lambda: sample_heart.draw_person("C", "paper", np.random.default_rng(0)), "got 'C'"),
        (lambda: example_heart("flu"), "condition 'flu'"),
        (lambda: patients.patient(0, 0, sites=("C",)), "expected hospitals"),
        (lambda: patients.patient(0, 0, reported_labels=(77,)), "got 77; choose"),
    ],
)
def test_unknown_names_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_an_example_is_processed():
    example = build.example({"patients": 3, "prevalence": "enriched"}, {}, 0)
    assert example["processed"].shape == (12, 2500)


def test_any_patient_can_be_simulated_alone():
    """The same bytes and texts alone, among others and from any start; others elsewhere."""
    together = list(patients.patients(6, seed=4))
    alone = patients.patient(4, 5)
    for one, two in zip(together[-len(alone) :], alone, strict=True):
        assert one["signal"].tobytes() == two["signal"].tobytes()
        assert one["report"] == two["report"] and one["ecg_id"] == two["ecg_id"]
    later = [record["ecg_id"] for record in patients.patients(3, seed=4, start=3)]
    assert later == [record["ecg_id"] for record in together][-len(later) :]
    signal = alone[0]["signal"]
    for other in (patients.patient(5, 5), patients.patient(4, 5, prevalence="paper")):
        assert other[0]["signal"].shape != signal.shape or (other[0]["signal"] != signal).any()


def test_records_of_both_hospitals():
    records = list(patients.patients(40, seed=0))
    assert {record["site"] for record in records} == {"A", "B"}
    for record in records:
        assert record["signal"].shape == (12, 10 * record["rate"])
        assert record["signal"].dtype == np.float32 and record["labels"].shape == (77,)
        assert record["rate"] == {"A": 500, "B": 400}[record["site"]]
        assert np.abs(record["signal"]).max() < 8 and record["verified"] is True
    assert {record["site"] for record in patients.patients(5, 0, sites=("B",))} == {"B"}


def test_a_figure_shows_each_condition_once():
    signals = {
        name: simulate(example_heart(name), 100, np.random.default_rng(3))
        for name in ("atrial flutter", "Mobitz I", "acute inferior infarction")
    }
    figure = ecg_leads.gallery(signals, 100, columns=2)
    assert sum(bool(axes.lines) for axes in figure.axes) == 3
    with pytest.raises(ValueError, match="unknown lead 'V9'"):
        ecg_leads.gallery(signals, 100, leads=("V9",))
    with pytest.raises(ValueError, match="expected the ECG of"):
        ecg_leads.gallery({"short": np.zeros((12, 10))}, 100)
