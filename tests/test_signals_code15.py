"""Reading CODE-15 %: HDF5 parts, zero padding, dummy rows, exams that cannot be used."""

import os

import fake_code15
import h5py
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecglib.sources import code15_files

ROUNDING = 2e-6  # mV, float32


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    root = tmp_path_factory.mktemp("code15")
    return root, fake_code15.write_tree(root)


@pytest.fixture
def own(tmp_path):
    fake_code15.write_tree(tmp_path)
    return tmp_path


def test_exams_come_back_without_their_padding(tree):
    root, truth = tree
    table = code15_files.list_exams(root).exams.set_index("exam_id")
    for exam in (1001, 1002, 1003, 1004):
        signal, rate = code15_files.read(root, table.at[exam, "record"])
        assert rate == 400.0
        assert signal.dtype == np.float32
        assert signal.shape == (12, fake_code15.EXAMS[exam][1])
        assert np.abs(signal - truth[exam]).max() <= ROUNDING


def test_the_record_names_part_and_row(tree):
    """Rows of a part stand in the reverse order of the table (see the tree)."""
    table = code15_files.list_exams(tree[0]).exams.set_index("exam_id")
    assert table["record"].to_dict() == {
        1001: "exams_part0.hdf5:2",
        1002: "exams_part0.hdf5:1",
        1003: "exams_part0.hdf5:0",
        1004: "exams_part1.hdf5:1",
        1005: "exams_part1.hdf5:0",
    }


def test_the_factor_gives_millivolts(own):
    """1 in the file is 0.4694 mV."""
    fake_code15.write_part(own / "exams_part0.hdf5", [1001], [np.ones((4096, 12), np.float32)])
    signal, _ = code15_files.read(own, "exams_part0.hdf5:0")
    assert np.allclose(signal, 0.4694)


def test_dummy_rows_are_not_listed_and_zero_exams_are_refused(tree):
    root, _ = tree
    table, elsewhere, dummies, unlisted = code15_files.list_exams(root)
    assert (len(table), elsewhere, dummies, unlisted) == (5, 0, 2, 0)
    assert code15_files.exam_ids(root, "exams_part1.hdf5").tolist() == [1005, 1004, 0]
    with pytest.raises(ValueError, match=r"exams_part1\.hdf5:0: the tracing is zero throughout"):
        code15_files.read(root, table.iloc[4]["record"])


@settings(max_examples=30, deadline=None)
@given(
    before=st.integers(0, 4000),
    after=st.integers(0, 4000),
    lead=st.integers(0, 11),
    seed=st.integers(0, 1000),
)
def test_only_samples_that_are_zero_in_all_leads_are_cut(
    tmp_path_factory, before, after, lead, seed
):
    """One lead alone keeps a sample; zeros within the recording stay."""
    root = tmp_path_factory.mktemp("padding")
    first, last = min(before, 4095 - after), max(before, 4095 - after)
    x = np.zeros((12, 4096), np.float32)
    x[lead, [first, last]] = np.random.default_rng(seed).uniform(0.5, 1.0, 2)
    fake_code15.write_part(root / "exams_part0.hdf5", [1], [fake_code15.padded(x)])
    signal, _ = code15_files.read(root, "exams_part0.hdf5:0")
    assert signal.shape == (12, last - first + 1)
    assert np.abs(signal - x[:, first : last + 1]).max() <= ROUNDING


def test_a_choice_of_parts(own):
    (own / "exams_part0.hdf5").unlink()
    listing = code15_files.list_exams(own, [1])
    assert listing.exams["exam_id"].tolist() == [1004, 1005]
    assert (listing.elsewhere, listing.dummies) == (3, 1)
    with pytest.raises(FileNotFoundError, match=r"exams_part0\.hdf5 is missing .* `parts`"):
        code15_files.list_exams(own)
    with pytest.raises(ValueError, match=r"has no exam in exams_part9\.hdf5"):
        code15_files.list_exams(own, [9])


@pytest.mark.parametrize(("held", "count"), [([1002, 1003], 0), ([1001, 1002, 1003, 1001], 2)])
def test_an_exam_that_is_not_once_in_its_part_is_listed_and_refused(own, held, count):
    zeros = [np.zeros((4096, 12), np.float32)] * len(held)
    fake_code15.write_part(own / "exams_part0.hdf5", held, zeros)
    record = code15_files.list_exams(own).exams.iloc[0]["record"]
    assert record == "exams_part0.hdf5:exam_id=1001"
    with pytest.raises(ValueError, match=f"holds exam 1001 of exams.csv {count} times, not once"):
        code15_files.read(own, record)


def test_names_of_other_places_are_refused(tree):
    for name in ("../exams_part0.hdf5:1", "exams_part0.hdf5", "exams_part0.hdf5:-1", "exams.csv:1"):
        with pytest.raises(ValueError, match="names no exam"):
            code15_files.read(tree[0], name)
    with pytest.raises(ValueError, match="has 4 rows, none numbered 4"):
        code15_files.read(tree[0], "exams_part0.hdf5:4")


def test_a_truncated_part_gives_one_sentence(own):
    path = own / "exams_part0.hdf5"
    os.truncate(path, path.stat().st_size // 2)
    for call in (
        lambda: code15_files.list_exams(own),
        lambda: code15_files.read(own, "exams_part0.hdf5:0"),
    ):
        with pytest.raises(ValueError, match=r"exams_part0\.hdf5 is no readable HDF5 file .*again"):
            call()


def test_a_damaged_chunk_gives_one_sentence(own):
    """Compressed contents of another kind: opening succeeds, reading does not."""
    path = own / "exams_part0.hdf5"
    with h5py.File(path, "w") as file:
        file["exam_id"] = np.array([1001, 0])
        data = file.create_dataset(
            "tracings", (2, 4096, 12), "f4", chunks=(1, 4096, 12), compression="gzip"
        )
        data[:] = 1
        offset = data.id.get_chunk_info(0).byte_offset
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(b"\xff" * 64)
    with pytest.raises(ValueError, match=r"exams_part0\.hdf5 is damaged .* download it again"):
        code15_files.read(own, "exams_part0.hdf5:0")


@pytest.mark.parametrize(
    ("ids", "shape"), [((3,), (3, 4096, 8)), ((3,), (2, 4096, 12)), ((3,), (3, 12)), (None, (1,))]
)
def test_a_part_of_another_shape_gives_one_sentence(own, ids, shape):
    with h5py.File(own / "exams_part0.hdf5", "w") as file:
        file["tracings"] = np.zeros(shape, np.float32)
        if ids:
            file["exam_id"] = np.zeros(ids, np.int64)
    with pytest.raises(ValueError, match=r"expected are \(N,\) and \(N, 4096, 12\)"):
        code15_files.list_exams(own)


def test_a_table_of_another_kind_gives_one_sentence(own):
    table = pd.read_csv(own / "exams.csv")
    for frame, message in [
        (table.drop(columns=["AF", "trace_file"]), "lacks the columns AF, trace_file"),
        (table.assign(exam_id=7), "this exam_id stands there twice"),
        (table.assign(AF=0.5), "more than True and False in the column AF"),
        (table.assign(trace_file="../exams_part0.hdf5"), "names the part '../exams_part0.hdf5'"),
    ]:
        frame.to_csv(own / "exams.csv", index=False)
        with pytest.raises(ValueError, match=message):
            code15_files.list_exams(own)
    (own / "exams.csv").unlink()
    with pytest.raises(FileNotFoundError, match="is not a CODE-15 % folder"):
        code15_files.list_exams(own)
