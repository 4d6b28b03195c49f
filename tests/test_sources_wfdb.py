"""WFDB records, one by one and as a plain folder: leads by name, nothing guessed, one sentence."""

import shutil
from pathlib import Path

import fake_ptbxl
import numpy as np
import pandas as pd
import pytest
from builds import build_cohort
from hypothesis import given, settings
from hypothesis import strategies as st
from real_data import needs, real

from ecglib.labels.label_set import LABELS, NOT_ASSESSABLE, PRESENT, Label, column
from ecglib.run.paths import Paths
from ecglib.run.profiles import load_plan
from ecglib.sources import wfdb_folder
from ecglib.sources.wfdb_record import read_record

HALF_STEP = 0.5 / fake_ptbxl.GAIN + 1e-6  # mV; the second term is float32 rounding
REPO = Path(__file__).parents[1]
LUDB = real("ECGLIB_LUDB")


def write_one(folder: Path, name: str = "r", seed: int = 1, samples: int = 5000) -> np.ndarray:
    """Write one record at 500 Hz and return its signal in mV before quantisation."""
    x = fake_ptbxl.signal(seed, samples)
    fake_ptbxl.write_record(folder, name, x, 500, seed)
    return x


def edit(header: Path, old: str, new: str) -> None:
    """Replace text in a header; the old text must be in it."""
    text = header.read_text()
    assert old in text
    header.write_text(text.replace(old, new), encoding="utf-8")


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 10_000), samples=st.integers(1, 700), rate=st.integers(1, 2000))
def test_any_order_length_and_rate_come_back(tmp_path_factory, seed, samples, rate):
    folder = tmp_path_factory.mktemp("any")
    x = fake_ptbxl.signal(seed, samples)
    fake_ptbxl.write_record(folder, "r", x, rate, seed)
    signal, stored_rate = read_record(folder, "r")
    assert stored_rate == rate
    assert np.abs(signal - x).max() <= HALF_STEP


@pytest.mark.parametrize(
    ("gain", "unit"), [("1.0(0)", "uV"), ("1.0(0)", "µV"), ("1e6", "V"), ("1000", "")]
)
def test_header_unit_is_honoured(tmp_path, gain, unit):
    """1000 units per mV, 1 per uV and 1e6 per V store the same numbers; no unit means mV."""
    truth = write_one(tmp_path)
    line = f" {gain}/{unit} " if unit else f" {gain} "
    edit(tmp_path / "r.hea", " 1000.0(0)/mV ", line)
    assert np.abs(read_record(tmp_path, "r")[0] - truth).max() <= HALF_STEP


@pytest.mark.parametrize("stored", ["r.mat", "r.dat"])
def test_a_record_name_with_an_extension(tmp_path, stored):
    """As in the collections of the CinC Challenges 2020 and 2021: a 24-byte offset, format 16."""
    truth = write_one(tmp_path)
    data = (tmp_path / "r.dat").read_bytes()
    (tmp_path / "r.dat").unlink()
    offset = 24 if stored == "r.mat" else 0
    (tmp_path / stored).write_bytes(bytes(offset) + data)
    header = tmp_path / "r.hea"
    edit(header, "r.dat 16 ", f"{stored} 16+24 " if offset else "r.dat 16 ")
    edit(header, "r 12 500 5000", f"{stored} 12 500 5000 12-May-2020 12:33:59")
    header.write_text(header.read_text() + "# Age: 63\n# Sex: Female\n")
    signal, rate = read_record(tmp_path, "r")
    assert (rate, signal.shape) == (500.0, (12, 5000))
    assert np.abs(signal - truth).max() <= HALF_STEP
    (tmp_path / stored).unlink()
    with pytest.raises(FileNotFoundError, match="names a signal file that is missing"):
        read_record(tmp_path, "r")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("/mV", "/mmHg", "expected the unit mV, uV or V, got 'mmhg'"),
        (" 1000.0(0)/mV", " 0(0)/mV", "states no gain"),  # wfdb would take 200 per mV
        (" 1000.0(0)/mV", " large", "states no gain"),
        ("r 12 500 5000", "r 12", "states no sampling rate"),  # wfdb: 250 Hz
        ("r 12 500 5000", "r/2 12 500 5000", "expected a record of one segment"),
        ("r.dat", "../r.dat", "leads to another folder"),
        ("r 12 500 5000", "r 12 500 9000", "not a readable WFDB record"),
        ("r 12 500 5000", "r.mat 12 500 9000", "not a readable WFDB record"),
        ("r 12 500 5000", "r 12 0 5000", "states 0 samples per second"),
        ("r 12 500 5000", "r 11 500 5000", "12 signals and announces 11"),
        (" AVR\n", " vx\n", "aVR"),
    ],
)
def test_nothing_that_the_header_leaves_open_is_guessed(tmp_path, old, new, message):
    write_one(tmp_path)
    edit(tmp_path / "r.hea", old, new)
    with pytest.raises(ValueError, match=message):
        read_record(tmp_path, "r")


