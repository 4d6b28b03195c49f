"""CODE-15 %: HDF5 parts, zero padding, dummy rows, unusable exams, six findings to labels."""

import os
import shutil

import fake_code15
import h5py
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecglib.cohorts.quarantine import problem
from ecglib.labels.label_set import ABSENT, NOT_ASSESSABLE, PRESENT, Label
from ecglib.sources import code15

ROUNDING = 2e-6  # mV, float32


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    root = tmp_path_factory.mktemp("code15")
    fake_code15.write_tree(root)
    return root


@pytest.fixture
def own(tree, tmp_path):
    return shutil.copytree(tree, tmp_path / "own")


def test_exams_are_listed_and_come_back_without_their_padding(tree):
    """Rows of a part have the reverse order of the table. Exams of 7.3 s pass the length rule; the
    one that is zero throughout is listed and refused."""
    records, notes = code15.records(tree)
    assert [record["file"][10:] for record in records] == [
        *("0.hdf5:2", "0.hdf5:1", "0.hdf5:0", "1.hdf5:1", "1.hdf5:0")
    ]
    for record in records[:4]:
        signal, rate = code15.read(tree, record["file"])
        truth = fake_code15.signal(int(record["ecg_id"]))
        assert (rate, signal.dtype, signal.shape) == (400.0, np.float32, truth.shape)
        assert np.abs(signal - truth).max() <= ROUNDING
        assert problem(signal, rate, 5.0) is None
    with pytest.raises(ValueError, match=r"exams_part1\.hdf5:0: the tracing is zero throughout"):
        code15.read(tree, records[4]["file"])
    first, second = records[:2]
    assert (first["ecg_id"], first["patient_id"], first["sex"]) == ("1001", "500", "M")
    assert (second["ecg_id"], second["patient_id"], second["sex"]) == ("1002", "500", "F")
    assert (second["age"], second["site"], second["report"]) == (31.0, "TNMG", "")
    assert second["findings"] == ("AF",) and not second["verified"]
    listed, left, lost = notes[:3]
    assert listed.startswith("5 exams of 2 parts are listed; 0 exams are in parts")
    assert left.startswith("2 dummy rows (exam_id 0) and 0 rows without a line")
    assert lost.startswith("0 listed exams")


def test_the_factor_gives_millivolts(own):
    """1 in the file is 0.4694 mV."""
    fake_code15.write_part(own / "exams_part0.hdf5", [1001], [np.ones((4096, 12), np.float32)])
    assert np.allclose(code15.read(own, "exams_part0.hdf5:0")[0], 0.4694)


@settings(max_examples=12)
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
    signal, _ = code15.read(root, "exams_part0.hdf5:0")
    assert signal.shape == (12, last - first + 1)
    assert np.abs(signal - x[:, first : last + 1]).max() <= ROUNDING


def test_a_choice_of_parts_and_what_is_not_listed(own):
    (own / "exams_part0.hdf5").unlink()
    exams, _ = code15.list_exams(own, [1])
    assert exams["exam_id"].tolist() == [1004, 1005]
    with pytest.raises(FileNotFoundError, match=r"exams_part0\.hdf5 is missing; .* `parts`"):
        code15.list_exams(own)
    with pytest.raises(ValueError, match=r"has no exam in exams_part9\.hdf5"):
        code15.list_exams(own, [9])
    zeros = [np.zeros((4096, 12), np.float32)] * 2
    fake_code15.write_part(own / "exams_part1.hdf5", [1004, 77], zeros)
    listed, left, lost = code15.list_exams(own, [1])[1][:3]
    assert listed.startswith("2 exams of 1 parts are listed; 3 exams are in parts")
    assert left.startswith("1 dummy rows (exam_id 0) and 1 rows without a line")
    assert lost.startswith("1 listed exams are not exactly once")


