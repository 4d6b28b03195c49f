"""Questions in balanced sets: truth, balance, and what a guesser gains from words or by a leak."""

from collections import deque

import fake_tables
import numpy as np
import pandas as pd
import pytest
from builds import refused
from hypothesis import given, settings
from hypothesis import strategies as st

from ecglib.evaluate import exact_match, predictions
from ecglib.labels.label_set import ABSENT, NOT_ASSESSABLE, PRESENT, UNCERTAIN
from ecglib.language import floors
from ecglib.questions import leak_check
from ecglib.questions.balanced_sets import COLUMNS, _Queue, draw_questions
from ecglib.questions.facts import GroupFacts, group_facts
from ecglib.questions.leak_check import assign_parts, memorised_answers
from ecglib.questions.question_book import ATTRIBUTES, GROUPS, TYPES
from ecglib.questions.state_answers import NUMBER, asked_options

N = 500
FACTS = group_facts(*fake_tables.varied(N, seed=1))
BY_NAME = {facts.group.name: facts for facts in FACTS}
ITEMS = ["row", "item", "answer"]
ASKED = pd.DataFrame([(5, "verify:ectopy.19", "yes")], columns=ITEMS)
PVC, PAC = NUMBER["ectopy", "19"], NUMBER["ectopy", "27"]


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return draw_questions(FACTS, range(N), 12, seed=1)


def true_answer(item: str, row: int) -> str:
    """The answer that the states give, derived without the library's vector operations."""
    kind, rest = item.split(":")
    group, _, keys = rest.partition(".")
    facts, keys = BY_NAME[group], keys.split("-") if keys else []
    at = {option.key: (option.name, facts.states[row, j]) for j, option in enumerate(facts.options)}
    if keys == ["any"]:
        keys = [option.key for option in facts.options if not option.query_only]
        if PRESENT in [at[key][1] for key in keys]:
            return "yes"
    asked = [at[key] for key in (keys or at)]
    assert NOT_ASSESSABLE not in [state for _, state in asked], "not assessable, yet asked"
    present = [name for name, state in asked if state == PRESENT]
    if UNCERTAIN in [state for _, state in asked]:
        assert kind != "query" or not present
        return "not sure"
    if kind == "verify":
        return "yes" if present else "no"
    if kind == "choose" and len(present) == 2:
        return "both"
    return ", ".join(present) or "none"


def test_every_answer_is_true_and_every_type_is_asked_with_all_its_answers(table):
    """Nothing is asked twice, and `true_answer` checks that nothing unknown is asked."""
    assert list(table.columns) == COLUMNS
    assert table["row"].nunique() == N
    assert not table.duplicated(["row", "item"]).any()
    for row, item, answer in zip(table["row"], table["item"], table["answer"], strict=True):
        assert answer == true_answer(item, row), (item, row)
    groups = table["item"].str.split(":").str[1].str.split(".").str[0]
    attribute = groups.map(lambda name: GROUPS[name].attribute)
    counts = pd.crosstab(attribute, table["type"])
    assert set(counts.index) == set(ATTRIBUTES) and set(counts.columns) == set(TYPES)
    assert counts.to_numpy().min() > 5
    for kind in TYPES:
        answers = set(table[table["type"] == kind]["answer"])
        assert {"not sure"} | ({"yes", "no"} if kind == "verify" else {"none"}) <= answers
    assert "both" in set(table["answer"])
    share = table["type"].value_counts(normalize=True)
    assert share["verify"] == pytest.approx(0.5, abs=0.02)
    assert share["query"] == pytest.approx(0.25, abs=0.02)


def right_by(table: pd.DataFrame, *columns: str) -> int:
    """Right answers of a guesser who knows the table and reads only these columns."""
    return int(table.groupby([*columns, "answer"]).size().groupby([*columns]).max().sum())


def check_balance(table: pd.DataFrame, per_ecg: int) -> None:
    """A guesser who knows all answers to a wording is as good as one who knows those to an item.

    The order of the two names in a choose question gives nothing away either.
    """
    assert table.groupby("row").size().max() <= per_ecg
    by_words = right_by(table, "question")
    assert by_words == right_by(table, "item") == right_by(table, "question", "template", "item")
    for column in ("item", "question"):
        counts = pd.crosstab(table[column], table["answer"])
        assert (2 * counts.max(axis=1) <= counts.sum(axis=1)).all()


def test_the_words_give_no_answer_away_and_all_wordings_are_used(table):
    """Yes is also right as often as no, for each finding that is never uncertain."""
    check_balance(table, 12)
    assert right_by(table, "question") < 0.45 * len(table)
    verify = table[table["type"] == "verify"]
    counts = pd.crosstab(verify["item"], verify["answer"])
    plain = counts[counts["not sure"] == 0]
    assert (plain["yes"] == plain["no"]).all()
    # Wordings of groups asked in enough sets; a set has one question with the commonest answer.
    sets = table.groupby(["item", "answer"]).size().groupby("item").max()
    for group in GROUPS.values():
        for form, texts in group.wordings.items():
            head = f"{'verify' if form == 'any' else form}_{group.name}"
            asked = table[table["template"].str.match(f"{head}{'_any' * (form == 'any')}/")]
            if sets[asked["item"].unique()].sum() >= 12 * len(texts) > 0:
                numbers = set(asked["template"].str.split("/").str[1].astype(int))
                assert numbers == set(range(len(texts)))


def test_a_set_without_the_commonest_answer_is_not_asked():
    """Its only ECG has enough questions already. Chance is one right answer in each set."""
    waiting = [("yes", deque([0])), ("no", deque([1, 2])), ("not sure", deque([3, 4]))]
    assert _Queue(None, waiting).next_set({0: 3, 1: 0, 2: 0, 3: 0, 4: 0}, 3) == []