@pytest.fixture(scope="module")
def intact(tmp_path_factory):
    """The header of one record and the bytes that it had."""
    folder = tmp_path_factory.mktemp("garbled")
    write_one(folder, samples=500)
    header = folder / "r.hea"
    return header, header.read_bytes()


@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_a_garbled_header_is_one_kind_of_error(intact, data):
    header, original = intact
    content = bytearray(original)
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    header.write_bytes(content)
    try:
        signal, rate = read_record(header.parent, "r")
    except (FileNotFoundError, ValueError) as error:
        assert len(str(error).splitlines()) == 1
    else:
        assert signal.shape[0] == 12
        assert rate > 0


def test_missing_and_truncated_files_give_one_sentence(tmp_path):
    write_one(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"x\.hea is missing; restore it"):
        read_record(tmp_path, "x")
    data = tmp_path / "r.dat"
    data.write_bytes(data.read_bytes()[:5000])
    with pytest.raises(ValueError, match="r: not a readable WFDB record"):
        read_record(tmp_path, "r")
    data.unlink()
    with pytest.raises(FileNotFoundError, match="names a signal file that is missing"):
        read_record(tmp_path, "r")
    for name in ("../other/r", "/etc/hostname", ""):
        with pytest.raises(ValueError, match="leads out of the data folder"):
            read_record(tmp_path, name)


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    """Six 12-lead records at two depths; one of one lead; one whose header is garbage."""
    root = tmp_path_factory.mktemp("records")
    for number in range(6):
        write_one(root / f"g{number % 2}", f"A{number}", number, samples=2500)
    (root / "g0" / "holter.hea").write_text(
        "holter 1 128 900\nholter.dat 16 200/mV 12 0 0 0 0 MLII\n"
    )
    (root / "broken.hea").write_text("no header\n")
    return root


@pytest.fixture
def folder(records, tmp_path):
    """A copy of the records to change."""
    return shutil.copytree(records, tmp_path / "records")


def write_labels(root: Path, ecg_ids: list[str], **columns: object) -> pd.DataFrame:
    """Write labels.csv: label 6 present, the others absent; further columns as given."""
    frame = pd.DataFrame({"ecg_id": ecg_ids} | columns)
    for label in range(len(LABELS)):
        frame[column(label)] = int(label == Label.LBBB)
    frame.to_csv(root / "labels.csv", index=False)
    return frame


IDS = ["g0/A0", "g0/A2", "g0/A4", "g1/A1", "g1/A3", "g1/A5"]


def test_a_folder_without_a_table(folder, tmp_path):
    cohort = build_cohort(tmp_path / "out", folder, source="wfdb")
    assert cohort.records["ecg_id"].tolist() == IDS
    assert cohort.records["patient_id"].tolist() == IDS
    assert (cohort.labels == NOT_ASSESSABLE).all()
    assert (cohort.records["report"] == "").all()
    (rejected,) = cohort.quarantine.to_dict("records")
    assert (rejected["file"], rejected["reason"]) == ("broken", "unreadable file")
    listed, labels, patients = cohort.manifest["notes"]
    assert listed.startswith("7 records of twelve leads are listed; 1 headers of other records")
    assert labels.startswith("there is no label table")
    assert patients.startswith("no table names the patients: each record is taken as a patient")


