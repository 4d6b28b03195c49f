"""Questions in balanced sets: truth, balance, what is never asked, and what a guesser gains."""

from types import SimpleNamespace

import fake_questions
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecglib.cohorts.records import write_cohort
from ecglib.evaluate import exact_match, predictions
from ecglib.labels.label_set import COLUMNS as LABELS
from ecglib.labels.label_set import NOT_ASSESSABLE, PRESENT, UNCERTAIN
from ecglib.language import majority, text_only
from ecglib.questions import balanced_sets
from ecglib.questions.balanced_sets import COLUMNS, draw_questions
from ecglib.questions.facts import GroupFacts, group_facts
from ecglib.questions.question_book import ATTRIBUTES, GROUPS, TYPES
from ecglib.signals.measure import MEASURES
from ecglib.simulator import labels_from_heart, sample_heart

N = 500
RECORDS, MEASURED = fake_questions.varied(N, seed=1)
FOUND = group_facts(RECORDS, MEASURED)
ASKED = draw_questions(FOUND, range(N), 12, seed=1)
BY_NAME = {one.group.name: one for one in FOUND}


def parts(item: str) -> tuple[str, GroupFacts, list[str]]:
    """Type, group and option keys of an item."""
    kind, rest = item.split(":")
    group, _, keys = rest.partition(".")
    return kind, BY_NAME[group], keys.split("-") if keys else []


def true_answer(item: str, row: int) -> str:
    """The answer that the states give, worked out the long way round."""
    kind, one, keys = parts(item)
    at = {option.key: (option.name, one.states[row, j]) for j, option in enumerate(one.options)}
    if keys == ["any"]:
        keys = [option.key for option in one.options if not option.query_only]
        if PRESENT in [at[key][1] for key in keys]:
            return "yes"
    asked = [at[key] for key in (keys or at)]
    assert NOT_ASSESSABLE not in [state for _, state in asked], "what cannot be told was asked"
    there = [name for name, state in asked if state == PRESENT]
    if UNCERTAIN in [state for _, state in asked]:
        assert kind != "query" or not there
        return "not sure"
    if kind == "verify":
        return "yes" if there else "no"
    if kind == "choose" and len(there) == 2:
        return "both"
    return ", ".join(there) or "none"


def test_every_answer_is_true_and_nothing_hidden_is_asked():
    assert list(ASKED.columns) == COLUMNS
    for row, item, answer in zip(ASKED["row"], ASKED["item"], ASKED["answer"], strict=True):
        assert answer == true_answer(item, row), (item, row)


def test_every_type_is_asked_of_every_attribute_with_all_its_answers():
    groups = ASKED["item"].str.split(":").str[1].str.split(".").str[0]
    attribute = groups.map(lambda name: GROUPS[name].attribute)
    count = pd.crosstab(attribute, ASKED["type"])
    assert set(count.index) == set(ATTRIBUTES) and set(count.columns) == set(TYPES)
    assert count.to_numpy().min() > 5
    for kind in TYPES:
        said = set(ASKED[ASKED["type"] == kind]["answer"])
        assert {"not sure"} | ({"yes", "no"} if kind == "verify" else {"none"}) <= said
    assert "both" in set(ASKED["answer"])


def test_no_ecg_is_asked_too_often_nor_the_same_twice():
    assert ASKED.groupby("row").size().max() <= 12
    assert not ASKED.duplicated(["row", "item"]).any()
    assert ASKED["row"].nunique() == N


def test_half_of_the_questions_verify():
    share = ASKED["type"].value_counts(normalize=True)
    assert share["verify"] == pytest.approx(0.5, abs=0.02)
    assert share["query"] == pytest.approx(0.25, abs=0.02)


def best_by(table: pd.DataFrame, what: list[str]) -> int:
    """Right answers of a guesser who knows the table and sees the columns `what`."""
    return int(table.groupby([*what, "answer"]).size().groupby(what).max().sum())


def test_the_words_tell_nothing():
    """Who knows all answers to a wording gets no more than who knows those to the question."""
    by_words = best_by(ASKED, ["question"])
    assert by_words == best_by(ASKED, ["item"]) == best_by(ASKED, ["question", "template", "item"])
    assert by_words < 0.45 * len(ASKED)


def test_yes_is_right_as_often_as_no_for_each_finding():
    verify = ASKED[ASKED["type"] == "verify"]
    count = pd.crosstab(verify["item"], verify["answer"])
    most = count.max(axis=1)
    assert (2 * most <= count.sum(axis=1)).all()
    plain = count[count["not sure"] == 0]
    assert (plain["yes"] == plain["no"]).all()


def test_a_name_stands_first_as_often_where_it_is_right():
    """The same words are asked of ECGs with all answers, so the order tells nothing either."""
    choose = ASKED[ASKED["type"] == "choose"]
    for _, part in choose.groupby("question"):
        assert 2 * part["answer"].value_counts().iloc[0] <= len(part)


def test_all_wordings_are_used():
    """Of groups asked in enough sets; each set has one question with the commonest answer."""
    sets = ASKED.groupby(["item", "answer"]).size().groupby("item").max()
    for group in GROUPS.values():
        for kind, texts in group.wordings.items():
            head = f"{'verify' if kind == 'any' else kind}_{group.name}"
            used = ASKED[ASKED["template"].str.match(f"{head}{'_any' * (kind == 'any')}/")]
            if sets[used["item"].unique()].sum() >= 12 * len(texts) > 0:
                numbers = set(used["template"].str.split("/").str[1].astype(int))
                assert numbers == set(range(len(texts)))