@pytest.mark.parametrize(("held", "count"), [([1002, 1003], 0), ([1001, 1002, 1003, 1001], 2)])
def test_an_exam_that_is_not_once_in_its_part_is_listed_and_refused(own, held, count):
    zeros = [np.zeros((4096, 12), np.float32)] * len(held)
    fake_code15.write_part(own / "exams_part0.hdf5", held, zeros)
    record = code15.list_exams(own)[0].iloc[0]["record"]
    assert record == "exams_part0.hdf5:exam_id=1001"
    with pytest.raises(ValueError, match=f"holds exam 1001 of exams.csv {count} times, not once"):
        code15.read(own, record)


@pytest.mark.parametrize(
    "name", ["../exams_part0.hdf5:1", "exams_part0.hdf5", "exams_part0.hdf5:-1", "exams.csv:1"]
)
def test_names_of_other_places_are_refused(tree, name):
    with pytest.raises(ValueError, match="expected an exam like"):
        code15.read(tree, name)
    with pytest.raises(ValueError, match="has 4 rows, none numbered 4"):
        code15.read(tree, "exams_part0.hdf5:4")


def test_a_truncated_part_gives_one_sentence(own):
    path = own / "exams_part0.hdf5"
    os.truncate(path, path.stat().st_size // 2)
    for call in (code15.list_exams, lambda root: code15.read(root, "exams_part0.hdf5:0")):
        with pytest.raises(ValueError, match=r"exams_part0\.hdf5 is no readable HDF5 file .*again"):
            call(own)


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
        code15.read(own, "exams_part0.hdf5:0")


@pytest.mark.parametrize(
    ("ids", "shape"), [((3,), (3, 4096, 8)), ((3,), (2, 4096, 12)), ((3,), (3, 12)), (None, (1,))]
)
def test_a_part_of_another_shape_gives_one_sentence(own, ids, shape):
    with h5py.File(own / "exams_part0.hdf5", "w") as file:
        file["tracings"] = np.zeros(shape, np.float32)
        if ids:
            file["exam_id"] = np.zeros(ids, np.int64)
    with pytest.raises(ValueError, match=r"expected exam_id \(N,\) and tracings \(N, 4096, 12\)"):
        code15.list_exams(own)


def test_a_table_of_another_kind_gives_one_sentence(own):
    table = pd.read_csv(own / "exams.csv")
    for frame, message in [
        (table.drop(columns=["AF", "trace_file"]), "lacks the columns AF, trace_file"),
        (table.assign(exam_id=7), "this exam_id occurs twice"),
        (table.assign(AF=0.5), "expected True or False in the column AF"),
        (table.assign(trace_file="../exams_part0.hdf5"), r"got '\.\./exams_part0\.hdf5'"),
    ]:
        frame.to_csv(own / "exams.csv", index=False)
        with pytest.raises(ValueError, match=message):
            code15.list_exams(own)
    (own / "exams.csv").unlink()
    with pytest.raises(FileNotFoundError, match=r"exams\.csv is missing; give the folder of CODE"):
        code15.list_exams(own)


@pytest.mark.parametrize(
    ("stated", "states"),
    [
        ((), {26: ABSENT, 22: ABSENT, 6: ABSENT, 15: ABSENT, 13: ABSENT, 0: NOT_ASSESSABLE}),
        (("1dAVb", "RBBB"), {26: PRESENT, 22: PRESENT, 6: ABSENT, 0: NOT_ASSESSABLE}),
        (("LBBB", "SB"), {6: PRESENT, 13: PRESENT, 0: PRESENT, 15: ABSENT}),
        (("ST",), {0: PRESENT, 13: ABSENT, 17: NOT_ASSESSABLE}),
        (("AF",), {15: PRESENT, 0: ABSENT, 13: NOT_ASSESSABLE}),
        (("AF", "SB"), {15: PRESENT, 0: NOT_ASSESSABLE, 13: PRESENT}),
    ],
)
def test_columns_to_labels(tree, stated, states):
    labels = code15.labels({"findings": stated}, tree)
    assert (labels.dtype, labels.shape) == (np.int8, (77,))
    assert {label: labels[label] for label in states} == states
    others = set(Label) - {*code15.SAME.values(), Label.SINUS_RHYTHM, Label.BRADYCARDIA}
    assert (labels[list(others)] == NOT_ASSESSABLE).all()
