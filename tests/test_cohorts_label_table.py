"""Labels from a table: the cohort takes them, and a table with gaps or odd values is refused."""

from types import SimpleNamespace

import fake_ptbxl
import numpy as np
import pandas as pd
import pytest
from test_language_bert_labels import write as write_model

from ecglib.cohorts.build import build
from ecglib.cohorts.label_table import relabel, write_label_table
from ecglib.cohorts.store import LABEL_COLUMNS, Cohort
from ecglib.language.bert_labels import label_with_bert, main

ONE = SimpleNamespace(device="cpu", dtype="float32", threads=1, reason="test")


def make(tree, out, **more) -> pd.DataFrame:
    build(out, {"data": tree}, {"source": "ptbxl"} | more, 0, ONE)
    return Cohort.open(out).records


def test_the_authors_classifier_labels_a_cohort_through_the_plan(tmp_path, capsys):
    tree = tmp_path / "ptbxl"
    fake_ptbxl.write_tree(tree)
    before = make(tree, tmp_path / "before")
    write_model(tmp_path / "model", 77)
    command = ["--model", str(tmp_path / "model"), "--cohort", str(tmp_path / "before")]
    assert main([*command, "--out", str(tree / "labels.csv")]) == 0
    assert f"labels of {len(before)} ECGs" in capsys.readouterr().out

    after = make(tree, tmp_path / "after", label_table="labels.csv")
    expected = label_with_bert(after["report"].tolist(), tmp_path / "model")
    assert (after[LABEL_COLUMNS].to_numpy() == expected).all()
    assert (before[LABEL_COLUMNS].to_numpy() != expected).any()
    same = ["ecg_id", "unit", "ecg", "report"]  # the split is stratified by labels
    assert after[same].equals(before[same])
    with pytest.raises(FileExistsError, match=r"labels\.csv exists; name a new file"):
        main([*command, "--out", str(tree / "labels.csv")])


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"label_03": ["0", "0.7"]}, r"holds the label '0\.7'; states are -1, 0, 1, 2, 3"),
        ({"ecg_id": "1"}, "line 3: this ecg_id occurs twice"),
        ({"label_76": None}, "lacks the columns label_76"),
        ({"ecg_id": ["1", "3"]}, "lacks 1 of 2 ECGs of the cohort; add a row for each"),
    ],
)
def test_a_damaged_label_table_is_refused(tmp_path, change, expected):
    path, records = tmp_path / "labels.csv", [{"ecg_id": "1"}, {"ecg_id": "2"}]
    with pytest.raises(FileNotFoundError, match=r"labels\.csv is missing; the data plan names it"):
        relabel(records, path)
    write_label_table(path, ["1", "2"], np.full((2, 77), -1, np.int8))
    assert (relabel(records, path)[1]["labels"] == -1).all()
    frame = pd.read_csv(path, dtype=str).assign(**change)
    frame.dropna(axis="columns").to_csv(path, index=False)
    with pytest.raises(ValueError, match=rf"labels\.csv.* {expected}"):
        relabel(records, path)


def test_the_simulator_takes_no_table(tmp_path):
    config = {"source": "synthetic", "patients": 3, "label_table": "labels.csv"}
    with pytest.raises(ValueError, match="the simulator knows its labels"):
        build(tmp_path, {}, config, 0, ONE)
