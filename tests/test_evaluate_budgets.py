"""The table of budgets adds up trainings, reads both kinds of files, and names what is wrong."""

import json
from pathlib import Path

import pytest
from builds import refused

from ecglib.evaluate import budgets

TUNED = {"updates": 250, "ecg_views": 4000, "supervised_tokens": 123456, "labels": 0}
TUNED |= {"flops": 2.5e15}
WARMED = {"updates": 20, "ecg_views": 1280, "supervised_tokens": 0, "labels": 900, "flops": 10**12}


def training(folder: Path, budget: dict | None) -> Path:
    """A folder as a training of a language system leaves it."""
    folder.mkdir()
    if budget is not None:
        (folder / "budget.json").write_text(json.dumps(budget))
    return folder


def test_trainings_of_a_method_add_up_and_methods_keep_their_order(tmp_path):
    tuned, warmed = training(tmp_path / "tuned", TUNED), training(tmp_path / "warmed", WARMED)
    head = tmp_path / "head"  # a classifier: three updates, 96 views of 32 ECGs
    head.mkdir()
    (head / "history.csv").write_text("step,loss\n0,0.7\n1,0.6\n2,0.5\n")
    (head / "budget.csv").write_text(
        "parameters,mflops_per_ecg,epochs,ecg_views,labelled_ecgs\n1000,2.5,3,96,32\n"
    )
    table = budgets.read({"no_ecg": tuned, "ecg_tok": [warmed, tuned], "probe": head, "floor": []})
    assert table.to_numpy().tolist() == [
        ["no_ecg", 250, 4000, 123456, 0, 2_500_000_000_000_000],
        ["ecg_tok", 270, 5280, 123456, 900, 2_501_000_000_000_000],
        ["probe", 3, 96, 0, 32, 720_000_000],  # 3 passes of 2.5 million operations
        ["floor", 0, 0, 0, 0, 0],
    ]
    texts = budgets.formatted(table)
    assert list(texts) == ["method", *budgets.COLUMNS.values()]
    assert texts.iloc[1].tolist() == ["ecg_tok", "270", "5,280", "123,456", "900", "2.5e+15"]


WRONG = {
    "expected the keys updates": TUNED | {"seconds": 3},
    "expected labels of 0 or more, got None": TUNED | {"labels": None},
    "expected updates of 0 or more, got -1": TUNED | {"updates": -1},
    "expected flops of 0 or more, got nan": TUNED | {"flops": float("nan")},
}


@pytest.mark.parametrize("message", WRONG)
def test_a_budget_that_is_wrong_is_named(message, tmp_path):
    refused(message, budgets.read, {"a": training(tmp_path / "a", WRONG[message])})


def test_a_training_without_a_budget_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"expected budget\.json or budget\.csv in .*/a"):
        budgets.read({"a": training(tmp_path / "a", None)})
