"""Simulated patients: their conditions, repeated ECGs, records, and the text of their reports.

Reports state, hedge, deny and omit findings at the rates of report_style.yaml."""

import numpy as np
import pytest
from builds import read_findings, refused
from simulated import hearts

from ecglib.cohorts import build
from ecglib.figures import ecg_leads
from ecglib.labels import findings, label_set
from ecglib.labels.findings import FINDINGS, NORMAL, SEPARATORS, SITES, full_report
from ecglib.labels.label_set import ABSENT, NOT_ASSESSABLE, PRESENT, UNCERTAIN, Label, parse_labels
from ecglib.labels.labeller import read
from ecglib.simulator import conditions, patients, report_text, sample_heart
from ecglib.simulator.condition_effects import EFFECTS
from ecglib.simulator.labels_from_heart import labels_of
from ecglib.simulator.report_text import STYLE
from ecglib.simulator.sample_heart import draw_state, example_heart
from ecglib.simulator.waveform import simulate

RHYTHMS = "sinus_rhythm afib atrial_flutter atrial_tachycardia svt ectopic_atrial_rhythm no_qrs"
RHYTHMS += " junctional_rhythm ventricular_tachycardia ventricular_rhythm ventricular_paced"
RHYTHMS = set(parse_labels((RHYTHMS + " lv_paced atrial_paced").split(), "here"))
# Other wordings include these findings.
INCLUDED = {Label.Q_WAVE_SEPTAL, Label.VENTRICULAR_PACED}


def parse(slugs: str) -> list[Label]:
    return list(parse_labels(slugs.split(), "here"))


def test_every_condition_has_an_effect_and_excludes_with_a_reason():
    assert all(entry["why"] for entry in conditions.EXCLUSIONS["exclusions"])
    assert set(EFFECTS) == set(conditions.CONDITIONS)
    table = conditions.clashes()
    assert (table == table.T).all() and not table.diagonal().any()
    assert not conditions.compatible("atrial fibrillation", "Mobitz I")
    assert conditions.compatible("first degree AV block", "right bundle branch block")


@pytest.mark.parametrize("kind", conditions.PREVALENCE)
def test_conditions_have_the_requested_prevalence(kind):
    rng = np.random.default_rng(1)
    people = [conditions.draw_conditions(kind, rng) for _ in range(6000)]
    has = np.array([[name in drawn for name in conditions.CONDITIONS] for drawn in people])
    assert not any(conditions.clashes(kind)[np.ix_(one, one)].any() for one in has[:500])
    wanted = conditions.prevalences(kind)
    error = np.sqrt(wanted * (1 - wanted) / len(people)) + 0.06 * wanted
    assert (np.abs(has.mean(0) - wanted) < 4 * error + 1e-4).all()
    assert 0.10 < (~has.any(axis=1)).mean() < 0.2


def test_enriched_has_cases_of_every_label_and_no_contradictions():
    """15 in the test fifth of 4,000 patients with 5,000 ECGs are 1.5 per cent."""
    labels = np.stack([labels for *_, labels in hearts("enriched")])
    has = labels.T == PRESENT
    for pair in ("lbbb rbbb", "afib av_block_1", "left_axis right_axis", "sinus_rhythm afib"):
        assert not has[parse(pair)].all(axis=0).any()
    assert (has[Label.LEFT_AXIS] | ~has[Label.LAFB]).all()
    share = has.mean(axis=1)
    assert share.min() > 0.013, label_set.LABELS[int(share.argmin())]
    assert (labels == ABSENT).mean(axis=0).min() > 0.015


def test_paper_follows_the_table_of_labels():
    share = 100 * np.mean([labels == PRESENT for *_, labels in hearts("paper")], axis=0)
    slugs = "lbbb t_inversion_inferior t_inversion_lateral bradycardia q_wave_inferior afib pvc"
    slugs += " atrial_tachycardia ivcd rbbb ventricular_paced av_block_1 lafb low_voltage long_qt"
    slugs += " left_atrial_enlargement ventricular_rhythm"
    for label in parse(slugs):
        assert share[label] == pytest.approx(label_set.PREVALENCE_MHI[label], rel=0.4), label
    assert share[parse("ventricular_tachycardia lead_misplacement lv_paced no_qrs")].max() < 0.6


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
    slugs = ("sinus_rhythm", "afib")
    reported = np.isin(np.arange(77), parse_labels(slugs, "here"))
    limited = patients.patients(20, 5, reported_labels=slugs)
    for one, two in zip(patients.patients(20, 5), limited, strict=True):
        assert one["signal"].tobytes() == two["signal"].tobytes()
        assert (two["labels"][reported] == one["labels"][reported]).all()
        assert (two["labels"][~reported] == NOT_ASSESSABLE).all()
        assert set(read_findings(two["report"])) <= {Label.SINUS_RHYTHM, Label.AFIB}


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
    first, second = (draw_state(person, block, np.random.default_rng(i)) for i in range(2))
    assert first.qrs == second.qrs and first.voltage == second.voltage
    assert first.rate != second.rate and abs(first.axis - second.axis) < 15


