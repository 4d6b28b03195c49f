"""Exact match of answers as sets, and the chance level of balanced questions, by hand."""

import pandas as pd
import pytest

from ecglib.evaluate import exact_match, predictions

VERIFY, CHOOSE = "verify:conduction.06", "choose:conduction.06-22"


def rows(items: list[str], truth: list[str], answers: list[str]) -> pd.DataFrame:
    """Predictions, each of a patient of its own."""
    number = list(range(len(items)))
    records = pd.DataFrame({"unit": number, "ecg": number, "site": "A", "sex": "", "age": 50.0})
    return predictions.build(records, "guess", 0, items, truth, answers)


def test_chance_is_sets_over_questions():
    """Two sets of two (yes, no) and one of three: 3 of 7 by chance; 3 and 1 right are 4 of 7."""
    frame = rows(
        [VERIFY] * 4 + [CHOOSE] * 3,
        ["yes", "no", "yes", "no", "both", "none", "not sure"],
        ["yes", "no", "yes", "yes", "none", "none", "none"],
    )
    exact_match.check_sets(frame)
    table = exact_match.summary_beside_chance(frame)
    assert table["type"].unique().tolist() == ["verify", "choose", "all"]  # no query was asked
    value = table.set_index(["type", "metric"])["value"]
    assert value["verify"].to_dict() == {"accuracy": 0.75, "chance": 0.5, "gain": 0.25}
    assert value["choose", "chance"] == value["choose", "accuracy"] == pytest.approx(1 / 3)
    assert value["choose", "gain"] == pytest.approx(0)
    assert value["all"].to_list() == pytest.approx([4 / 7, 3 / 7, 1 / 7])
    count = table.groupby("type")["questions"].first().to_dict()
    assert count == {"verify": 4, "choose": 3, "all": 7}
    assert exact_match.chance(frame, "verify").value == 0.5


def test_answers_outside_sets_are_refused():
    frame = rows([VERIFY] * 5, ["yes", "yes", "yes", "no", "yes"], ["yes"] * 5)
    with pytest.raises(ValueError, match=f"{VERIFY}: expected .*, got 'yes' for 4 of 5"):
        exact_match.check_sets(frame)
    with pytest.raises(ValueError, match="unknown question type 'report'"):
        exact_match.chance(frame, "report")


@pytest.mark.parametrize(
    ("target", "prediction", "right"),
    [
        ("yes", " Yes.", True),
        ("lvh, sinus rhythm", "Sinus  rhythm, LVH", True),
        ("lvh", "lvh, sinus rhythm", False),
        ("none", "", False),
        ("", "", False),
    ],
)
def test_answers_match_as_sets(target, prediction, right):
    assert exact_match.matches(target, prediction) is right


def test_exact_match_by_type_and_overall():
    """2 of 2 verify, 0 of 1 choose, 1 of 1 query: overall 3 of 4 questions, not the type mean."""
    frame = rows(
        ["verify:06", "verify:06", "choose:06", "query:rhythm"],
        ["yes", "no", "both", "atrial flutter"],
        ["yes", "no", "none", "Atrial flutter."],
    )
    table = exact_match.summary(frame).set_index("type")
    assert table["value"].to_dict() == {"verify": 1.0, "choose": 0.0, "query": 1.0, "all": 0.75}
    assert table["questions"].to_dict() == {"verify": 2, "choose": 1, "query": 1, "all": 4}
