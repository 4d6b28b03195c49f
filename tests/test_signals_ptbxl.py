"""Reading WFDB records of PTB-XL: leads by name, units, gain and rate of the header."""

import re

import fake_ptbxl
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from real_data import needs, real

from ecglib.signals.leads import limb_identities
from ecglib.signals.resample import to_rate
from ecglib.sources import ptbxl_files

HALF_STEP = 0.5 / fake_ptbxl.GAIN + 1e-6  # mV; the second term is float32 rounding

MINI = real("ECGLIB_PTBXL_MINI")


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    root = tmp_path_factory.mktemp("ptbxl")
    return root, fake_ptbxl.write_tree(root)


def test_shuffled_leads_come_back_within_half_a_quantisation_step(tree):
    root, truth = tree
    for row in ptbxl_files.list_records(root).to_dict("records"):
        signal, rate = ptbxl_files.read(root, row["record"])
        assert rate == 500.0
        assert signal.dtype == np.float32
        assert signal.shape == (12, 5000)
        assert np.abs(signal - truth[row["ecg_id"]]).max() <= HALF_STEP
        assert max(limb_identities(signal).values()) < 0.002


def test_records100_is_read_where_records500_is_absent(tmp_path):
    fake_ptbxl.write_tree(tmp_path, n=2, rates=(100,))
    row = ptbxl_files.list_records(tmp_path).iloc[0]
    signal, rate = ptbxl_files.read(tmp_path, row["record"])
    assert (rate, signal.shape) == (100.0, (12, 1000))
    assert np.abs(signal - fake_ptbxl.signal(1, 1000)).max() <= HALF_STEP
    with pytest.raises(FileNotFoundError, match="holds no records500"):
        ptbxl_files.list_records(tmp_path, 500)


def test_the_lower_rate_is_read_where_it_is_asked_for(tree):
    root, _ = tree
    row = ptbxl_files.list_records(root, 100).iloc[2]
    signal, rate = ptbxl_files.read(root, row["record"])
    assert (rate, signal.shape) == (100.0, (12, 1000))
    assert np.abs(signal - fake_ptbxl.signal(3, 1000)).max() <= HALF_STEP
    with pytest.raises(ValueError, match="500 and 100 Hz, not 250 Hz"):
        ptbxl_files.list_records(root, 250)


def test_the_newer_release_reads_the_same(tmp_path):
    """1.0.3: whole patient numbers, gaps in ecg_id, leads named aVR as well as AVR."""
    truth = fake_ptbxl.write_tree(tmp_path, n=4, release="1.0.3")
    rows = ptbxl_files.list_records(tmp_path)
    assert rows["ecg_id"].tolist() == [1, 3, 4, 5]
    for row in rows.to_dict("records"):
        signal, rate = ptbxl_files.read(tmp_path, row["record"])
        assert rate == 500.0
        assert np.abs(signal - truth[row["ecg_id"]]).max() <= HALF_STEP


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 10_000), samples=st.integers(1, 700), rate=st.integers(1, 2000))
def test_any_order_length_and_rate_come_back(tmp_path_factory, seed, samples, rate):
    folder = tmp_path_factory.mktemp("any")
    x = fake_ptbxl.signal(seed, samples)
    fake_ptbxl.write_record(folder, "r", x, rate, seed)
    signal, found = ptbxl_files.read(folder, "r")
    assert found == rate
    assert np.abs(signal - x).max() <= HALF_STEP


@pytest.fixture
def one(tree, tmp_path):
    """A copy of the first record, its header and its truth."""
    root, truth = tree
    for suffix in (".hea", ".dat"):
        source = root / f"records500/00000/00001_hr{suffix}"
        (tmp_path / source.name).write_bytes(source.read_bytes())
    return tmp_path, tmp_path / "00001_hr.hea", truth[1]


@pytest.mark.parametrize(
    ("gain", "unit"), [("1.0(0)", "uV"), ("1.0(0)", "µV"), ("1e6", "V"), ("1000", "")]
)
def test_header_unit_is_honoured(one, gain, unit):
    """1000 units per mV, 1 per uV and 1e6 per V store the same numbers; no unit means mV."""
    root, header, truth = one
    line = f" {gain}/{unit} " if unit else f" {gain} "
    header.write_text(re.sub(r" 1000\.0\(0\)/mV ", line, header.read_text()), encoding="utf-8")
    signal, _ = ptbxl_files.read(root, "00001_hr")
    assert np.abs(signal - truth).max() <= HALF_STEP


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("/mV", "/mmHg", "unknown unit 'mmhg'"),
        (" 1000.0(0)/mV", " 0(0)/mV", "states no gain"),  # wfdb would take 200 per mV
        (" 1000.0(0)/mV", " large", "states no gain"),
        ("00001_hr 12 500 5000", "00001_hr 12", "states no sampling rate"),  # wfdb: 250 Hz
        ("00001_hr 12 500 5000", "00001_hr/2 12 500 5000", "of several segments"),
        ("00001_hr.dat", "../00001_hr.dat", "leads to another folder"),
        ("00001_hr 12 500 5000", "00001_hr 12 500 9000", "not a readable WFDB record"),
        ("00001_hr 12 500 5000", "00001_hr 12 0 5000", "states 0 samples a second"),
        ("00001_hr 12 500 5000", "00001_hr 11 500 5000", "12 signals and announces 11"),
    ],
)
def test_nothing_that_the_header_leaves_open_is_guessed(one, old, new, message):
    root, header, _ = one
    header.write_text(header.read_text().replace(old, new))
    with pytest.raises(ValueError, match=message):
        ptbxl_files.read(root, "00001_hr")