def test_sex_and_build_show():
    sizes = {"F": [], "M": []}
    for index in range(400):
        person = sample_heart.draw_person("A", "enriched", np.random.default_rng([2, index]))
        state = draw_state(person, frozenset(), np.random.default_rng([3, index]))
        sizes[person.sex].append((state.qrs, state.qtc, state.voltage))
    woman, man = (np.mean(sizes[sex], axis=0) for sex in "FM")
    assert woman[0] < man[0] and woman[1] > man[1] and woman[2] < man[2]


@pytest.mark.parametrize(
    ("condition", "present", "hidden"),
    [
        ("left bundle branch block", Label.LBBB, "t_inversion_inferior lvh q_wave_inferior"),
        ("right bundle branch block", Label.RBBB, "t_inversion_septal"),
        ("ventricular pacing", Label.VENTRICULAR_PACED, "st_elevation_anterior"),
        ("lead misplacement", Label.LEAD_MISPLACEMENT, "left_axis"),
        ("standstill", Label.NO_QRS, "sinus_rhythm"),
        ("premature ventricular complexes", Label.PVC, "regular"),
    ],
)
def test_a_finding_can_hide_another_one(condition, present, hidden):
    labels = labels_of(example_heart(condition))
    assert labels[present] == PRESENT and (labels[parse(hidden)] == NOT_ASSESSABLE).all()
    assert FINDINGS[present].statements["A"][0] in full_report(labels, "A")


def test_a_healthy_heart_and_its_report_are_normal():
    labels = labels_of(example_heart())
    assert np.flatnonzero(labels == PRESENT).tolist() == parse("sinus_rhythm regular monomorphic")
    assert (labels != NOT_ASSESSABLE).all()
    assert full_report(labels) == "Sinus rhythm. Normal ECG."
    assert "normal ecg" in report_text.compose(labels, "B", np.random.default_rng(0))
    assert "normal" not in report_text.compose(labels, "B", np.random.default_rng(0), normal=False)
    refused(r"hospital of .*'C'", report_text.compose, labels, "C", np.random.default_rng(0))


def test_unknown_names_are_refused():
    refused("got 'rare'", build.check, {"patients": 2, "prevalence": "rare"}, {})
    refused("condition 'flu'", build.check, {"patients": 2, "conditions": ["flu"]}, {})
    refused("factor of 0 or more", build.check, {"patients": 2, "noise": "low"}, {})
    mistyped = {"patients": 2, "reported_labels": ["afibb"]}
    refused(r"reported_labels`: .* 'afibb'; do you mean afib", build.check, mistyped, {})
    refused("got 'C'", sample_heart.draw_person, "C", "paper", np.random.default_rng(0))
    refused("condition 'flu'", example_heart, "flu")
    refused("expected hospitals", patients.patient, 0, 0, sites=("C",))
    refused("set, got 'flu'", conditions._members, ["flu"])


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


def test_noise_scales_with_its_factor_and_nothing_else_changes():
    """The noise that is added at a factor of 2 is twice that at 1, but for the roundings."""
    for index in range(4):
        quiet, usual, loud = (patients.patient(4, index, noise=noise)[0] for noise in (0, 1.0, 2))
        step = {500: 0.001, 400: 0.00488}[usual["rate"]]
        added, twice = (one["signal"] - quiet["signal"] for one in (usual, loud))
        assert np.abs(twice - 2 * added).max() < 3 * step and added.std() > 0.003
        assert quiet["report"] == loud["report"] and (quiet["labels"] == loud["labels"]).all()
    settings = {"patients": 1, "prevalence": "enriched", "noise": 2}
    loud = patients.patient(0, 0, noise=2)[0]["signal"]
    assert (build.example(settings, {}, 0)["raw"] == loud).all()


def test_records_of_both_hospitals():
    records = list(patients.patients(12, seed=0))
    assert {record["site"] for record in records} == {"A", "B"}
    for record in records:
        assert record["signal"].shape == (12, 10 * record["rate"])
        assert record["signal"].dtype == np.float32 and record["labels"].shape == (77,)
        assert record["rate"] == {"A": 500, "B": 400}[record["site"]]
        assert np.abs(record["signal"]).max() < 8 and record["verified"] is True
    assert {record["site"] for record in patients.patients(5, 0, sites=("B",))} == {"B"}
    example = build.example({"patients": 3, "prevalence": "enriched"}, {}, 0)
    assert example["processed"].shape == (12, 2500)


def test_a_figure_shows_each_condition_once():
    names = ("atrial flutter", "Mobitz I", "acute inferior infarction")
    signals = {n: simulate(example_heart(n), 100, np.random.default_rng(3)) for n in names}
    figure = ecg_leads.gallery(signals, 100, columns=2)
    assert sum(bool(axes.get_title("left")) for axes in figure.axes) == 3
    refused("unknown lead 'V9'", ecg_leads.gallery, signals, 100, leads=("V9",))
    refused("expected the ECG of", ecg_leads.gallery, {"short": np.zeros((12, 10))}, 100)


