"""Tables that describe a cohort: people counted once, columns only where there is such a part."""

import pandas as pd

from ecglib.cohorts import summary

PLAIN = ["property", "all", "train", "validation", "test"]


def table(rows: list[tuple[str, str, str, str, bool]]) -> pd.DataFrame:
    """One ECG for each (source, patient, sex, split, tokenizer_train)."""
    columns = ["source", "patient_id", "sex", "split", "tokenizer_train"]
    given = pd.DataFrame(rows, columns=columns)
    return given.assign(
        site="A", device="d", rate=500.0, age=50.0, report="Sinus rhythm.", verified=True
    )


def test_the_same_number_in_two_sources_is_two_people():
    """Two women of source x and two men of source y share the numbers 1 and 2."""
    records = table(
        [
            ("x", "1", "F", "train", True),
            ("x", "1", "F", "train", True),
            ("x", "2", "F", "test", False),
            ("y", "1", "M", "none", True),
            ("y", "2", "M", "none", True),
            ("y", "2", "M", "none", True),
            ("z", "1", "F", "transfer", False),
        ]
    )
    described = summary.describe(records).set_index("property")
    assert described.columns.tolist() == [
        *("all", "tokenizer_train", "train", "validation", "test", "transfer")
    ]
    assert described.loc["patients"].tolist() == ["5", "3", "1", "0", "1", "1"]
    assert described.loc["ECGs"].tolist() == ["7", "5", "2", "0", "1", "1"]
    women = described.loc["women (% of patients)"].tolist()
    assert women == ["60.0", "33.3", "100.0", "-", "100.0", "100.0"]


def test_columns_that_say_no_more_than_the_split_are_left_out():
    rows = [("x", "1", "F", "train", True), ("x", "2", "M", "test", False)]
    assert summary.describe(table(rows)).columns.tolist() == PLAIN
    without_tokenizer = [(*row[:4], False) for row in rows]
    assert summary.describe(table(without_tokenizer)).columns.tolist() == PLAIN
    transfer = [*rows, ("y", "1", "M", "transfer", False)]
    assert summary.describe(table(transfer)).columns.tolist() == [*PLAIN, "transfer"]
    more = [*rows, ("y", "1", "M", "none", True)]
    expected = [*PLAIN[:2], "tokenizer_train", *PLAIN[2:]]
    assert summary.describe(table(more)).columns.tolist() == expected


def test_one_cohort_by_hand():
    records = table([("x", "1", "F", "train", True), ("x", "2", "M", "train", True)])
    records["age"] = [40.0, 60.0]
    described = summary.describe(records).set_index("property")
    assert described["train"].tolist() == [
        *("2", "2", "1", "1", "500", "50.0", "50 [45, 55]", "2 [2, 2]", "100.0")
    ]
    assert described.loc["patients"].tolist() == ["2", "2", "0", "0"]
