"""What guessing gets from questions asked in sets, by hand."""

import pandas as pd
import pytest

from ecglib.evaluate import chance, predictions

VERIFY, CHOOSE = "verify:conduction.06", "choose:conduction.06-22"


def rows(items: list[str], truth: list[str], said: list[str]) -> pd.DataFrame:
    """Prediction rows, each of a patient of its own."""
    number = list(range(len(items)))
    records = pd.DataFrame({"unit": number, "ecg": number, "site": "A", "sex": "", "age": 50.0})
    return predictions.rows(records, "guess", 0, items, truth, said)


def test_chance_is_sets_over_questions():
    """Two sets of two (yes, no) and one of three: 3 of 7 by chance; 3 and 1 right are 4 of 7."""
    frame = rows(
        [VERIFY] * 4 + [CHOOSE] * 3,
        ["yes", "no", "yes", "no", "both", "none", "not sure"],
        ["yes", "no", "yes", "yes", "none", "none", "none"],
    )
    chance.check_sets(frame)
    table = chance.summary(frame)
    assert table["type"].unique().tolist() == ["verify", "choose", "all"]  # no query was asked
    value = table.set_index(["type", "metric"])["value"]
    assert value["verify"].to_dict() == {"accuracy": 0.75, "chance": 0.5, "gain": 0.25}
    assert value["choose", "chance"] == value["choose", "accuracy"] == pytest.approx(1 / 3)
    assert value["choose", "gain"] == pytest.approx(0)
    assert value["all"].to_list() == pytest.approx([4 / 7, 3 / 7, 1 / 7])
    count = table.groupby("type")["questions"].first().to_dict()
    assert count == {"verify": 4, "choose": 3, "all": 7}
    assert chance.level(frame, "verify").value == 0.5


def test_answers_outside_sets_are_refused():
    frame = rows([VERIFY] * 5, ["yes", "yes", "yes", "no", "yes"], ["yes"] * 5)
    with pytest.raises(ValueError, match=f"{VERIFY}: 4 of 5 answers are 'yes'"):
        chance.check_sets(frame)
    with pytest.raises(ValueError, match="unknown question type 'report'"):
        chance.level(frame, "report")