@pytest.fixture(scope="module")
def reports():
    """(labels, site, text, states that the writer put down) of 3,200 reports on 800 hearts."""
    texts = []
    for index, (site, _, labels) in enumerate(hearts("enriched")[:500] + hearts("graded")[:300]):
        rng = np.random.default_rng([5, index])
        for _ in range(4):
            report = report_text.compose(labels, site, rng)
            texts.append((labels, site, report, report_text.written_states(report, site)))
    return texts


def close(hits: list[bool], rate: float) -> bool:
    """Within four standard errors of a binomial share."""
    assert len(hits) > 50
    return abs(np.mean(hits) - rate) <= 4 * np.sqrt(rate * (1 - rate) / len(hits))


def test_a_report_says_nothing_untrue_and_is_read_as_written(reports):
    for labels, site, report, states in reports:
        assert all(labels[i] == (ABSENT if s == ABSENT else PRESENT) for i, s in states.items())
        assert report and RHYTHMS & {i for i, s in states.items() if s == PRESENT}
        normal = set(np.flatnonzero(labels == PRESENT)) <= findings.NORMAL_WITH
        assert (NORMAL[site][0] in report) == normal
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
        present = set(findings.present_findings(labels))
        for report in (full_report(labels, site), full_report(labels)):
            read_back = read_findings(report)
            assert set(read_back.values()) <= {PRESENT}, report
            assert set(read_back) >= present and set(read_back) - present <= INCLUDED, report
            # A wording may include what the waveform hides.
            assert {labels[i] for i in read_back} <= {PRESENT, NOT_ASSESSABLE}, report


def test_findings_are_omitted_at_the_stated_rates(reports):
    by_rate: dict[float, list[bool]] = {}
    implied = 0
    for labels, _, _, states in reports:
        present = set(findings.present_findings(labels))
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


def test_a_rhythm_is_never_doubted_and_omitted_only_if_another_one_implies_it():
    assert all(STYLE.omitted[label] == 0 for label in RHYTHMS)
    implied = {label: set(by) for label, by in STYLE.implied_by.items() if label in RHYTHMS}
    assert implied == {
        Label.VENTRICULAR_RHYTHM: {Label.VENTRICULAR_TACHYCARDIA},
        Label.VENTRICULAR_PACED: {Label.LV_PACED},
    }
    assert "rhythm" not in {FINDINGS[label].group for site in SITES for label in STYLE.hedges[site]}


def test_doubts_wordings_and_negatives_come_at_the_stated_rates(reports):
    doubted, usual, denied = [], [], []
    for labels, site, report, states in reports:
        parts = report.removesuffix(".").split(SEPARATORS[site])
        for label, state in states.items():
            if label in STYLE.hedges[site] and state != ABSENT:
                doubted.append(state == UNCERTAIN)
            wordings = FINDINGS[label].statements[site]
            if state == PRESENT and len(wordings) > 1:
                usual.append(wordings[0] in parts)
        possible = [
            denial.text
            for denial in STYLE.denials[site]
            if all(labels[i] == ABSENT for i in denial.labels)
            and all(labels[i] == PRESENT for i in denial.needs)
        ]
        denied += [ABSENT in states.values()] * bool(possible)
        assert sum(text in parts for text in possible) == (ABSENT in states.values())  # at most one
    assert close(doubted, STYLE.hedged) and close(usual, STYLE.usual)
    assert close(denied, STYLE.denied)


def test_phrases_are_unambiguous():
    for site in SITES:
        every = [w for finding in FINDINGS.values() for w in finding.statements[site]]
        every += [phrase for phrases in STYLE.hedges[site].values() for phrase in phrases]
        every += [denial.text for denial in STYLE.denials[site]] + list(NORMAL[site])
        assert len(set(every)) == len(every)
        assert not any(SEPARATORS[site] in phrase or phrase.endswith(".") for phrase in every)
    assert report_text.written_states("Sinus rhythm. Possible LVH.", "A") is None
    assert report_text.written_states("sinus rhythm", "a real hospital") is None
    states = {Label.SINUS_RHYTHM: PRESENT, Label.LVH: UNCERTAIN}
    states |= {Label.PVC: ABSENT, Label.PAC: ABSENT}
    assert report_text.written_states("sinus rhythm, ? lvh, no ectopy", "B") == states


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("usual_wording: 0.75", "usual_wording: 1.75", "rates from 0 to 1, got 1.75"),
        ("[av_block_3, mobitz_2,", "[av_block_3, afib,", "afib is in two classes"),
        ("[av_block_3, mobitz_2,", "[av_block_3, mobitz_3,", "'mobitz_3'; do you mean mobitz_2"),
        ("[av_block_3, mobitz_2,", "[av_block_3, regular,", "findings.yaml words, got regular"),
        ("    lv_paced: [", "    delta_wave: [preexcitation]\n    lv_paced: [", "imply each other"),
    ],
)
def test_a_wrong_style_is_refused(tmp_path, old, new, message):
    right = report_text.PATH.read_text(encoding="utf-8")
    assert old in right
    (tmp_path / "style.yaml").write_text(right.replace(old, new), encoding="utf-8")
    refused(message, report_text.load, tmp_path / "style.yaml")
