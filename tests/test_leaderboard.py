"""The leaderboard: the run's own predictions, submitted by a stranger, have the run's value."""

from pathlib import Path

import pandas as pd
import pytest
from docs_script import names_of

REPO = Path(__file__).resolve().parents[1]
SAVED = REPO / "reports" / "synthetic-laptop" / "predictions"


@pytest.fixture(scope="module")
def board() -> dict:
    """The script's names."""
    return names_of("leaderboard.py")


def submit(folder: Path, name: str, file: str, frame: pd.DataFrame) -> None:
    """Write a submission."""
    (folder / name / "predictions").mkdir(parents=True, exist_ok=True)
    (folder / name / "card.md").write_text(f"# {name} of a stranger\n\nMore.\n")
    frame.to_parquet(folder / name / "predictions" / f"{file}.parquet", index=False)


def test_ranks_follow_the_values_and_not_what_is_printed(board: dict):
    table = pd.read_csv(SAVED.parent / "tables" / "03_auc_overall.csv")
    table = table[table["average"] == "macro"].sort_values("value", ascending=False)
    names = [board["style"].method(name).name for name in table["method"]]
    lines = board["leaderboard"]().split("### ")[1].splitlines()[4:]
    assert [line.split(" | ")[1] for line in lines if line] == names


def test_a_stranger_is_scored_like_the_run_or_left_out_with_a_reason(tmp_path: Path, board: dict):
    answers, reports = map(names_of("committed.py")["every_seed"], ("06_answers", "04_reports"))
    answers = answers[answers["method"] == "heartllm"].assign(method="theirs")
    reports = reports[reports["method"] == "ecg_tok"].assign(method="theirs")
    submit(tmp_path, "one", "answers", answers)
    submit(tmp_path, "one", "reports", reports)
    asked = answers.index[answers["item"].str.startswith("verify:")]
    submit(tmp_path, "two", "answers", answers.drop(index=asked[0]))
    submit(tmp_path, "three", "answers", answers.drop(columns="unit"))
    text = board["leaderboard"](tmp_path)
    _, _, in_reports, in_answers = text.split("### ")
    for part, name in ((in_reports, "| ECG-Tok |"), (in_answers, "| HeartLLM |")):
        (line,) = (of for of in part.splitlines() if "one of a stranger" in of)
        (own,) = (of for of in part.splitlines() if name in of)
        assert line.split("|")[3] == own.split("|")[3]
        assert "(../reports/submissions/one/card.md)" in line
    assert "Left out: two, because answers.parquet lacks 1 of" in text
    assert "Left out: three, because answers.parquet: expected the columns" in text
