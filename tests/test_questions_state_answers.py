"""Answers that follow from states: true states give the true answers, also through the targets of a
classifier."""

import fake_tables
import numpy as np
import pandas as pd
import pytest
from builds import refused

from ecglib.classify import question_targets
from ecglib.cohorts.store import Cohort
from ecglib.labels.label_set import ABSENT, COLUMNS, NOT_ASSESSABLE, PRESENT, UNCERTAIN, Label
from ecglib.questions.balanced_sets import draw_questions
from ecglib.questions.facts import group_facts, without_rare_options
from ecglib.questions.question_book import GROUPS
from ecglib.questions.state_answers import (
    MEASURED,
    compose,
    parse_item,
    question_states,
    state_answers,
)

N, LABELS = 400, len(COLUMNS)
RECORDS, MEASUREMENTS = fake_tables.varied(N, seed=2)
FACTS = without_rare_options(group_facts(RECORDS, MEASUREMENTS), np.arange(N), 5)
ROWS = np.arange(100, 300)
TABLE = draw_questions(FACTS, ROWS, 12, seed=1)
INSTEAD = ["instead"] * len(TABLE)
STATES = question_states(RECORDS, MEASUREMENTS)[ROWS]


def test_true_states_give_every_true_answer():
    assert set(TABLE["answer"]) >= {"yes", "no", "not sure", "both", "none"}
    assert state_answers(STATES, ROWS, TABLE, INSTEAD) == TABLE["answer"].tolist()


@pytest.mark.parametrize("states", [STATES[:, :LABELS], question_states(RECORDS)[ROWS, :LABELS]])
def test_labels_alone_decide_all_but_measurements_and_noise(states):
    kinds = np.array([GROUPS[parse_item(item)[1]].kind for item in TABLE["item"]])
    measured = np.isin(kinds, ["range", "noise"])
    assert 0.2 < measured.mean() < 0.6 and set(kinds) == {group.kind for group in GROUPS.values()}
    expected = TABLE["answer"].where(~measured, "instead")
    assert state_answers(states, ROWS, TABLE, INSTEAD) == expected.tolist()


def test_predicted_mimics_do_not_prevent_a_stage_and_wrong_tables_are_refused():
    states = np.full((2, LABELS), ABSENT, np.int8)
    states[1, [Label.ST_ELEVATION_INFERIOR, Label.LVH]] = PRESENT  # LVH mimics an infarction
    items = ["query:stage_inferior", "verify:chamber.any", "query:rate"]
    asked = pd.DataFrame({"row": [9, 9, 7], "item": items})
    rows = np.array([7, 9])
    assert state_answers(states, rows, asked, ["a", "b", "c"]) == ["acute", "yes", "c"]
    refused("expected states of row 8", state_answers, states, rows, asked.assign(row=8), [])
    refused("got 'verify:weather.06'", compose, "verify:weather.06", states[0])


@pytest.mark.parametrize("measured", [True, False])
def test_targets_of_a_classifier_hold_what_decides_the_answers(frozen, tmp_path, measured):
    cohort = Cohort.open(frozen["cohort"])
    table = fake_tables.varied(len(cohort), seed=0)[1] if measured else None
    inputs = {"cohort": frozen["cohort"]}
    if measured:
        table.to_parquet(tmp_path / "measurements.parquet")
        inputs["measurements"] = tmp_path
    question_targets.make_targets(tmp_path, inputs, {}, 0, None)
    targets = pd.read_parquet(tmp_path / "targets.parquet")
    assert targets.shape == (len(cohort), 2 * (LABELS + len(MEASURED)))
    assert list(targets)[:LABELS] == list(COLUMNS)
    targets = targets.to_numpy()
    states = question_states(cohort.records, table)
    np.testing.assert_array_equal(targets[:, :LABELS], cohort.labels)
    np.testing.assert_array_equal(question_targets.merge(targets), states)
    second = targets[:, targets.shape[1] // 2 :]
    np.testing.assert_array_equal(second == NOT_ASSESSABLE, states == NOT_ASSESSABLE)
    np.testing.assert_array_equal(second == PRESENT, states == UNCERTAIN)
