"""A memoriser of questions: what it notes, from whom, and what a leak is worth to it."""

import fake_questions
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecglib.labels.label_set import ABSENT, NOT_ASSESSABLE, PRESENT, UNCERTAIN
from ecglib.questions.balanced_sets import draw_questions
from ecglib.questions.facts import group_facts
from ecglib.questions.item_split import assign_parts
from ecglib.questions.memoriser import answers, named_options, options_asked, take_notes

ITEMS = ["row", "item", "answer"]
PVC, PAC = ("ectopy", "19"), ("ectopy", "27")


def test_options_that_questions_and_answers_name():
    asked = [("choose:ectopy.27-19", ""), ("query:rhythm", "sinus rhythm, bradycardia")]
    found = named_options([*asked, ("verify:ectopy.any", "yes"), ("query:noise", "V1, aVF")])
    rhythm, noise = [("rhythm", "00"), ("rhythm", "13")], [("noise", "aVF"), ("noise", "V1")]
    assert found == [*rhythm, PVC, PAC, *noise]
    assert [found[i] for i in options_asked("choose:ectopy.27-19", found)] == [PAC, PVC]
    assert [found[i] for i in options_asked("query:rhythm", found)] == rhythm
    assert [found[i] for i in options_asked("verify:rhythm.any", found)] == [("rhythm", "13")]


def test_notes_by_hand():
    leads = ("leads_t_inversion", "inferior"), ("leads_t_inversion", "septal")
    items = pd.DataFrame(
        [
            (0, "verify:ectopy.19", "yes"),
            (1, "verify:ectopy.19", "not sure"),
            (2, "choose:ectopy.19-27", "premature atrial complexes"),
            (3, "choose:ectopy.19-27", "both"),
            (4, "query:ectopy", "none"),
            (5, "verify:ectopy.any", "no"),
            (6, "verify:ectopy.any", "yes"),  # which one is not said
            (7, "choose:ectopy.19-27", "not sure"),  # nor here
            (8, "query:leads_t_inversion", "II, III, aVF"),
            (9, "verify:ectopy.19", "yes"),
            (9, "verify:ectopy.19", "not sure"),
        ],
        columns=ITEMS,
    )
    found = take_notes(items, 11, [PVC, PAC, *leads])
    yes, no, unsure, free = PRESENT, ABSENT, UNCERTAIN, NOT_ASSESSABLE
    assert found[:, 0].tolist() == [yes, unsure, no, yes, no, no, free, free, free, yes, free]
    assert found[:, 1].tolist() == [free, free, yes, yes, no, no, free, free, free, free, free]
    assert found[8, 2:].tolist() == [yes, no]


@settings(max_examples=8)
@given(seed=st.integers(0, 1000), per_ecg=st.integers(1, 8))
def test_whoever_has_noted_an_ecg_answers_all_about_it(seed, per_ecg):
    """All but what an answer leaves open: "not sure" of two or more, and "yes" to anything."""
    table = draw_questions(group_facts(*fake_questions.varied(40, seed)), range(40), per_ecg, seed)
    latents = np.random.default_rng([seed, 6]).normal(size=(40, 16))
    said = pd.Series(answers(table, table, latents))
    verify = table["type"] == "verify"
    open_ = (table["answer"] == "not sure") & ~verify | table["item"].str.endswith(".any")
    wrong = (said != table["answer"]) & ~open_
    assert not wrong.any()


def test_whose_notes_are_read():
    """ECGs 0 and 1 of one patient, 2 of another who resembles them, 3 of one who does not.

    Notes on a finding: 0 yes, 1 no, 2 yes, 3 no. Asked about 0: its own note says yes; without it
    the patient's other ECG (1) says no; without the patient the next one (2) says yes.
    """
    item = "verify:ectopy.19"
    said = ["yes", "no", "yes", "no"]
    past = pd.DataFrame([(row, item, answer) for row, answer in enumerate(said)], columns=ITEMS)
    latents = np.array([[1.0, 0.0], [1.0, 0.1], [1.0, 0.3], [-3.0, -0.4]])
    asked = pd.DataFrame({"row": [0], "item": [item]})
    patients = np.array([7, 7, 8, 9])
    assert answers(past, asked, latents) == ["yes"]
    assert answers(past, asked, latents, same_group=np.arange(4)) == ["no"]
    assert answers(past, asked, latents, same_group=patients) == ["yes"]
    assert answers(past[past["row"] < 2], asked, latents, same_group=patients) == ["no"]


def test_a_latent_without_information_leaves_only_the_leak():
    """Random latents, independent patients: own notes tell, other people's do not."""
    items = draw_questions(group_facts(*fake_questions.varied(400, 3)), range(400), 12, 3)
    items = items[~items["item"].str.startswith("verify:noise")]
    part = assign_parts(len(items))
    train, test = items[part == "train"], items[part == "test"]
    test = test[(test["type"] == "verify") & test["answer"].isin(["yes", "no"])]
    latents = np.random.default_rng(9).normal(size=(400, 8))
    right = {}
    for name, apart in (("item", None), ("patient", np.arange(400))):
        given = answers(train, test, latents, apart)
        right[name] = np.mean(np.array(given) == test["answer"].to_numpy())
    assert right["patient"] < 0.55 < right["item"] - 0.02


def test_faults_give_one_sentence():
    for item in ("report", "verify:weather.06"):
        with pytest.raises(ValueError, match=f"got '{item}'"):
            options_asked(item, [])
    asked = pd.DataFrame([(5, "verify:ectopy.19", "yes")], columns=ITEMS)
    with pytest.raises(ValueError, match="expected latents for row 5, got those of 3 ECGs"):
        answers(asked, asked, np.zeros((3, 2)))
