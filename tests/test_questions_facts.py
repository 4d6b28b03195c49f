"""questions.yaml asks about every label, and the states of its options follow by hand."""

import re

import fake_questions
import numpy as np
import pandas as pd
import pytest

from ecglib.labels import label_set
from ecglib.labels.findings import FINDINGS
from ecglib.labels.label_set import HISTORY, LABELS, Label, column
from ecglib.questions import question_book
from ecglib.questions.facts import GroupFacts, group_facts, without_rare_options
from ecglib.questions.question_book import BOOK, GROUPS, TERRITORY_LEADS, TYPES, fill_wording
from ecglib.signals.leads import LEADS

OF_KIND = {kind: [g for g in GROUPS.values() if g.kind == kind] for kind in question_book.KINDS}
NAMES = [(int(o.key), o.name) for group in OF_KIND["labels"] for o in group.options]
YES, NO, UNSURE = label_set.PRESENT, label_set.ABSENT, label_set.UNCERTAIN
SILENT = label_set.NOT_ASSESSABLE
LBBB, RBBB, AFIB, AV_BLOCK = map(column, (Label.LBBB, Label.RBBB, Label.AFIB, Label.AV_BLOCK_1))


def test_attributes_and_labels_all_have_questions_or_a_reason_why_not():
    attributes, not_asked = question_book.ATTRIBUTES, question_book.NOT_ASKED
    assert " ".join(attributes) == "diagnosis rhythm form axis intervals leads noise stage"
    assert {group.attribute for group in GROUPS.values()} == set(attributes)
    assert sorted([*(label for label, _ in NAMES), *not_asked]) == list(range(len(LABELS)))
    assert all(len(reason) > 10 for reason in not_asked.values())


@pytest.mark.parametrize("group", GROUPS.values(), ids=lambda group: group.name)
def test_wordings_are_several_different_and_complete(group):
    for kind in TYPES:
        texts = group.wordings[kind]
        assert len(texts) >= 2 and len(set(texts)) == len(texts)
        for text in texts:
            assert not re.findall(r"{\w*}", fill_wording(text, a="X", b="Y", leads="Z"))
            assert text[-1] in "?."
    names = [option.name for option in group.options]
    answers = {"yes", "no", "not sure", "both", "none"}
    assert len(set(names)) == len(names) and not set(names) & answers
    assert group.kind == "leads" or not any("," in name for name in names)
    # A query question must not name an answer of its own group.
    assert not any(name in text for name in names for text in group.wordings["query"])


def test_a_finding_has_its_name_of_the_reports():
    """Except for the article that a question needs."""
    plain = {i: re.sub(r"^an? ", "", name) for i, name in NAMES}
    assert {i: FINDINGS[i].name for i in plain} == plain


def test_ranges_of_a_measurement_meet_and_do_not_overlap():
    for group in OF_KIND["range"]:
        ranges = list(group.rule["ranges"].values())
        ends = [limits["to"] for limits in ranges if "to" in limits]
        starts = [limits["from"] for limits in ranges if "from" in limits]
        if "period" in group.rule:
            assert sorted(e % 360 for e in ends) == sorted(s % 360 for s in starts)
            assert sum(ends) - sum(starts) == group.rule["period"] == 360
        else:
            assert sorted(ends) == sorted(starts)
        assert group.rule["margin"] > 0


def test_territories_have_the_leads_of_their_labels():
    leads = sorted(lead for leads in TERRITORY_LEADS.values() for lead in leads)
    assert leads == sorted(set(LEADS) - {"aVR"})
    for group in OF_KIND["leads"]:
        finding = group.rule["finding"].removeprefix("a pathological ")
        options = {option.key: option.name for option in group.options}
        for label, territory in group.rule["labels"].items():
            assert LABELS[label].startswith(f"{finding} ({territory}")
            assert options[territory] == ", ".join(TERRITORY_LEADS[territory])


