"""What can be asked of an ECG: states from labels, measures, leads and quality, by hand."""

import fake_questions
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecglib.labels.label_set import ABSENT, HISTORY, NOT_ASSESSABLE, PRESENT, UNCERTAIN, column
from ecglib.questions.facts import GroupFacts, group_facts, without_rare_options
from ecglib.questions.question_book import GROUPS

YES, NO, UNSURE, SILENT = PRESENT, ABSENT, UNCERTAIN, NOT_ASSESSABLE


def state(records: pd.DataFrame, measures: pd.DataFrame | None, group: str) -> dict[str, list[int]]:
    """Option -> its states; empty where the group cannot be told at all."""
    found = [one for one in group_facts(records, measures) if one.group.name == group]
    return {o.key: list(f.states[:, j]) for f in found for j, o in enumerate(f.options)}


def measured(name: str, *values: float, **labels: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """One ECG a value; labels as label_15=PRESENT for all of them."""
    records, measures = fake_questions.table(len(values))
    measures[name] = values
    return records.assign(sex="F", **labels), measures


def test_labels_are_taken_as_they_are_and_old_ones_are_not_asked():
    records, _ = fake_questions.table(5)
    records["label_06"] = np.array([YES, NO, UNSURE, SILENT, HISTORY], np.int8)
    assert state(records, None, "conduction")["06"] == [YES, NO, UNSURE, SILENT, SILENT]


def test_a_label_that_a_source_never_tells_is_no_option():
    records, measures = fake_questions.table(3, state=SILENT)
    assert {one.group.kind for one in group_facts(records, measures)} == {"range", "noise"}
    records["label_05"] = np.array([YES, NO, SILENT], np.int8)
    found = {one.group.name: one for one in group_facts(records, measures)}
    assert [o.key for o in found["leads_t_inversion"].options] == ["inferior"]
    assert found["leads_t_inversion"].leads == "II, III, aVF"


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
    found = state(*measured("pr", pr, 160.0), "pr")
    assert [found[key][0] for key in ("short", "usual", "long")] == states


def test_no_pr_interval_in_atrial_fibrillation():
    for said in (PRESENT, UNCERTAIN):
        assert state(*measured("pr", 160.0, label_15=said), "pr") == {}
    assert state(*measured("pr", 160.0, label_15=ABSENT), "pr")["usual"] == [YES]


def test_a_measure_that_denies_a_stated_label_is_not_asked():
    records, measures = measured("pr", 150.0, 230.0, 204.0, label_26=PRESENT)
    assert state(records, measures, "pr")["long"] == [SILENT, YES, UNSURE]
    records, measures = measured("qrs", 90.0, 150.0, label_22=PRESENT)
    assert state(records, measures, "qrs")["wide"] == [SILENT, YES]


def test_qtc_has_the_limit_of_the_sex():
    records, measures = measured("qtc_fridericia", *[440.0, 459.0, 470.0] * 3)
    records["sex"] = ["F"] * 3 + ["M"] * 3 + [""] * 3
    women, men = (state(records, measures, f"qtc_{who}")["long"] for who in ("women", "men"))
    assert women == [NO, UNSURE, YES] + [SILENT] * 6
    assert men == [SILENT] * 3 + [NO, YES, YES] + [SILENT] * 3


def test_axis_classes_meet_on_the_circle():
    records, measures = measured("qrs_axis", -60, -30, 0, 92, 130, 178, -178, -120, 180)
    found = state(records, measures, "axis")
    assert found["left"] == [YES, UNSURE, NO, NO, NO, NO, NO, NO, NO]
    assert found["normal"] == [NO, UNSURE, YES, UNSURE, NO, NO, NO, NO, NO]
    assert found["right"] == [NO, NO, NO, UNSURE, YES, UNSURE, UNSURE, NO, UNSURE]
    assert found["extreme"] == [NO, NO, NO, NO, NO, UNSURE, UNSURE, YES, UNSURE]


@given(st.floats(-180, 180), st.floats(30, 220))
def test_ranges_are_exclusive_and_one_of_them_fits(axis, rate):
    """Of ranges that meet, one is present and the others absent, or two are uncertain."""
    records, measures = measured("qrs_axis", axis)
    measures["heart_rate"] = rate
    for group in ("axis", "rate"):
        states = [s[0] for s in state(records, measures, group).values()]
        assert states.count(YES) + states.count(UNSURE) / 2 == 1


def test_without_measures_nothing_measured_is_asked():
    records, measures = fake_questions.table(2)
    assert not {"range"} & {one.group.kind for one in group_facts(records)}
    with pytest.raises(ValueError, match="expected measurements of 2 ECGs, got 1"):
        group_facts(records, measures.iloc[:1])


def test_leads_are_disturbed_clear_or_in_between():
    records, _ = fake_questions.table(4)
    records["quality_V1"] = [0.97, 0.5, 0.85, np.nan]
    found = state(records, None, "noise")
    assert found["V1"] == [NO, YES, UNSURE, SILENT] and found["aVF"] == [NO] * 4
    old = records.drop(columns="quality_V1")
    assert state(old, None, "noise") == {}


STAGES = [  # ST elevation, Q wave -> acute, evolving, old
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
]


def infarction(*cases: tuple[int, int]) -> pd.DataFrame:
    """Inferior ST elevation and Q wave of each case, then one ECG of which all can be told."""
    records, _ = fake_questions.table(len(cases) + 1)
    records["label_36"] = np.array([case[0] for case in cases] + [NO], np.int8)
    records["label_14"] = np.array([case[1] for case in cases] + [NO], np.int8)
    return records


@pytest.mark.parametrize(("elevation", "q_wave", "states"), STAGES)
def test_stage_of_an_infarction(elevation, q_wave, states):
    found = state(infarction((elevation, q_wave)), None, "stage_inferior")
    assert [found[key][0] for key in ("acute", "evolving", "old")] == states


def test_what_mimics_an_infarction_silences_its_stage():
    for label in (6, 12, 23, 35, 45, 70):
        records = infarction((YES, NO), (YES, NO))
        records.loc[0, column(label)] = UNCERTAIN
        assert state(records, None, "stage_inferior")["acute"] == [SILENT, YES, NO]


def test_an_st_elevation_that_no_lead_shows_is_not_asked():
    records = infarction((YES, NO), (YES, NO), (NO, YES))
    _, measures = fake_questions.table(4)
    measures.loc[1, "st_III"] = 0.15
    assert state(records, measures, "stage_inferior")["acute"] == [SILENT, YES, NO, NO]
    assert state(records, None, "stage_inferior")["acute"] == [YES, YES, NO, NO]


def test_learnable_asks_for_what_the_training_rows_can_teach():
    group = GROUPS["rhythm"]
    options = group.options[:3]  # sinus rhythm (query only), atrial fibrillation, flutter
    states = np.array([[1, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 1], [1, 0, 1]], np.int8)
    found = [GroupFacts(group, options, states, np.ones(3, dtype=bool))]
    (kept,) = without_rare_options(found, np.arange(4), 2)  # the last row is not for training
    assert list(kept.askable) == [True, True, False]
    assert without_rare_options(found, np.arange(4), 4) == []
