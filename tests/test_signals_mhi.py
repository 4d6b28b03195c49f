"""Reading the MHI layout: a Parquet table, .npy files of two shapes, nothing outside the folder."""

import fake_mhi
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecglib.sources import mhi_files

HALF_STEP = 0.5 * mhi_files.TO_MILLIVOLTS + 1e-6  # mV; the second term is float32 rounding


@pytest.fixture
def tree(tmp_path):
    return tmp_path, fake_mhi.write_tree(tmp_path)


def test_both_shapes_come_back_within_half_a_quantisation_step(tree):
    root, truth = tree
    for record in mhi_files.list_records(mhi_files.find_table(root), {})["file"]:
        signal, rate = mhi_files.read(root, record)
        assert rate == 250.0
        assert signal.dtype == np.float32
        assert np.abs(signal - truth[record]).max() <= HALF_STEP


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), singleton=st.booleans(), scale=st.floats(0.001, 20.0))
def test_any_signal_comes_back(tmp_path_factory, seed, singleton, scale):
    root = tmp_path_factory.mktemp("any")
    x = np.random.default_rng(seed).uniform(-scale, scale, (12, 2500))
    fake_mhi.write_signal(root / "x.npy", x, singleton)
    assert np.abs(mhi_files.read(root, "x.npy")[0] - x).max() <= HALF_STEP + 1e-6 * scale


def test_roles_may_be_called_otherwise(tree):
    root, _ = tree
    frame = pd.read_parquet(root / "ecgs.parquet").rename(columns={"waveform_path": "npy_path"})
    frame.assign(Age=50).to_parquet(root / "other.parquet")
    with pytest.raises(FileNotFoundError, match="holds 2 Parquet tables where one is expected"):
        mhi_files.find_table(root)
    table = mhi_files.find_table(root, "other.parquet")
    rows = mhi_files.list_records(table, {"file": "npy_path", "age": "Age", "verified": ""})
    assert rows.columns.tolist() == ["file", "patient", "report", "age"]
    with pytest.raises(ValueError, match="lacks the columns 'waveform_path'"):
        mhi_files.list_records(table, {})
    with pytest.raises(ValueError, match="unknown role 'path'"):
        mhi_files.list_records(table, {"path": "npy_path"})
    with pytest.raises(ValueError, match="the roles file and patient must be named"):
        mhi_files.list_records(table, {"file": ""})


def test_a_no_break_space_in_a_column_is_a_space(tree):
    root, _ = tree
    names = pd.read_parquet(root / "ecgs.parquet").columns
    assert fake_mhi.NO_BREAK in names
    rows = mhi_files.list_records(mhi_files.find_table(root), {}, ["RV1 + SV6 > 11 mm"])
    assert rows["RV1 + SV6 > 11 mm"].tolist() == [int((56 + i) % 7 == 0) for i in range(6)]


@pytest.mark.parametrize("name", ["../secret.npy", "ecg_npy/../../secret.npy", "/etc/x.npy", " "])
def test_a_file_outside_the_folder_is_refused(tree, name):
    root, _ = tree
    np.save(root.parent / "secret.npy", np.zeros((2500, 12), np.int16))
    with pytest.raises(ValueError, match="does not stay inside the data folder"):
        mhi_files.read(root, name)


def test_missing_files_give_one_sentence(tree):
    root, _ = tree
    with pytest.raises(FileNotFoundError, match=r"9\.npy is missing although the table names it"):
        mhi_files.read(root, "ecg_npy/9.npy")
    with pytest.raises(FileNotFoundError, match=r"x\.parquet: the table named .* is missing"):
        mhi_files.find_table(root, "x.parquet")
    with pytest.raises(FileNotFoundError, match="holds 0 Parquet tables"):
        mhi_files.find_table(root / "ecg_npy")


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((12, 2500), np.int16), r"shape \(12, 2500\) instead of \(2500, 12\)"),
        (np.zeros((2000, 12), np.int16), r"shape \(2000, 12\)"),
        (np.zeros((2500, 12, 2), np.int16), "not one array of shape"),
        (np.zeros(30000, np.int16), r"shape \(30000,\)"),
        (np.zeros((2500, 12), np.float32), "float32 values are of unknown unit"),
        (np.zeros((2500, 12), np.uint16), "uint16 values are of unknown unit"),
    ],
)
def test_arrays_of_another_kind_give_one_sentence(tmp_path, array, message):
    np.save(tmp_path / "x.npy", array)
    with pytest.raises(ValueError, match=message):
        mhi_files.read(tmp_path, "x.npy")


def test_pickles_archives_and_fragments_are_refused(tmp_path):
    path = tmp_path / "x.npy"
    np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    contents = [path.read_bytes(), b"", b"PK\x03\x04 no archive", b"no array"]
    np.save(path, np.zeros((2500, 12), np.int16))
    contents.append(path.read_bytes()[:9000])
    for content in contents:
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"x\.npy: not a readable \.npy file"):
            mhi_files.read(tmp_path, "x.npy")
    with path.open("wb") as file:
        np.savez(file, a=np.zeros((2500, 12), np.int16))
    with pytest.raises(ValueError, match="not one array"):
        mhi_files.read(tmp_path, "x.npy")


def test_a_table_that_is_no_parquet_gives_one_sentence(tmp_path):
    (tmp_path / "ecgs.parquet").write_text("a,b\n")
    with pytest.raises(ValueError, match=r"ecgs\.parquet is no readable Parquet table"):
        mhi_files.list_records(mhi_files.find_table(tmp_path), {})