def test_infarction_stages_have_reasons_and_their_labels_fit():
    for group in OF_KIND["infarction"]:
        territory = group.rule["territory"]
        assert LABELS[group.rule["st"]].startswith(f"ST elevation ({territory}")
        assert LABELS[group.rule["q"]].startswith(f"Q wave ({territory}")
    assert all(signs["reason"] for signs in BOOK["infarction_stages"].values())
    assert all(BOOK["infarction_mimics"].values())


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            '"Is there {a}?"',
            '"Is there?"',
            r"slots \['a'\] in a wording of verify, got 'Is there\?'",
        ),
        ("measurement: pr\n", "measurement: sv1\n", "expected a measurement .* got 'sv1'"),
        ("attribute: axis", "attribute: weather", "expected an attribute .* got 'weather'"),
        ("st: st_elevation_septal", "st: st_elevatoin_septal", "do you mean st_elevation_septal"),
        (
            '\n      - "Is any lead disturbed?"',
            "",
            "group noise: expected two wordings or more for",
        ),
    ],
)
def test_a_wrong_book_is_refused(tmp_path, old, new, message):
    path = tmp_path / "questions.yaml"
    text = question_book.PATH.read_text(encoding="utf-8")
    path.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        question_book._load(path)


def states_of(records: pd.DataFrame, measurements: pd.DataFrame | None, group: str) -> dict:
    """Option -> its states; empty where no option of the group is assessable."""
    for facts in group_facts(records, measurements):
        if facts.group.name == group:
            return {o.key: list(facts.states[:, j]) for j, o in enumerate(facts.options)}
    return {}


