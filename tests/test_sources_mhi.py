"""The MHI layout: a Parquet table with roles of columns, .npy files, 77 labels, a verified flag."""

import fake_mhi
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecglib.labels.label_set import LABELS, NOT_ASSESSABLE
from ecglib.sources import mhi

HALF_STEP = 0.5 * mhi.TO_MILLIVOLTS + 1e-6  # mV; the second term is float32 rounding


@pytest.fixture
def tree(tmp_path):
    fake_mhi.write_tree(tmp_path)
    return tmp_path


def rewrite(root, **columns):
    frame = pd.read_parquet(root / "ecgs.parquet").assign(**columns)
    frame.to_parquet(root / "ecgs.parquet", index=False)


@settings(max_examples=25)
@given(seed=st.integers(0, 10_000), singleton=st.booleans(), scale=st.floats(0.001, 20.0))
def test_any_signal_comes_back(tmp_path_factory, seed, singleton, scale):
    root = tmp_path_factory.mktemp("any")
    x = np.random.default_rng(seed).uniform(-scale, scale, (12, 2500))
    fake_mhi.write_signal(root / "x.npy", x, singleton)
    signal, rate = mhi.read(root, "x.npy")
    assert (rate, signal.dtype) == (250.0, np.float32)
    assert np.abs(signal - x).max() <= HALF_STEP + 1e-6 * scale


def test_roles_may_have_other_columns(tree):
    frame = pd.read_parquet(tree / "ecgs.parquet").rename(columns={"waveform_path": "npy_path"})
    frame.assign(Age=50).to_parquet(tree / "other.parquet")
    with pytest.raises(FileNotFoundError, match=r"expected one Parquet table in .*, got 2"):
        mhi.read_table(tree)
    roles = {"file": "npy_path", "age": "Age", "verified": ""}
    rows, _ = mhi.read_table(tree, "other.parquet", roles, verified=False)
    assert rows.columns.tolist() == ["file", "patient", "report", "age", "verified"]
    for columns, message in [
        ({}, "lacks the columns 'waveform_path'"),
        ({"path": "npy_path"}, "unknown role 'path'"),
        ({"file": ""}, "the roles file and patient must be named"),
    ]:
        with pytest.raises(ValueError, match=message):
            mhi.read_table(tree, "other.parquet", columns)


@pytest.mark.parametrize("name", ["../secret.npy", "ecg_npy/../../secret.npy", "/etc/x.npy", " "])
def test_a_file_outside_the_folder_is_refused(tmp_path, name):
    np.save(tmp_path / "secret.npy", np.zeros((2500, 12), np.int16))
    with pytest.raises(ValueError, match="leads out of the data folder"):
        mhi.read(tmp_path / "tree", name)


def test_missing_and_unreadable_files_give_one_sentence(tree):
    with pytest.raises(FileNotFoundError, match=r"9\.npy is missing; restore it"):
        mhi.read(tree, "ecg_npy/9.npy")
    with pytest.raises(FileNotFoundError, match=r"x\.parquet is missing; correct `table`"):
        mhi.read_table(tree, "x.parquet")
    with pytest.raises(FileNotFoundError, match="got 0"):
        mhi.read_table(tree / "ecg_npy")
    (tree / "ecgs.parquet").write_text("a,b\n")
    with pytest.raises(ValueError, match=r"ecgs\.parquet is no readable Parquet table"):
        mhi.read_table(tree)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((12, 2500), np.int16), r"expected shape \(2500, 12\), got \(12, 2500\)"),
        (np.zeros((2000, 12), np.int16), r"got \(2000, 12\)"),
        (np.zeros((2500, 12, 2), np.int16), "not one array of shape"),
        (np.zeros(30000, np.int16), r"got \(30000,\)"),
        (np.zeros((2500, 12), np.float32), "got float32 values of unknown unit"),
        (np.zeros((2500, 12), np.uint16), "got uint16 values of unknown unit"),
    ],
)
def test_arrays_of_another_kind_give_one_sentence(tmp_path, array, message):
    np.save(tmp_path / "x.npy", array)
    with pytest.raises(ValueError, match=message):
        mhi.read(tmp_path, "x.npy")


def test_pickles_archives_and_fragments_are_refused(tmp_path):
    path = tmp_path / "x.npy"
    np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    contents = [path.read_bytes(), b"", b"PK\x03\x04 no archive", b"no array"]
    np.save(path, np.zeros((2500, 12), np.int16))
    contents.append(path.read_bytes()[:9000])
    for content in contents:
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"x\.npy: not a readable \.npy file"):
            mhi.read(tmp_path, "x.npy")
    with path.open("wb") as file:
        np.savez(file, a=np.zeros((2500, 12), np.int16))
    with pytest.raises(ValueError, match="not one array"):
        mhi.read(tmp_path, "x.npy")


def test_only_verified_reports_are_listed_and_the_others_counted(tree):
    records, notes = mhi.records(tree)
    assert [record["file"][-8:-4] for record in records] == ["0000", "0001", "0003", "0004"]
    assert {(record["report_source"], record["verified"]) for record in records} == {
        ("physician", True)
    }
    assert notes[0] == (
        "the table lists 6 ECGs, 2 without a physician's confirmation; these are left out"
    )
    everybody, notes = mhi.records(tree, verified=False)
    assert notes[0].endswith("2 without a physician's confirmation; these are kept")
    assert [record["verified"] for record in everybody] == [True, True, False] * 2
    third = everybody[2]
    assert (third["report"], third["report_source"]) == ("Sinus rhythm 2", "machine")


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
    """Label 56 too, whose column has a no-break space in this table."""
    assert fake_mhi.NO_BREAK in pd.read_parquet(tree / "ecgs.parquet").columns
    rewrite(tree, Sinusal=[1.0, None, 0.0, 1.0, 0.0, 0.0])
    records, notes = mhi.records(tree, verified=False)
    labels = np.stack([mhi.labels(record, tree) for record in records])
    assert (labels.dtype, labels.shape) == (np.int8, (6, 77))
    assert labels[:, 0].tolist() == [1, NOT_ASSESSABLE, 0, 1, 0, 0]
    assert (labels[:, 1:] == [[(i + row) % 7 == 0 for i in range(1, 77)] for row in range(6)]).all()
    assert notes[1].startswith("1 label cells are empty")


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"Afib": 2}, "expected 0 or 1 as 'Afib', got 2"),
        ({"Afib": "yes"}, "expected 0 or 1 as 'Afib', got yes"),
        ({"validated by MD": 7}, "expected 0 or 1 as 'verified', got 7"),
        ({"new_PatientID": [1, 2, None, 4, 5, 6]}, "row 2 names no patient"),
        ({"Age": "old"}, "expected an age in years, got 'old'"),
    ],
)
def test_other_values_give_one_sentence(tree, columns, message):
    rewrite(tree, **columns)
    with pytest.raises(ValueError, match=message):
        mhi.records(tree, columns={"age": "Age"} if "Age" in columns else None)


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
    rewrite(tree, waveform_path=["../x.npy", None, *(f"ecg_npy/{i:04d}.npy" for i in (2, 3, 4, 5))])
    for record in mhi.records(tree)[0][:2]:
        with pytest.raises(ValueError, match="leads out of the data folder"):
            mhi.read(tree, record["file"])