@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_a_garbled_header_is_one_kind_of_error(tree, tmp_path_factory, data):
    root, _ = tree
    source = root / "records500/00000/00001_hr.hea"
    folder = tmp_path_factory.mktemp("garbled")
    (folder / "00001_hr.dat").write_bytes(source.with_suffix(".dat").read_bytes())
    content = bytearray(source.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    (folder / "00001_hr.hea").write_bytes(content)
    try:
        signal, rate = ptbxl_files.read(folder, "00001_hr")
    except (FileNotFoundError, ValueError) as error:
        assert len(str(error).splitlines()) == 1
    else:
        assert signal.shape[0] == 12
        assert rate > 0


def test_missing_file_gives_one_sentence(tree):
    root, _ = tree
    with pytest.raises(FileNotFoundError, match=r"00099_hr\.hea is missing although .* names it"):
        ptbxl_files.read(root, "records500/00000/00099_hr")


def test_truncated_file_gives_one_sentence(tree, tmp_path):
    root, _ = tree
    source = root / "records500/00000"
    (tmp_path / "00001_hr.hea").write_bytes((source / "00001_hr.hea").read_bytes())
    with pytest.raises(FileNotFoundError, match="names a signal file that is missing"):
        ptbxl_files.read(tmp_path, "00001_hr")
    (tmp_path / "00001_hr.dat").write_bytes((source / "00001_hr.dat").read_bytes()[:5000])
    with pytest.raises(ValueError, match="00001_hr: not a readable WFDB record"):
        ptbxl_files.read(tmp_path, "00001_hr")


def test_missing_lead_is_named(tree, tmp_path):
    root, _ = tree
    for suffix in (".hea", ".dat"):
        source = root / f"records500/00000/00001_hr{suffix}"
        (tmp_path / source.name).write_bytes(source.read_bytes())
    header = tmp_path / "00001_hr.hea"
    header.write_text(header.read_text().replace(" AVR\n", " vx\n"))
    with pytest.raises(ValueError, match="aVR"):
        ptbxl_files.read(tmp_path, "00001_hr")


def test_folder_that_is_not_ptbxl_gives_one_sentence(tmp_path):
    with pytest.raises(FileNotFoundError, match="is not a PTB-XL folder"):
        ptbxl_files.list_records(tmp_path)
    pd.DataFrame({"ecg_id": [1], "age": [3]}).to_csv(tmp_path / "ptbxl_database.csv", index=False)
    with pytest.raises(ValueError, match="lacks the columns patient_id, sex, scp_codes"):
        ptbxl_files.list_records(tmp_path)


def test_folder_without_records_gives_one_sentence(tmp_path):
    fake_ptbxl.write_tree(tmp_path, n=2, rates=())
    with pytest.raises(FileNotFoundError, match="neither records500 nor records100"):
        ptbxl_files.list_records(tmp_path)


def test_a_file_outside_the_folder_is_refused(tree):
    root, _ = tree
    for name in ("../other/00001_hr", "/etc/hostname", ""):
        with pytest.raises(ValueError, match="does not stay inside the data folder"):
            ptbxl_files.read(root, name)


@needs("ECGLIB_PTBXL_MINI")
def test_real_recordings_at_both_rates():
    """The 100 Hz file holds the same ECG; only hum and muscle noise tell it from the other."""
    fine, coarse = ptbxl_files.list_records(MINI, 500), ptbxl_files.list_records(MINI, 100)
    agreement = []
    for record, lower in list(zip(fine["record"], coarse["record"], strict=True))[::10]:
        signal, rate = ptbxl_files.read(MINI, record)
        slow, slow_rate = ptbxl_files.read(MINI, lower)
        assert (rate, signal.shape, slow_rate, slow.shape) == (500, (12, 5000), 100, (12, 1000))
        pairs = zip(to_rate(signal, 500, 100), slow, strict=True)
        agreement.append(np.median([np.corrcoef(a, b)[0, 1] for a, b in pairs]))
        # Single samples of real files break the identities; the signal as a whole obeys them.
        one, two, three = signal[:3]
        assert np.median(np.abs(three - (two - one))) < 0.003
        assert 0.2 < np.ptp(two) < 8.0  # mV, not units
    assert np.median(agreement) > 0.97
    assert min(agreement) > 0.8