def test_a_folder_with_a_table(folder, tmp_path):
    (folder / "broken.hea").unlink()
    ages, sexes = ["63", "", "40.5", "1", "2", "3"], ["Female", "m", "", "?", "M", "f"]
    known = {"patient_id": ["p", "p", "q", "q", "r", "s"], "age": ages, "sex": sexes}
    write_labels(folder, IDS, report=["LBBB. ", "", *"abcd"], site="S", **known)
    cohort = build_cohort(tmp_path / "out", folder, source="wfdb", label_table="labels.csv")
    records = cohort.records
    assert records["patient_id"].tolist() == known["patient_id"]
    assert records["sex"].tolist() == ["F", "M", "", "", "M", "F"]
    assert records["age"].tolist()[::2] == [63.0, 40.5, 2.0] and np.isnan(records["age"][1])
    assert records["report"].tolist()[:2] == ["LBBB.", ""]
    assert records["report_source"].tolist()[:2] == ["table", ""]
    assert set(records["site"]) == {"S"}
    assert (cohort.labels.sum(axis=1) == 1).all() and (
        cohort.labels[:, Label.LBBB] == PRESENT
    ).all()
    assert cohort.manifest["notes"][1:] == [
        "0 rows of labels.csv belong to no listed record",
        "the labels are those of labels.csv",
    ]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            {"patient_id": ["p", "", *"abcde"]},
            r"labels\.csv: expected a patient_id for the ECG 'g0",
        ),
        ({"age": ["old", *"123456"]}, r"labels\.csv: expected an age in years, got 'old'"),
        ({"ecg_id": ["broken"] * 7}, r"labels\.csv, line 3: this ecg_id occurs twice"),
        ({"ecg_id": ["x", "broken", *IDS[1:]]}, r"labels\.csv lacks 1 of 7 ECGs of the cohort"),
        ({"ecg_id": None}, r"labels\.csv lacks the columns ecg_id"),
        ({"label_06": 7}, r"labels\.csv holds the label '7'"),
    ],
)
def test_a_bad_table_gives_one_sentence(folder, tmp_path, columns, message):
    frame = write_labels(folder, [*IDS, "broken"])
    for name, values in columns.items():
        frame = frame.drop(columns=name) if values is None else frame.assign(**{name: values})
    frame.to_csv(folder / "labels.csv", index=False)
    with pytest.raises(ValueError, match=message):
        build_cohort(tmp_path / "out", folder, source="wfdb", label_table="labels.csv")


def test_a_folder_or_table_that_is_missing_gives_one_sentence(folder, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"labels\.csv is missing; correct `label_table`"):
        wfdb_folder.records(folder, "labels.csv")
    with pytest.raises(ValueError, match="leads out of the data folder"):
        wfdb_folder.records(folder, "../labels.csv")
    for path in folder.rglob("*.hea"):
        path.write_text("r 1 128 9\nr.dat 16 200/mV 12 0 0 0 0 MLII\n")
    with pytest.raises(FileNotFoundError, match=r"got 8 headers \(\*\.hea\) of others"):
        wfdb_folder.records(folder)


def test_the_data_plan_builds(folder, tmp_path):
    content = load_plan(Paths(REPO, tmp_path, tmp_path), "wfdb")["cohorts"]["wfdb"]
    settings_ = {key: content[key] for key in ("source", "label_table", "long_recordings")}
    assert len(build_cohort(tmp_path / "out", folder, **settings_)) == len(IDS)


@needs("ECGLIB_LUDB")
def test_a_real_folder(tmp_path):
    """As published, single leads of LUDB have inconsistent gains: III is no II - I in most."""
    cohort = build_cohort(tmp_path, LUDB, source="wfdb")
    listed = len(list(LUDB.rglob("*.hea")))
    assert len(cohort) + len(cohort.quarantine) == listed
    assert set(cohort.quarantine["reason"]) <= {"limb identities violated"}
    assert 0.3 < np.median(np.ptp(cohort.signals(cohort.rows())[:, 1], axis=1)) < 4.0  # mV