def test_the_seed_decides_the_order_of_rows_does_not_and_wrong_arguments_are_refused(table):
    again = draw_questions(FACTS, list(range(N))[::-1], 12, seed=1)
    pd.testing.assert_frame_equal(table, again)
    part = draw_questions(FACTS, range(100, 300), 4, seed=1)
    assert set(part["row"]) <= set(range(100, 300))
    assert not part.equals(draw_questions(FACTS, range(100, 300), 4, seed=2))
    refused("per_ecg >= 1", draw_questions, FACTS, range(5), 0, 0)
    refused("each row once", draw_questions, FACTS, [1, 1], 4, 0)
    refused("two different answers among 1 ECGs", draw_questions, FACTS, [1], 4, 0)
    refused("got 'report'", asked_options, "report")
    refused("got 'verify:weather.06'", asked_options, "verify:weather.06")
    refused("for row 5, got those of 3 ECGs", memorised_answers, ASKED, ASKED, np.zeros((3, 2)))
    refused("expected at least 4 question items, got 3", assign_parts, 3)


def test_an_option_that_may_not_be_named_excludes_its_ecgs_from_query():
    ectopy = BY_NAME["ectopy"]
    askable = np.array([True, False])  # ventricular, not atrial premature complexes
    states = ectopy.states.copy()
    states[: N // 2 : 2, 1] = NOT_ASSESSABLE  # the source does not say
    facts = [GroupFacts(ectopy.group, ectopy.options, states, askable)]
    table = draw_questions(facts, range(N), 9, seed=0)
    assert set(table["item"]) == {"verify:ectopy.19", "verify:ectopy.any", "query:ectopy"}
    query = table[table["type"] == "query"]
    assert (states[query["row"], 1] == ABSENT).all()
    assert set(query["answer"]) == {"premature ventricular complexes", "none", "not sure"}


@settings(max_examples=25)
@given(
    st.lists(st.lists(st.sampled_from([-1, 0, 1, 2]), min_size=3, max_size=3), min_size=2),
    st.integers(1, 5),
    st.integers(0, 3),
)
def test_sets_are_balanced_for_any_states(states, per_ecg, seed):
    group = GROUPS["voltage"]
    states = np.array(states, np.int8)
    facts = [GroupFacts(group, group.options[:3], states, np.ones(3, dtype=bool))]
    try:
        table = draw_questions(facts, range(len(states)), per_ecg, seed)
    except ValueError as error:
        assert "expected a question with two different answers" in str(error)
        return
    check_balance(table, per_ecg)


def test_a_guesser_that_reads_only_the_words_gains_nothing():
    train = draw_questions(FACTS, range(0, 200), 6, seed=3)
    test = draw_questions(FACTS, range(200, 350), 6, seed=4)
    records = test.assign(unit=test["row"] // 2, ecg=test["row"], site="A", sex="", age=50.0)
    guesses = [floors.text_only_answers(train, test), floors.majority_answers(train, test)]
    guesses.append(floors.text_only_answers(test, test))  # trained on the very answers
    for answers in guesses:
        frame = predictions.build(records, "guess", 0, test["item"], test["answer"], answers)
        exact_match.check_sets(frame)
        accuracy, chance = exact_match.accuracy(frame).value, exact_match.chance(frame).value
        assert chance - 0.1 < accuracy <= chance + 1e-9
        assert exact_match.gain(frame).value == pytest.approx(accuracy - chance)


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


def test_options_that_an_item_asks_about_and_the_notes_that_are_read_by_hand():
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
    # Read are the ECG's own notes (0), without them those of the patient's other ECG (1), and
    # without the patient those of a similar ECG of another one (2); ECG 3 is not similar, though
    # it would be the most similar one without subtracting the mean (9, 1).
    item, answers = "verify:ectopy.19", ["yes", "no", "yes", "no"]
    train = pd.DataFrame([(row, item, answer) for row, answer in enumerate(answers)], columns=ITEMS)
    latents = np.array([[10, 1], [10, 1.1], [10, 1.3], [6, 0.6]])
    asked, patients = pd.DataFrame({"row": [0], "item": [item]}), np.array([7, 7, 8, 9])
    assert memorised_answers(train, asked, latents) == ["yes"]
    assert memorised_answers(train, asked, latents, np.arange(4)) == ["no"]
    assert memorised_answers(train, asked, latents, patients) == ["yes"]
    assert memorised_answers(train[train["row"] < 2], asked, latents, patients) == ["no"]


@settings(max_examples=8)
@given(seed=st.integers(0, 1000), per_ecg=st.integers(1, 8))
def test_notes_on_the_ecg_itself_answer_every_question(seed, per_ecg):
    """Except where an answer leaves options open: "not sure" of several, and "yes" to any."""
    facts = group_facts(*fake_tables.varied(40, seed))
    table = draw_questions(facts, range(40), per_ecg, seed)
    latents = np.random.default_rng([seed, 6]).normal(size=(40, 16))
    answers = pd.Series(memorised_answers(table, table, latents))
    verify = table["type"] == "verify"
    is_open = (table["answer"] == "not sure") & ~verify | table["item"].str.endswith(".any")
    assert not ((answers != table["answer"]) & ~is_open).any()


def test_a_guess_from_the_words_counts_how_often_an_answer_was_given():
    """The floor of words would else guess the first answer of the alphabet."""
    train = pd.DataFrame({"type": "verify", "question": "is it?", "answer": ["yes"] * 9 + ["no"]})
    assert floors.text_only_answers(train, train[:1]) == ["yes"]
