"""Questions: balance, truth, and what is never asked."""

import numpy as np
import pandas as pd
import pytest

from ecglib.cohorts import hearts
from ecglib.cohorts.findings import FINDINGS
from ecglib.cohorts.labels import ABSENT, LABELS, PRESENT, column
from ecglib.cohorts.questions import COLUMNS, questions, templates


def cohort(number: int) -> pd.DataFrame:
    rows = []
    for index in range(number):
        rng = np.random.default_rng([2, index])
        person = hearts.draw_person("AB"[index % 2], rng)
        rows.append(hearts.labels_of(hearts.draw_state(person, person.conditions, rng)))
    return pd.DataFrame(np.array(rows), columns=[column(i) for i in range(len(LABELS))])


RECORDS = cohort(300)
ASKED = questions(RECORDS, range(300), 8, seed=1)


def by_type(kind: str) -> pd.DataFrame:
    return ASKED[ASKED["type"] == kind]


def test_columns_and_number():
    assert list(ASKED.columns) == COLUMNS
    assert (ASKED.groupby("row").size() == 8).all()
    assert not ASKED.duplicated(["row", "item"]).any() or set(
        ASKED[ASKED.duplicated(["row", "item"])]["type"]
    ) == {"choose"}


def test_verify_is_balanced_for_each_finding():
    verify = by_type("verify")
    count = pd.crosstab(verify["item"], verify["answer"])
    assert len(count) == 18 and (count["yes"] == count["no"]).all() and count["yes"].min() > 5
    assert len(verify) > 0.3 * len(ASKED)


def test_choose_answers_stand_in_either_slot_equally_often():
    choose = by_type("choose")
    single = choose[~choose["answer"].isin(["both", "none"])]
    first = [
        FINDINGS[int(item[7:9])].name == answer
        for item, answer in zip(single["item"], single["answer"], strict=True)
    ]
    assert abs(sum(first) - len(first) / 2) <= 1
    assert {"both", "none"} <= set(choose["answer"])


def test_answers_are_true():
    name = {finding.name: label for label, finding in FINDINGS.items()}
    for _, question in ASKED.iterrows():
        state = {i: RECORDS.iloc[question["row"]][column(i)] for i in FINDINGS}
        kind, rest = question["item"].split(":")
        if kind == "query":
            inside = [i for i, finding in FINDINGS.items() if finding.group == rest]
            true = {i for i in inside if state[i] == PRESENT}
            assert all(state[i] in (ABSENT, PRESENT) for i in inside)
        else:
            inside = [int(part) for part in rest.split("-")]
            true = {i for i in inside if state[i] == PRESENT}
            assert all(FINDINGS[i].name in question["question"] for i in inside)
        if kind == "verify":
            assert question["answer"] == ("yes" if true else "no")
        elif kind == "choose" and len(true) != 1:
            assert question["answer"] == ("both" if true else "none")
        else:
            said = question["answer"].split(", ")
            assert {name[part] for part in said if part != "none"} == true


def test_templates_are_listed():
    assert set(ASKED["template"]) <= set(templates())
    assert all(ASKED.groupby("template")["type"].nunique() == 1)


def test_unclear_states_are_never_asked():
    unclear = RECORDS.copy()
    unclear[column(12)] = 2
    table = questions(unclear, range(300), 8, seed=1)
    assert not table["item"].str.contains(r"\b12\b").any()
    assert "query:chamber" not in set(table["item"])


def test_allowed_labels_seed_and_rows():
    table = questions(RECORDS, [5, 3], 4, seed=1, allowed=[6, 15, 0])
    assert set(table["row"]) <= {3, 5}
    assert not table["item"].str.contains(r"choose:00|-00|verify:00").any()
    again = questions(RECORDS, range(300), 8, seed=1)
    pd.testing.assert_frame_equal(ASKED, again)
    assert not ASKED.equals(questions(RECORDS, range(300), 8, seed=2))


def test_bad_arguments():
    with pytest.raises(ValueError, match="Label 40"):
        questions(RECORDS, [0], 4, 0, allowed=[40])
    with pytest.raises(ValueError, match="per_ecg"):
        questions(RECORDS, [0], 0, 0)
    with pytest.raises(ValueError, match="each row once"):
        questions(RECORDS, [0, 0], 2, 0)
