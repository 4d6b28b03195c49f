"""The split by question item, and what a memoriser notes, from which ECGs, and gains by a leak."""

import fake_questions
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecglib.labels.label_set import ABSENT, NOT_ASSESSABLE, PRESENT, UNCERTAIN
from ecglib.questions import leak_check
from ecglib.questions.balanced_sets import draw_questions
from ecglib.questions.facts import group_facts
from ecglib.questions.leak_check import NUMBER, asked_options, assign_parts, memorised_answers

ITEMS = ["row", "item", "answer"]
ASKED = pd.DataFrame([(5, "verify:ectopy.19", "yes")], columns=ITEMS)
PVC, PAC = NUMBER["ectopy", "19"], NUMBER["ectopy", "27"]


def test_parts_have_the_shares_of_the_release_and_overlap_by_hand():
    """Test items: about ECG 0 (also in train), ECG 2 (its patient 1 is), ECG 3 (nothing is)."""
    part = assign_parts(1000)
    counts = {name: int((part == name).sum()) for name in ("train", "validation", "test")}
    assert counts == {"train": 700, "validation": 120, "test": 180}
    np.testing.assert_array_equal(assign_parts(1000), part)
    assert (assign_parts(1000, seed=1) != part).any()
    items = pd.DataFrame({"row": [0, 0, 1, 2, 3, 3]})
    part = np.array(["train", "test", "train", "test", "test", "validation"], dtype=object)
    table = leak_check.overlap(items, part, patients=np.array([0, 1, 1, 2]))
    assert table["in_training"].tolist() == ["the same ECG", "the same patient"]
    assert table["test_items"].tolist() == [3, 3] and table["shared"].tolist() == [1, 2]
    assert table["percent"].tolist() == pytest.approx([100 / 3, 200 / 3])
    # With 4 questions per ECG the others are all outside training with chance 0.3^3.
    items = pd.DataFrame({"row": np.repeat(np.arange(5000), 4)})
    table = leak_check.overlap(items, assign_parts(len(items)), np.arange(5000))
    assert table["percent"].iloc[0] == pytest.approx(100 * (1 - 0.3**3), abs=1.0)


def test_options_that_an_item_asks_about_and_notes_by_hand():
    assert asked_options("choose:ectopy.27-19") == [PAC, PVC]
    sinus, afib = NUMBER["rhythm", "00"], NUMBER["rhythm", "15"]
    assert asked_options("query:rhythm")[:2] == [sinus, afib]
    any_rhythm = asked_options("verify:rhythm.any")  # without sinus rhythm, which is query-only
    assert any_rhythm == asked_options("query:rhythm")[1:]
    rows = [
        (0, "verify:ectopy.19", "yes"),
        (1, "verify:ectopy.19", "not sure"),
        (2, "choose:ectopy.19-27", "premature atrial complexes"),
        (3, "choose:ectopy.19-27", "both"),
        (4, "query:ectopy", "none"),
        (5, "verify:ectopy.any", "no"),
        (6, "verify:ectopy.any", "yes"),  # does not say which one
        (7, "choose:ectopy.19-27", "not sure"),  # nor does this
        (8, "query:leads_t_inversion", "II, III, aVF"),
        (9, "verify:ectopy.19", "yes"),
        (9, "verify:ectopy.19", "not sure"),
    ]
    notes = leak_check.take_notes(pd.DataFrame(rows, columns=ITEMS), 11)
    yes, no, unsure, free = PRESENT, ABSENT, UNCERTAIN, NOT_ASSESSABLE
    assert notes[:, PVC].tolist() == [yes, unsure, no, yes, no, no, free, free, free, yes, free]
    assert notes[:, PAC].tolist() == [free, free, yes, yes, no, no, free, free, free, free, free]
    leads = [NUMBER["leads_t_inversion", key] for key in ("inferior", "septal")]
    assert notes[8, leads].tolist() == [yes, no]


@settings(max_examples=8)
@given(seed=st.integers(0, 1000), per_ecg=st.integers(1, 8))
def test_notes_on_the_ecg_itself_answer_every_question(seed, per_ecg):
    """Except where an answer leaves options open: "not sure" of several, and "yes" to any."""
    facts = group_facts(*fake_questions.varied(40, seed))
    table = draw_questions(facts, range(40), per_ecg, seed)
    latents = np.random.default_rng([seed, 6]).normal(size=(40, 16))
    answers = pd.Series(memorised_answers(table, table, latents))
    verify = table["type"] == "verify"
    is_open = (table["answer"] == "not sure") & ~verify | table["item"].str.endswith(".any")
    assert not ((answers != table["answer"]) & ~is_open).any()


def test_which_notes_are_read():
    """ECGs 0 and 1 of one patient, 2 of another and similar, 3 of a third and not similar.

    Notes on a finding: 0 yes, 1 no, 2 yes, 3 no. Asked about 0: its own note says yes; without it
    the patient's other ECG (1) says no; without the patient the next one (2) says yes.
    """
    item, answers = "verify:ectopy.19", ["yes", "no", "yes", "no"]
    train = pd.DataFrame([(row, item, answer) for row, answer in enumerate(answers)], columns=ITEMS)
    latents = np.array([[1.0, 0.0], [1.0, 0.1], [1.0, 0.3], [-3.0, -0.4]])
    asked, patients = pd.DataFrame({"row": [0], "item": [item]}), np.array([7, 7, 8, 9])
    assert memorised_answers(train, asked, latents) == ["yes"]
    assert memorised_answers(train, asked, latents, np.arange(4)) == ["no"]
    assert memorised_answers(train, asked, latents, patients) == ["yes"]
    assert memorised_answers(train[train["row"] < 2], asked, latents, patients) == ["no"]


def test_a_latent_without_information_leaves_only_the_leak():
    """Random latents, independent patients: only the notes on the ECG itself help."""
    items = draw_questions(group_facts(*fake_questions.varied(400, 3)), range(400), 12, 3)
    items = items[~items["item"].str.startswith("verify:noise")]
    part = assign_parts(len(items))
    train, test = items[part == "train"], items[part == "test"]
    test = test[(test["type"] == "verify") & test["answer"].isin(["yes", "no"])]
    latents = np.random.default_rng(9).normal(size=(400, 8))
    accuracy = {}
    for name, same_group in (("item", None), ("patient", np.arange(400))):
        answers = memorised_answers(train, test, latents, same_group)
        accuracy[name] = np.mean(np.array(answers) == test["answer"].to_numpy())
    assert accuracy["patient"] < 0.55 < accuracy["item"] - 0.02


REFUSED = {
    "got 'report'": lambda: asked_options("report"),
    "got 'verify:weather.06'": lambda: asked_options("verify:weather.06"),
    "for row 5, got those of 3 ECGs": lambda: memorised_answers(ASKED, ASKED, np.zeros((3, 2))),
    "expected at least 4 question items, got 3": lambda: assign_parts(3),
}


def test_wrong_arguments_are_refused():
    for message, call in REFUSED.items():
        with pytest.raises(ValueError, match=message):
            call()
