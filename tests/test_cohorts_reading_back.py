"""Agreement of the labeller with a cohort's labels, on a table that can be counted by hand."""

import numpy as np
import pandas as pd
import pytest

from ecglib.cohorts import reading_back
from ecglib.figures import bars
from ecglib.labels.label_set import ABSENT, COLUMNS, NOT_ASSESSABLE, PRESENT, UNCERTAIN


def records(rows: list[tuple[str, str, dict[int, int]]]) -> pd.DataFrame:
    """A cohort's table from (site, report, states); other labels are absent."""
    labels = np.full((len(rows), 77), ABSENT, dtype=np.int8)
    for row, (_, _, states) in zip(labels, rows, strict=True):
        row[list(states)] = list(states.values())
    sites, reports, _ = zip(*rows, strict=True)
    frame = pd.DataFrame({"site": sites, "report": reports})
    return frame.join(pd.DataFrame(labels, columns=list(COLUMNS)))


ROWS = [
    ("A", "Sinus rhythm. Left ventricular hypertrophy.", {0: PRESENT, 12: PRESENT}),
    ("B", "sinus rhythm, ? lvh", {0: PRESENT, 12: PRESENT}),
    ("B", "sinus rhythm", {0: PRESENT, 12: PRESENT}),
    ("A", "Left ventricular hypertrophy.", {12: ABSENT}),
    ("A", "Left ventricular hypertrophy.", {12: NOT_ASSESSABLE}),
    ("A", "Left ventricular hypertrophy.", {12: UNCERTAIN}),
    ("A", "", {12: PRESENT}),
    ("A", "Atrial fibrillation.", {15: PRESENT, 16: PRESENT}),
]


def test_counts_by_hand():
    table = reading_back.agreement(records(ROWS)).set_index("label")
    assert list(table.index) == [15, 16, 12]
    lvh = table.loc[12]
    assert lvh["finding"] == "left ventricular hypertrophy" and lvh["present"] == 3
    assert (
        lvh[["plain", "hedged", "unstated", "read", "doubted"]].tolist()
        == [pytest.approx(100 / 3)] * 5
    )
    assert lvh["false"] == 1 and lvh["precision"] == 0.5 and lvh["recall_of_stated"] == 1
    assert lvh["recall"] == pytest.approx(1 / 3) and lvh["f1"] == pytest.approx(0.4)
    # Fibrillation implies the irregularity that the report omits.
    assert (table.loc[16, "unstated"], table.loc[16, "recall"]) == (100, 1)
    assert np.isnan(table.loc[16, "recall_of_stated"])


def test_micro_total():
    whole = reading_back.total(reading_back.agreement(records(ROWS)))
    assert whole["precision"] == pytest.approx(3 / 4) and whole["recall"] == pytest.approx(3 / 5)
    assert whole["f1"] == pytest.approx(6 / 9) and whole["doubted"] == pytest.approx(1 / 5)


def test_of_real_reports_nobody_knows_what_was_meant_to_be_said():
    table = reading_back.agreement(records([("0", "possible lvh", {12: PRESENT})]))
    assert (
        table[["plain", "hedged", "unstated", "recall_of_stated", "precision"]]
        .isna()
        .all(axis=None)
    )
    assert table["doubted"].tolist() == [100]


def test_a_cohort_without_reports_gives_an_empty_table():
    table = reading_back.agreement(records(ROWS).assign(report=""))
    assert table.empty and np.isnan(reading_back.total(table)["f1"])
    assert len(bars.label_recovery(table).axes) == 2


def test_examples_stand_beside_their_findings():
    table = reading_back.examples(records(ROWS), count=1, min_findings=2)
    assert table["site"].tolist() == ["A", "B"]
    assert table["findings"].tolist() == [
        "sinus rhythm, left ventricular hypertrophy",
        "sinus rhythm, (left ventricular hypertrophy)",
    ]
    assert reading_back.examples(records(ROWS[3:6])).empty


def test_the_figure_has_a_bar_a_finding():
    figure = bars.label_recovery(reading_back.agreement(records(ROWS)))
    left, right = figure.axes
    assert [len(axes.get_yticks()) for axes in (left, right)] == [2, 1]
    assert left.get_yticklabels()[0].get_text() == "atrial fibrillation (1)"
