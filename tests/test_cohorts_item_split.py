"""The split by question item: what stands on both sides, and what a memoriser makes of it."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecglib.cohorts.findings import FINDINGS, SCORED
from ecglib.cohorts.item_split import answers, assign, concerned, notes, overlap
from ecglib.cohorts.labels import ABSENT, LABELS, NOT_ASSESSABLE, PRESENT, column
from ecglib.cohorts.questions import questions

ASKED = [0, *SCORED[:6]]
ITEMS = ["row", "item", "answer"]


def cohort(n: int, seed: int = 0) -> pd.DataFrame:
    """Random states of `ASKED`; nothing else can be assessed."""
    states = np.full((n, len(LABELS)), NOT_ASSESSABLE)
    states[:, ASKED] = np.random.default_rng([seed, 5]).random((n, len(ASKED))) < 0.4
    return pd.DataFrame(states, columns=[column(i) for i in range(len(LABELS))])


def test_shares_are_those_of_the_release():
    part = assign(1000)
    assert {name: int((part == name).sum()) for name in ("train", "validation", "test")} == {
        "train": 700, "validation": 120, "test": 180,
    }  # fmt: skip
    np.testing.assert_array_equal(assign(1000), part)
    assert (assign(1000, seed=1) != part).any()
    with pytest.raises(ValueError, match="3 question items cannot fill three parts"):
        assign(3)


def test_overlap_by_hand():
    """Test items: about ECG 0 (also in train), ECG 2 (its patient 1 is), ECG 3 (nothing is)."""
    items = pd.DataFrame({"row": [0, 0, 1, 2, 3, 3]})
    part = np.array(["train", "test", "train", "test", "test", "validation"], dtype=object)
    found = overlap(items, part, patients=np.array([0, 1, 1, 2]))
    assert found["in_training"].tolist() == ["the same ECG", "the same patient"]
    assert found["test_items"].tolist() == [3, 3]
    assert found["shared"].tolist() == [1, 2]
    assert found["percent"].tolist() == pytest.approx([100 / 3, 200 / 3])


def test_nearly_every_test_item_meets_its_ecg_in_training():
    """With k questions an ECG the chance that none of the others is in training is 0.3^(k - 1)."""
    k = 4
    items = pd.DataFrame({"row": np.repeat(np.arange(5000), k)})
    found = overlap(items, assign(len(items)), np.arange(5000))
    assert found["percent"].iloc[0] == pytest.approx(100 * (1 - 0.3 ** (k - 1)), abs=1.0)


def test_notes_by_hand():
    """Every kind of answer; ECG 5 is never asked about."""
    a, b = ASKED[1], ASKED[2]
    group = FINDINGS[a].group
    inside = [label for label in FINDINGS if label in ASKED and FINDINGS[label].group == group]
    items = pd.DataFrame(
        [
            (0, f"verify:{a:02d}", "yes"),
            (1, f"verify:{a:02d}", "no"),
            (2, f"choose:{a:02d}-{b:02d}", FINDINGS[b].name),
            (3, f"choose:{a:02d}-{b:02d}", "both"),
            (4, f"query:{group}", FINDINGS[a].name),
            (4, f"choose:{a:02d}-{b:02d}", FINDINGS[a].name),
        ],
        columns=ITEMS,
    )
    found = notes(items, 6, ASKED)
    assert found[:5, a].tolist() == [PRESENT, ABSENT, ABSENT, PRESENT, PRESENT]
    assert found[2:5, b].tolist() == [PRESENT, PRESENT, ABSENT]
    assert all(found[4, label] == ABSENT for label in inside if label != a)
    assert (found[5] == NOT_ASSESSABLE).all()
    assert (found[:2, b] == NOT_ASSESSABLE).all()


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), per_ecg=st.integers(1, 6))
def test_notes_and_answers_invert_the_questions(seed, per_ecg):
    """What the notes state is true, and whoever has noted an ECG answers all about it rightly."""
    records = cohort(12, seed)
    asked = questions(records, range(12), per_ecg, seed, ASKED)
    if asked.empty:
        return
    states, truth = notes(asked, 12, ASKED), records.to_numpy()
    known = states != NOT_ASSESSABLE
    np.testing.assert_array_equal(states[known], truth[known])
    latents = np.random.default_rng([seed, 6]).normal(size=(12, 16))
    assert answers(asked, asked, latents, ASKED) == asked["answer"].tolist()


def test_whose_notes_are_read():
    """ECGs 0 and 1 of one patient, 2 of another who resembles them, 3 of one who does not.

    Notes on a finding: 0 yes, 1 no, 2 yes, 3 no. Asked about 0: its own note says yes; without it
    the patient's other ECG (1) says no; without the patient the next one (2) says yes.
    """
    label = ASKED[1]
    item = f"verify:{label:02d}"
    past = pd.DataFrame(
        [(0, item, "yes"), (1, item, "no"), (2, item, "yes"), (3, item, "no")], columns=ITEMS
    )
    latents = np.array([[1.0, 0.0], [1.0, 0.1], [1.0, 0.3], [-3.0, -0.4]])
    asked = pd.DataFrame({"row": [0], "item": [item]})
    patients = np.array([7, 7, 8, 9])
    assert answers(past, asked, latents, ASKED) == ["yes"]
    assert answers(past, asked, latents, ASKED, apart=np.arange(4)) == ["no"]
    assert answers(past, asked, latents, ASKED, apart=patients) == ["yes"]
    assert answers(past[past["row"] < 2], asked, latents, ASKED, apart=patients) == ["no"]


def test_a_latent_without_information_leaves_only_the_leak():
    """Random latents, independent patients: own notes give nearly all, other people's half."""
    records = cohort(400, seed=3)
    items = questions(records, range(400), 6, 3, ASKED)
    part = assign(len(items))
    train, test = items[part == "train"], items[part == "test"]
    test = test[test["type"] == "verify"]
    latents = np.random.default_rng(9).normal(size=(400, 8))
    right = {}
    for name, apart in (("item", None), ("patient", np.arange(400))):
        given = answers(train, test, latents, ASKED, apart)
        right[name] = np.mean(np.array(given) == test["answer"].to_numpy())
    assert right["item"] > 0.75
    assert 0.35 < right["patient"] < 0.65


def test_faults_give_one_sentence():
    assert concerned("choose:06-22", ASKED) == [6, 22]
    with pytest.raises(ValueError, match="item 'report' is no question"):
        concerned("report", ASKED)
    asked = pd.DataFrame([(5, "verify:06", "yes")], columns=ITEMS)
    with pytest.raises(ValueError, match="ask about row 5, but there are latents of 3 ECGs"):
        answers(asked, asked, np.zeros((3, 2)), ASKED)
