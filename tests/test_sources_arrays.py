"""CODE-15 % (HDF5 parts, padding, six findings) and the MHI layout (Parquet table, .npy files)."""

import os

import fake_sources
import h5py
import numpy as np
import pandas as pd
import pytest
from builds import change, missing, refused
from hypothesis import given, settings
from hypothesis import strategies as st

from ecglib.cohorts.quarantine import problem
from ecglib.labels.label_set import ABSENT, LABELS, NOT_ASSESSABLE, PRESENT, Label
from ecglib.sources import code15, mhi

ROUNDING = 2e-6  # mV, float32
HALF_STEP = 0.5 * mhi.TO_MILLIVOLTS + 1e-6  # mV; the second term is float32 rounding
PART = r"exams_part0\.hdf5"


@pytest.fixture
def exams(tmp_path):
    return fake_sources.write_code15(tmp_path)


@pytest.fixture
def mhi_tree(tmp_path):
    return fake_sources.write_mhi(tmp_path)


def test_exams_are_listed_and_come_back_without_their_padding(exams):
    """Rows of a part have the reverse order of the table. Exams of 7.3 s pass the length rule; the
    one that is zero throughout is listed and refused."""
    records, notes = code15.records(exams)
    places = ["0.hdf5:2", "0.hdf5:1", "0.hdf5:0", "1.hdf5:1", "1.hdf5:0"]
    assert [record["file"] for record in records] == [f"exams_part{place}" for place in places]
    for exam, record in zip(fake_sources.EXAMS, records[:4], strict=False):
        signal, rate = code15.read(exams, record["file"])
        truth = fake_sources.signal(exam, fake_sources.EXAMS[exam][1])
        assert (rate, signal.dtype, signal.shape) == (400.0, np.float32, truth.shape)
        assert np.abs(signal - truth).max() <= ROUNDING
        assert problem(signal, rate, 5.0) is None
    refused("1.hdf5:0: the tracing is zero throughout", code15.read, exams, records[4]["file"])
    expected = {"ecg_id": "1002", "patient_id": "500", "sex": "F", "age": 31.0, "site": "TNMG"}
    expected |= {"report": "", "findings": ("AF",), "verified": False}
    assert {key: records[1][key] for key in expected} == expected
    assert (records[0]["patient_id"], records[0]["sex"]) == ("500", "M")
    assert notes[0].startswith("5 exams of 2 parts are listed; 0 exams are in parts")
    assert notes[1].startswith("2 dummy rows (exam_id 0) and 0 rows without a line")
    assert notes[2].startswith("0 listed exams")


def test_a_choice_of_parts_and_what_is_not_listed_once(exams):
    (exams / "exams_part0.hdf5").unlink()
    assert [record["ecg_id"] for record in code15.records(exams, [1])[0]] == ["1004", "1005"]
    missing(f"{PART} is missing; .* `parts`", code15.records, exams)
    refused(r"has no exam in exams_part9\.hdf5", code15.records, exams, [9])
    fake_sources.write_part(exams / "exams_part1.hdf5", [1004, 77])
    notes = code15.records(exams, [1])[1]
    assert notes[0].startswith("2 exams of 1 parts are listed; 3 exams are in parts")
    assert notes[1].startswith("1 dummy rows (exam_id 0) and 1 rows without a line")
    assert notes[2].startswith("1 listed exams are not exactly once")
    fake_sources.write_part(exams / "exams_part1.hdf5", [1], [np.ones((4096, 12), np.float32)])
    assert np.allclose(code15.read(exams, "exams_part1.hdf5:0")[0], 0.4694)  # mV per unit
    for held, count in (([1002, 1003], 0), ([1001, 1002, 1003, 1001], 2)):
        fake_sources.write_part(exams / "exams_part0.hdf5", held)
        file = code15.records(exams)[0][0]["file"]
        assert file == "exams_part0.hdf5:exam_id=1001"
        refused(f"holds exam 1001 of exams.csv {count} times, not once", code15.read, exams, file)