def measured(name: str, *values: float, **labels: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """One ECG per value; labels as label_15=PRESENT for all of them."""
    records, measurements = fake_questions.table(len(values))
    measurements[name] = values
    return records.assign(sex="F", **labels), measurements


def test_states_of_labels_are_kept_and_history_is_not_asked():
    records, _ = fake_questions.table(5)
    records[LBBB] = np.array([YES, NO, UNSURE, SILENT, HISTORY], np.int8)
    assert states_of(records, None, "conduction")["06"] == [YES, NO, UNSURE, SILENT, SILENT]


def test_a_label_that_a_source_never_assesses_is_no_option():
    records, measurements = fake_questions.table(3, state=SILENT)
    kinds = {facts.group.kind for facts in group_facts(records, measurements)}
    assert kinds == {"range", "noise"}
    records[column(Label.T_INVERSION_INFERIOR)] = np.array([YES, NO, SILENT], np.int8)
    by_name = {facts.group.name: facts for facts in group_facts(records, measurements)}
    assert [o.key for o in by_name["leads_t_inversion"].options] == ["inferior"]
    assert by_name["leads_t_inversion"].leads == "II, III, aVF"


@pytest.mark.parametrize(
    ("pr", "states"),
    [
        (105.0, [YES, NO, NO]),
        (115.0, [UNSURE, UNSURE, NO]),
        (130.5, [NO, YES, NO]),
        (189.5, [NO, YES, NO]),
        (201.0, [NO, UNSURE, UNSURE]),
        (210.5, [NO, NO, YES]),
        (np.nan, [SILENT, SILENT, SILENT]),
    ],
)
def test_a_pr_interval_near_a_limit_is_uncertain(pr, states):
    by_option = states_of(*measured("pr", pr, 160.0), "pr")
    assert [by_option[key][0] for key in ("short", "usual", "long")] == states


@pytest.mark.parametrize(("afib", "states"), [(YES, None), (UNSURE, None), (NO, [YES])])
def test_no_pr_interval_in_atrial_fibrillation(afib, states):
    assert states_of(*measured("pr", 160.0, **{AFIB: afib}), "pr").get("usual") == states


def test_a_measurement_that_contradicts_a_label_is_not_asked():
    by_option = states_of(*measured("pr", 150.0, 230.0, 204.0, **{AV_BLOCK: YES}), "pr")
    assert by_option["long"] == [SILENT, YES, UNSURE]
    assert states_of(*measured("qrs", 90.0, 150.0, **{RBBB: YES}), "qrs")["wide"] == [SILENT, YES]


def test_qtc_has_the_limit_of_the_sex():
    records, measurements = measured("qtc_fridericia", *[440.0, 459.0, 470.0] * 3)
    records["sex"] = ["F"] * 3 + ["M"] * 3 + [""] * 3
    women, men = (states_of(records, measurements, f"qtc_{s}")["long"] for s in ("women", "men"))
    assert women == [NO, UNSURE, YES] + [SILENT] * 6
    assert men == [SILENT] * 3 + [NO, YES, YES] + [SILENT] * 3


def test_axis_classes_meet_on_the_circle():
    by_option = states_of(*measured("qrs_axis", -60, -30, 0, 92, 130, 178, -178, -120, 180), "axis")
    assert by_option["left"] == [YES, UNSURE, NO, NO, NO, NO, NO, NO, NO]
    assert by_option["normal"] == [NO, UNSURE, YES, UNSURE, NO, NO, NO, NO, NO]
    assert by_option["right"] == [NO, NO, NO, UNSURE, YES, UNSURE, UNSURE, NO, UNSURE]
    assert by_option["extreme"] == [NO, NO, NO, NO, NO, UNSURE, UNSURE, YES, UNSURE]


def test_ranges_are_exclusive_and_one_of_them_fits():
    """One range is present and the others are absent, or two that meet are uncertain."""
    axis = np.linspace(-180, 180, 721)
    records, measurements = measured("qrs_axis", *axis)
    measurements["heart_rate"] = np.linspace(30, 220, 721)
    for group in ("axis", "rate"):
        states = np.array([*states_of(records, measurements, group).values()])
        assert ((states == YES).sum(0) + (states == UNSURE).sum(0) / 2 == 1).all()


def test_without_measurements_no_range_is_asked():
    records, measurements = fake_questions.table(2)
    assert "range" not in {facts.group.kind for facts in group_facts(records)}
    with pytest.raises(ValueError, match="expected measurements of 2 ECGs, got 1"):
        group_facts(records, measurements.iloc[:1])


def test_leads_are_disturbed_clear_or_in_between():
    records, _ = fake_questions.table(4)
    records["quality_V1"] = [0.97, 0.5, 0.85, np.nan]
    by_option = states_of(records, None, "noise")
    assert by_option["V1"] == [NO, YES, UNSURE, SILENT] and by_option["aVF"] == [NO] * 4
    assert states_of(records.drop(columns="quality_V1"), None, "noise") == {}


def infarction(*cases: tuple[int, int]) -> pd.DataFrame:
    """Inferior ST elevation and Q wave of each case, then an ECG with neither."""
    records, _ = fake_questions.table(len(cases) + 1)
    elevation, q_wave = np.array([*cases, (NO, NO)], np.int8).T
    records[column(Label.ST_ELEVATION_INFERIOR)] = elevation
    records[column(Label.Q_WAVE_INFERIOR)] = q_wave
    return records


@pytest.mark.parametrize(
    ("elevation", "q_wave", "states"),
    [  # states of acute, evolving, old
        (YES, NO, [YES, NO, NO]),
        (YES, YES, [NO, YES, NO]),
        (NO, YES, [NO, NO, YES]),
        (NO, HISTORY, [NO, NO, YES]),
        (NO, NO, [NO, NO, NO]),
        (UNSURE, NO, [UNSURE, NO, NO]),
        (YES, UNSURE, [UNSURE, UNSURE, NO]),
        (NO, UNSURE, [NO, NO, UNSURE]),
        (SILENT, YES, [SILENT] * 3),
        (YES, SILENT, [SILENT] * 3),
        (HISTORY, NO, [SILENT] * 3),
    ],
)
def test_stage_of_an_infarction(elevation, q_wave, states):
    by_option = states_of(infarction((elevation, q_wave)), None, "stage_inferior")
    assert [by_option[key][0] for key in ("acute", "evolving", "old")] == states


def test_a_condition_that_mimics_an_infarction_prevents_its_stage():
    assert len(BOOK["infarction_mimics"]) == 6
    for label in BOOK["infarction_mimics"]:
        records = infarction((YES, NO), (YES, NO))
        records.loc[0, column(label)] = UNSURE
        assert states_of(records, None, "stage_inferior")["acute"] == [SILENT, YES, NO]


def test_an_st_elevation_that_no_lead_measures_is_not_asked():
    records = infarction((YES, NO), (YES, NO), (NO, YES))
    _, measurements = fake_questions.table(4)
    measurements.loc[1, "st_III"] = 0.15
    assert states_of(records, measurements, "stage_inferior")["acute"] == [SILENT, YES, NO, NO]
    assert states_of(records, None, "stage_inferior")["acute"] == [YES, YES, NO, NO]


def test_options_that_are_rare_in_training_are_not_asked_for():
    group = GROUPS["rhythm"]
    options = group.options[:3]  # sinus rhythm (query only), atrial fibrillation, flutter
    states = np.array([[1, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 1], [1, 0, 1]], np.int8)
    facts = [GroupFacts(group, options, states, np.ones(3, dtype=bool))]
    (kept,) = without_rare_options(facts, np.arange(4), 2)  # the last row is not for training
    assert list(kept.askable) == [True, True, False]
    assert without_rare_options(facts, np.arange(4), 4) == []
