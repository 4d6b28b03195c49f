"""The MHI layout as a cohort: roles of columns, 77 labels, the verified flag."""

import fake_mhi
import numpy as np
import pandas as pd
import pytest

from ecglib.labels.label_set import LABELS, NOT_ASSESSABLE
from ecglib.sources import mhi


@pytest.fixture
def tree(tmp_path):
    fake_mhi.write_tree(tmp_path)
    return tmp_path


def rewrite(root, **columns):
    frame = pd.read_parquet(root / "ecgs.parquet").assign(**columns)
    frame.to_parquet(root / "ecgs.parquet", index=False)


def test_only_verified_reports_are_listed_and_the_others_counted(tree):
    records, notes = mhi.records(tree)
    assert [record["file"][-8:-4] for record in records] == ["0000", "0001", "0003", "0004"]
    assert all(record["verified"] for record in records)
    assert {record["report_source"] for record in records} == {"physician"}
    assert notes[0] == (
        "the table lists 6 ECGs, 2 without a physician's confirmation; these are left out"
    )
    everybody, notes = mhi.records(tree, verified=False)
    assert notes[0].endswith("2 without a physician's confirmation; these are kept")
    assert [record["verified"] for record in everybody] == [True, True, False] * 2
    assert everybody[2]["report"] == "Sinus rhythm 2"
    assert everybody[2]["report_source"] == "machine"


def test_table_becomes_records(tree):
    sexes, ages = ["FEMALE", "MALE", "M", "F", None, "?"], [50.0, None, 61.0, 70.0, 80.0, 81.0]
    rewrite(tree, Sex=sexes, Age=ages)
    columns = {"age": "Age", "sex": "Sex"}
    records, _ = mhi.records(tree, "ecgs.parquet", columns, verified=False)
    assert [record["patient_id"] for record in records[:3]] == ["7000", "7000", "7001"]
    assert [record["sex"] for record in records] == ["F", "M", "M", "F", "", ""]
    assert (records[0]["age"], records[0]["site"]) == (50.0, "MHI")
    assert np.isnan(records[1]["age"])
    assert records[0]["ecg_id"] == records[0]["file"] == "ecg_npy/0000.npy"
    assert len(mhi.read(tree, records[0]["file"])[0]) == 12


def test_labels_are_those_of_the_table(tree):
    rewrite(tree, Sinusal=[1.0, None, 0.0, 1.0, 0.0, 0.0])
    records, notes = mhi.records(tree, verified=False)
    for number, record in enumerate(records):
        labels = mhi.labels(record, tree)
        assert (labels.dtype, labels.shape) == (np.int8, (77,))
        expected = [int((i + number) % 7 == 0) for i in range(1, 77)]
        assert labels[1:].tolist() == expected
    states = [mhi.labels(record, tree)[0] for record in records]
    assert states == [1, NOT_ASSESSABLE, 0, 1, 0, 0]
    assert notes[1].startswith("1 label cells are empty")


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"Afib": 2}, "holds '2' as 'Afib', not 0 or 1"),
        ({"Afib": "yes"}, "holds 'yes' as 'Afib', not 0 or 1"),
        ({"validated by MD": 7}, "holds '7' as 'verified', not 0 or 1"),
        ({"new_PatientID": [1, 2, None, 4, 5, 6]}, "row 2 names no patient"),
    ],
)
def test_other_values_give_one_sentence(tree, columns, message):
    rewrite(tree, **columns)
    with pytest.raises(ValueError, match=message):
        mhi.records(tree)


def test_missing_columns_give_one_sentence(tree):
    frame = pd.read_parquet(tree / "ecgs.parquet")
    for absent in ([LABELS[5]], [LABELS[0], "new_PatientID"], ["validated by MD"]):
        frame.drop(columns=absent).to_parquet(tree / "ecgs.parquet")
        with pytest.raises(ValueError, match="lacks the columns '"):
            mhi.records(tree)
    everybody, _ = mhi.records(tree, verified=False)  # the flag is still missing
    assert [record["verified"] for record in everybody] == [False] * 6
    with pytest.raises(ValueError, match="only verified ECGs are wanted"):
        mhi.records(tree, columns={"verified": ""})


def test_a_path_that_is_missing_or_leads_outside_is_listed_and_refused(tree):
    paths = ["../x.npy", None, *(f"ecg_npy/{i:04d}.npy" for i in (2, 3, 4, 5))]
    rewrite(tree, waveform_path=paths)
    for record in mhi.records(tree)[0][:2]:
        with pytest.raises(ValueError, match="does not stay inside the data folder"):
            mhi.read(tree, record["file"])


def test_an_age_that_is_no_number_gives_one_sentence(tree):
    rewrite(tree, Age="old")
    with pytest.raises(ValueError, match="holds 'old' as an age in years"):
        mhi.records(tree, columns={"age": "Age"})
