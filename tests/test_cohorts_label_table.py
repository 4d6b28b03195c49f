"""Labels from a table: the cohort takes them, and a table with gaps or odd values is refused."""

from types import SimpleNamespace

import fake_ptbxl
import numpy as np
import pandas as pd
import pytest
from test_language_bert_labels import write as write_model

from ecglib.cohorts.build import build
from ecglib.cohorts.label_table import read_label_table, write_label_table
from ecglib.cohorts.store import LABEL_COLUMNS, Cohort
from ecglib.language.bert_labels import label_with_bert, main

ONE = SimpleNamespace(device="cpu", dtype="float32", threads=1, reason="test")


@pytest.fixture
def tree(tmp_path):
    root = tmp_path / "ptbxl"
    fake_ptbxl.write_tree(root)
    return root


def make(tree, out, **more) -> pd.DataFrame:
    build(out, {"data": tree}, {"source": "ptbxl"} | more, 0, ONE)
    return Cohort.open(out).records


def test_the_authors_classifier_labels_a_cohort_through_the_plan(tree, tmp_path, capsys):
    before = make(tree, tmp_path / "before")
    write_model(tmp_path / "model", 77)
    command = ["--model", str(tmp_path / "model"), "--cohort", str(tmp_path / "before")]
    assert main([*command, "--out", str(tree / "labels.csv")]) == 0
    assert f"labels of {len(before)} ECGs" in capsys.readouterr().out

    after = make(tree, tmp_path / "after", label_table="labels.csv")
    expected = label_with_bert(after["report"].tolist(), tmp_path / "model")
    assert (after[LABEL_COLUMNS].to_numpy() == expected).all()
    assert (before[LABEL_COLUMNS].to_numpy() != expected).any()
    same = ["ecg_id", "unit", "ecg", "report", "digest"]  # the split is stratified by labels
    assert after[[name for name in same if name in after]].equals(
        before[[name for name in same if name in before]]
    )
    with pytest.raises(FileExistsError, match=r"labels\.csv exists; name a new file"):
        main([*command, "--out", str(tree / "labels.csv")])


def test_an_ecg_without_a_row_is_not_guessed(tree, tmp_path):
    records = make(tree, tmp_path / "before")
    some = records["ecg_id"].tolist()[:-2]
    write_label_table(tree / "labels.csv", some, np.zeros((len(some), 77), np.int8))
    with pytest.raises(ValueError, match=r"labels\.csv lacks \d+ of \d+ ECGs of the cohort"):
        make(tree, tmp_path / "after", label_table="labels.csv")


def test_what_is_no_label_table_is_refused(tmp_path):
    path = tmp_path / "labels.csv"
    with pytest.raises(FileNotFoundError, match=r"labels\.csv: the label table named"):
        read_label_table(path)
    write_label_table(path, ["1", "2"], np.full((2, 77), -1, np.int8))
    assert (read_label_table(path)["2"] == -1).all()
    frame = pd.read_csv(path, dtype=str)
    frame.assign(label_03=["0", "0.7"]).to_csv(path, index=False)
    with pytest.raises(ValueError, match=r"holds the label '0\.7'; states are -1, 0, 1, 2, 3"):
        read_label_table(path)
    frame.assign(ecg_id="1").to_csv(path, index=False)
    with pytest.raises(ValueError, match="gives 1 ECGs more than once"):
        read_label_table(path)
    frame.drop(columns="label_76").to_csv(path, index=False)
    with pytest.raises(ValueError, match="has no column label_76"):
        read_label_table(path)


def test_the_simulator_takes_no_table(tmp_path):
    config = {"source": "synthetic", "patients": 3, "label_table": "labels.csv"}
    with pytest.raises(ValueError, match="the simulator knows its labels"):
        build(tmp_path, {}, config, 0, ONE)