def test_the_seed_decides_and_the_order_of_rows_does_not():
    again = draw_questions(FOUND, list(range(N))[::-1], 12, seed=1)
    pd.testing.assert_frame_equal(ASKED, again)
    assert not ASKED.equals(draw_questions(FOUND, range(N), 12, seed=2))


def test_only_the_given_rows_are_asked():
    table = draw_questions(FOUND, range(100, 300), 4, seed=1)
    assert set(table["row"]) <= set(range(100, 300)) and table.groupby("row").size().max() <= 4


def test_what_may_not_be_named_is_not_and_its_ecgs_are_not_asked_what_there_is():
    one = BY_NAME["ectopy"]
    asked = np.array([True, False])  # ventricular, not atrial premature complexes
    table = draw_questions(
        [GroupFacts(one.group, one.options, one.states, asked)], range(N), 9, seed=0
    )
    assert set(table["item"]) == {"verify:ectopy.19", "verify:ectopy.any", "query:ectopy"}
    query = table[table["type"] == "query"]
    assert (one.states[query["row"], 1] != PRESENT).all()
    assert set(query["answer"]) == {"premature ventricular complexes", "none", "not sure"}


@settings(max_examples=40)
@given(
    st.lists(st.lists(st.sampled_from([-1, 0, 1, 2]), min_size=3, max_size=3), min_size=2),
    st.integers(1, 5),
    st.integers(0, 3),
)
def test_sets_hold_for_any_states(states, per_ecg, seed):
    group = GROUPS["voltage"]
    made = np.array(states, np.int8)
    found = [GroupFacts(group, group.options[:3], made, np.ones(3, dtype=bool))]
    try:
        table = draw_questions(found, range(len(made)), per_ecg, seed)
    except ValueError as error:
        assert "expected a question with two different answers" in str(error)
        return
    assert table.groupby("row").size().max() <= per_ecg
    assert best_by(table, ["question"]) == best_by(table, ["item"])
    for _, part in table.groupby("item"):
        assert 2 * part["answer"].value_counts().iloc[0] <= len(part)


def test_bad_arguments():
    with pytest.raises(ValueError, match="per_ecg >= 1"):
        draw_questions(FOUND, range(5), 0, 0)
    with pytest.raises(ValueError, match="each row once"):
        draw_questions(FOUND, [1, 1], 4, 0)
    with pytest.raises(ValueError, match="among 1 ECGs"):
        draw_questions(FOUND, [1], 4, 0)


def rows_of(table: pd.DataFrame, said: list[str]) -> pd.DataFrame:
    """Prediction rows; two ECGs in a row are one patient's."""
    ecg = table["row"].to_numpy()
    records = pd.DataFrame({"unit": ecg // 2, "ecg": ecg, "site": "A", "sex": "", "age": 50.0})
    return predictions.build(records, "guess", 0, table["item"], table["answer"], said)


def test_a_guesser_that_reads_only_the_words_gains_nothing():
    past = draw_questions(FOUND, range(0, 350), 6, seed=3)
    asked = draw_questions(FOUND, range(350, N), 6, seed=4)
    for said in (text_only.answers(past, asked), majority.answers(past, asked)):
        frame = rows_of(asked, said)
        exact_match.check_sets(frame)
        guessed, level = exact_match.accuracy(frame).value, exact_match.chance(frame).value
        assert level - 0.1 < guessed <= level
        assert exact_match.gain(frame).value == pytest.approx(guessed - level)
    cheat = rows_of(asked, text_only.answers(asked, asked))  # trained on the very answers
    assert exact_match.accuracy(cheat).value <= exact_match.chance(cheat).value + 1e-9


def test_the_step_writes_both_tables(tmp_path):
    rng = np.random.default_rng(5)
    people = [sample_heart.draw_person("AB"[i % 2], "enriched", rng) for i in range(120)]
    drawn = [sample_heart.draw_state(person, person.conditions, rng) for person in people]
    cohort = write_cohort(
        tmp_path / "cohort",
        (
            {
                "ecg_id": f"e{i}",
                "patient_id": f"p{i}",
                "sex": person.sex,
                "signal": rng.normal(0, 0.1, (12, 2500)).astype(np.float32),
                "labels": labels_from_heart.labels_of(heart),
            }
            for i, (person, heart) in enumerate(zip(people, drawn, strict=True))
        ),
        seed=0,
    )
    measures = pd.DataFrame({name: np.full(120, np.nan, np.float32) for name in MEASURES})
    measures["heart_rate"] = [heart.rate for heart in drawn]
    (tmp_path / "measures").mkdir()
    measures.to_parquet(tmp_path / "measures" / "measurements.parquet", index=False)
    test = cohort.rows("test")
    out = tmp_path / "questions"
    out.mkdir()
    inputs = {"cohort": tmp_path / "cohort", "measurements": tmp_path / "measures"}
    config = {"per_ecg": 6, "rows": test.tolist(), "min_positives": 5}
    machine = SimpleNamespace(device="cpu", dtype="float32", threads=1, reason="test")
    balanced_sets.write_questions(out, inputs, config, 0, machine)
    for name, rows in (("train", cohort.rows("train")), ("test", test)):
        table = pd.read_parquet(out / f"{name}.parquet")
        assert list(table.columns) == ["number", *COLUMNS]
        assert set(table["row"]) <= set(rows) and list(table["number"]) == list(range(len(table)))
        assert "query:rate" in set(table["item"])
    taught = cohort.records[list(LABELS)].to_numpy()[cohort.rows("train")]
    rare = [i for i in range(77) if (taught[:, i] == PRESENT).sum() < 5]
    train = pd.read_parquet(out / "train.parquet")
    named = set(train["item"].str.extractall(r"[.-](\d\d)")[0].astype(int))
    assert named and not named & set(rare)