@settings(max_examples=12)
@given(st.integers(0, 4000), st.integers(0, 4000), st.integers(0, 11), st.integers(0, 1000))
def test_only_samples_that_are_zero_in_all_leads_are_cut(tmp_path_factory, one, other, lead, seed):
    """One lead alone keeps a sample; zeros within the recording stay."""
    root = tmp_path_factory.mktemp("padding")
    first, last = sorted((one, 4095 - other))
    x = np.zeros((12, 4096), np.float32)
    x[lead, [first, last]] = np.random.default_rng(seed).uniform(0.5, 1.0, 2)
    fake_sources.write_part(root / "exams_part0.hdf5", [1], [fake_sources.padded(x)])
    signal, _ = code15.read(root, "exams_part0.hdf5:0")
    assert signal.shape == (12, last - first + 1)
    assert np.abs(signal - x[:, first : last + 1]).max() <= ROUNDING


def test_damaged_tables_and_parts_and_other_names_give_one_sentence(exams):
    table = (exams / "exams.csv").read_text()
    for columns, message in [
        ({"AF": None, "trace_file": None}, "lacks the columns AF, trace_file"),
        ({"exam_id": 7}, "line 3: this exam_id occurs twice"),
        ({"AF": 0.5}, "expected True or False in the column AF"),
        ({"trace_file": "../exams_part0.hdf5"}, rf"got '\.\./{PART}'"),
    ]:
        (exams / "exams.csv").write_text(table)
        change(exams / "exams.csv", **columns)
        refused(message, code15.records, exams)
    (exams / "exams.csv").write_text(table)
    for name in ("../exams_part0.hdf5:1", "exams.csv:1", "exams_part0.hdf5", "exams_part0.hdf5:-1"):
        refused("expected an exam like", code15.read, exams, name)
    first = "exams_part0.hdf5:0"
    refused("has 4 rows, none numbered 4", code15.read, exams, "exams_part0.hdf5:4")
    path = exams / "exams_part0.hdf5"
    os.truncate(path, path.stat().st_size // 2)
    refused(f"{PART} is no readable HDF5 file .*again", code15.records, exams)
    refused(f"{PART} is no readable HDF5 file .*again", code15.read, exams, first)
    # Compressed contents of another kind open but cannot be read.
    with h5py.File(path, "w") as file:
        file["exam_id"] = np.array([1001, 0])
        layout = {"chunks": (1, 4096, 12), "compression": "gzip"}
        data = file.create_dataset("tracings", (2, 4096, 12), "f4", **layout)
        data[:] = 1
        offset = data.id.get_chunk_info(0).byte_offset
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(b"\xff" * 64)
    refused(f"{PART} is damaged .* download it again", code15.read, exams, first)
    for ids, shape in (((3,), (3, 4096, 8)), ((3,), (2, 4096, 12)), ((3,), (3, 12)), (None, (1,))):
        with h5py.File(path, "w") as file:
            file["tracings"] = np.zeros(shape, np.float32)
            if ids:
                file["exam_id"] = np.zeros(ids, np.int64)
        refused(r"exam_id \(N,\) and tracings \(N, 4096, 12\)", code15.records, exams)
    (exams / "exams.csv").unlink()
    missing(r"exams\.csv is missing; give the folder of CODE", code15.records, exams)


def test_columns_to_labels(exams):
    for stated, states in [
        ((), dict.fromkeys((26, 22, 6, 15, 13), ABSENT) | {0: NOT_ASSESSABLE}),
        (("1dAVb", "RBBB"), {26: PRESENT, 22: PRESENT, 6: ABSENT, 0: NOT_ASSESSABLE}),
        (("LBBB", "SB"), {6: PRESENT, 13: PRESENT, 0: PRESENT, 15: ABSENT}),
        (("ST",), {0: PRESENT, 13: ABSENT, 17: NOT_ASSESSABLE}),
        (("AF",), {15: PRESENT, 0: ABSENT, 13: NOT_ASSESSABLE}),
        (("AF", "SB"), {15: PRESENT, 0: NOT_ASSESSABLE, 13: PRESENT}),
    ]:
        labels = code15.labels({"findings": stated}, exams)
        assert (labels.dtype, labels.shape) == (np.int8, (77,))
        assert {label: labels[label] for label in states} == states
        others = set(Label) - {*code15.SAME.values(), Label.SINUS_RHYTHM, Label.BRADYCARDIA}
        assert (labels[list(others)] == NOT_ASSESSABLE).all()


@settings(max_examples=25)
@given(seed=st.integers(0, 10_000), singleton=st.booleans(), scale=st.floats(0.001, 20.0))
def test_any_signal_comes_back_from_both_shapes(tmp_path_factory, seed, singleton, scale):
    root = tmp_path_factory.mktemp("any")
    x = np.random.default_rng(seed).uniform(-scale, scale, (12, 2500))
    fake_sources.write_npy(root / "x.npy", x, singleton)
    signal, rate = mhi.read(root, "x.npy")
    assert (rate, signal.dtype) == (250.0, np.float32)
    assert np.abs(signal - x).max() <= HALF_STEP + 1e-6 * scale


def test_only_verified_reports_are_listed_and_roles_may_have_other_columns(mhi_tree):
    records, notes = mhi.records(mhi_tree)
    assert [record["file"][-8:-4] for record in records] == ["0000", "0001", "0003", "0004"]
    assert {(r["report_source"], r["verified"]) for r in records} == {("physician", True)}
    lists = "the table lists 6 ECGs, 2 without a physician's confirmation; these are "
    assert notes[0] == lists + "left out"
    everybody, notes = mhi.records(mhi_tree, verified=False)
    assert notes[0] == lists + "kept"
    assert [record["verified"] for record in everybody] == [True, True, False] * 2
    assert everybody[2]["report"] == "Sinus rhythm 2"
    assert everybody[2]["report_source"] == "machine"
    frame = pd.read_parquet(mhi_tree / "ecgs.parquet").rename(columns={"waveform_path": "npy_path"})
    frame.assign(Age=50).to_parquet(mhi_tree / "other.parquet")
    missing(r"expected one Parquet table in .*, got 2", mhi.records, mhi_tree)
    roles = {"file": "npy_path", "age": "Age", "verified": ""}
    rows, _ = mhi.read_table(mhi_tree, "other.parquet", roles, verified=False)
    assert rows.columns.tolist() == ["file", "patient", "report", "age", "verified"]
    table = (mhi.records, mhi_tree, "other.parquet")
    refused("lacks the columns 'waveform_path'", *table)
    refused("unknown role 'path'", *table, {"path": "npy_path"})
    refused("the roles file and patient must be named", *table, {"file": ""})


def test_table_becomes_records_and_labels(mhi_tree):
    """The columns of label 56 and of an exchanged file name have what real tables have: a no-break
    space, and a path that is missing or leads outside."""
    table = mhi_tree / "ecgs.parquet"
    assert fake_sources.NO_BREAK in pd.read_parquet(table).columns
    known = {"Sex": ["FEMALE", "MALE", "M", "F", None, "?"], "Age": [50.0, None, 61, 70, 80, 81]}
    paths = ["ecg_npy/0000.npy", "../x.npy", None, *(f"ecg_npy/000{i}.npy" for i in (3, 4, 5))]
    change(table, waveform_path=paths, Sinusal=[1.0, None, 0.0, 1.0, 0.0, 0.0], **known)
    columns = {"age": "Age", "sex": "Sex"}
    records, notes = mhi.records(mhi_tree, "ecgs.parquet", columns, verified=False)
    assert [record["patient_id"] for record in records[:3]] == ["7000", "7000", "7001"]
    assert [record["sex"] for record in records] == ["F", "M", "M", "F", "", ""]
    assert (records[0]["age"], records[0]["site"]) == (50.0, "MHI")
    assert np.isnan(records[1]["age"])
    assert records[0]["ecg_id"] == records[0]["file"] == "ecg_npy/0000.npy"
    signal, _ = mhi.read(mhi_tree, records[0]["file"])
    assert np.abs(signal - fake_sources.signal(300, 2500)).max() <= HALF_STEP
    for record in records[1:3]:
        refused("leads out of the data folder", mhi.read, mhi_tree, record["file"])
    labels = np.stack([mhi.labels(record, mhi_tree) for record in records])
    assert (labels.dtype, labels.shape) == (np.int8, (6, 77))
    assert labels[:, 0].tolist() == [1, NOT_ASSESSABLE, 0, 1, 0, 0]
    assert (labels[:, 1:] == [[(i + row) % 7 == 0 for i in range(1, 77)] for row in range(6)]).all()
    assert notes[1].startswith("1 label cells are empty")


def test_other_values_give_one_sentence(mhi_tree):
    table, original = mhi_tree / "ecgs.parquet", (mhi_tree / "ecgs.parquet").read_bytes()
    for columns, message in [
        ({"Afib": 2}, "expected 0 or 1 as 'Afib', got 2"),
        ({"Afib": "yes"}, "expected 0 or 1 as 'Afib', got yes"),
        ({"validated by MD": 7}, "expected 0 or 1 as 'verified', got 7"),
        ({"new_PatientID": [1, 2, None, 4, 5, 6]}, "row 2 names no patient"),
        ({"Age": "old"}, "expected an age in years, got 'old'"),
        ({LABELS[5]: None}, "lacks the columns '"),
        ({LABELS[0]: None, "new_PatientID": None}, "lacks the columns '"),
        ({"validated by MD": None}, "lacks the columns 'validated by MD'"),
    ]:
        table.write_bytes(original)
        change(table, **columns)
        roles = {"age": "Age"} if "Age" in columns else None
        refused(message, mhi.records, mhi_tree, columns=roles)
    # A table without the flag is read where the flag is not wanted.
    assert not any(record["verified"] for record in mhi.records(mhi_tree, verified=False)[0])
    refused("only verified ECGs are wanted", mhi.records, mhi_tree, columns={"verified": ""})
    for name in ("../secret.npy", "ecg_npy/../../secret.npy", "/etc/x.npy", " "):
        refused("leads out of the data folder", mhi.read, mhi_tree, name)
    missing(r"9\.npy is missing; restore it", mhi.read, mhi_tree, "ecg_npy/9.npy")
    missing(r"x\.parquet is missing; correct `table`", mhi.records, mhi_tree, "x.parquet")
    missing("got 0", mhi.records, mhi_tree / "ecg_npy")
    table.write_text("a,b\n")
    refused(r"ecgs\.parquet is no readable Parquet table", mhi.records, mhi_tree)


def test_arrays_of_another_kind_pickles_archives_and_fragments_are_refused(tmp_path):
    path = tmp_path / "x.npy"
    for array, message in [
        (np.zeros((12, 2500), np.int16), r"expected shape \(2500, 12\), got \(12, 2500\)"),
        (np.zeros((2500, 12, 2), np.int16), "not one array of shape"),
        (np.zeros(30000, np.int16), r"got \(30000,\)"),
        (np.zeros((2500, 12), np.float32), "got float32 values of unknown unit"),
        (np.zeros((2500, 12), np.uint16), "got uint16 values of unknown unit"),
    ]:
        np.save(path, array)
        refused(message, mhi.read, tmp_path, "x.npy")
    fragment = path.read_bytes()[:9000]
    np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    for content in (path.read_bytes(), b"", b"PK\x03\x04 no archive", b"no array", fragment):
        path.write_bytes(content)
        refused(r"x\.npy: not a readable \.npy file", mhi.read, tmp_path, "x.npy")
    with path.open("wb") as file:
        np.savez(file, a=np.zeros((2500, 12), np.int16))
    refused("not one array", mhi.read, tmp_path, "x.npy")
