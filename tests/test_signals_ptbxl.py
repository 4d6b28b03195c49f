"""Reading WFDB records of PTB-XL and MIMIC-IV-ECG: leads by name, units and gain of the header."""

import re

import fake_ptbxl
import numpy as np
import pandas as pd
import pytest

from ecglib.signals import mimic, ptbxl
from ecglib.signals.leads import LEADS, limb_identities

HALF_STEP = 0.5 / fake_ptbxl.GAIN + 1e-6  # mV; the second term is float32 rounding


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    root = tmp_path_factory.mktemp("ptbxl")
    return root, fake_ptbxl.write_tree(root)


def test_shuffled_leads_come_back_within_half_a_quantisation_step(tree):
    root, truth = tree
    for row in ptbxl.list_records(root).to_dict("records"):
        signal, rate = ptbxl.read(root, row["record"])
        assert rate == 500.0
        assert signal.dtype == np.float32
        assert signal.shape == (12, 5000)
        assert np.abs(signal - truth[row["ecg_id"]]).max() <= HALF_STEP
        assert max(limb_identities(signal).values()) < 0.002


def test_records100_is_read_where_records500_is_absent(tmp_path):
    fake_ptbxl.write_tree(tmp_path, n=2, rates=(100,))
    row = ptbxl.list_records(tmp_path).iloc[0]
    signal, rate = ptbxl.read(tmp_path, row["record"])
    assert (rate, signal.shape) == (100.0, (12, 1000))
    assert np.abs(signal - fake_ptbxl.signal(1, 1000)).max() <= HALF_STEP


def test_header_unit_is_honoured(tree, tmp_path):
    """A header in uV with gain 1 per uV stores the same numbers as one in mV with gain 1000."""
    root, truth = tree
    for suffix in (".hea", ".dat"):
        source = root / f"records500/00000/00001_hr{suffix}"
        (tmp_path / source.name).write_bytes(source.read_bytes())
    header = tmp_path / "00001_hr.hea"
    header.write_text(re.sub(r" 1000\.0\(0\)/mV", " 1.0(0)/uV", header.read_text()))
    signal, _ = ptbxl.read(tmp_path, "00001_hr")
    assert np.abs(signal - truth[1]).max() <= HALF_STEP
    header.write_text(header.read_text().replace("/uV", "/mmHg"))
    with pytest.raises(ValueError, match="unknown unit 'mmHg'"):
        ptbxl.read(tmp_path, "00001_hr")


def test_missing_file_gives_one_sentence(tree):
    root, _ = tree
    with pytest.raises(FileNotFoundError, match=r"00099_hr\.hea is missing although .* names it"):
        ptbxl.read(root, "records500/00000/00099_hr")


def test_truncated_file_gives_one_sentence(tree, tmp_path):
    root, _ = tree
    source = root / "records500/00000"
    (tmp_path / "00001_hr.hea").write_bytes((source / "00001_hr.hea").read_bytes())
    with pytest.raises(FileNotFoundError, match="names a signal file that is missing"):
        ptbxl.read(tmp_path, "00001_hr")
    (tmp_path / "00001_hr.dat").write_bytes((source / "00001_hr.dat").read_bytes()[:5000])
    with pytest.raises(ValueError, match="00001_hr: not a readable WFDB record"):
        ptbxl.read(tmp_path, "00001_hr")


def test_missing_lead_is_named(tree, tmp_path):
    root, _ = tree
    for suffix in (".hea", ".dat"):
        source = root / f"records500/00000/00001_hr{suffix}"
        (tmp_path / source.name).write_bytes(source.read_bytes())
    header = tmp_path / "00001_hr.hea"
    header.write_text(header.read_text().replace(" AVR\n", " vx\n"))
    with pytest.raises(ValueError, match="aVR"):
        ptbxl.read(tmp_path, "00001_hr")


def test_folder_that_is_not_ptbxl_gives_one_sentence(tmp_path):
    with pytest.raises(FileNotFoundError, match="is not a PTB-XL folder"):
        ptbxl.list_records(tmp_path)
    pd.DataFrame({"ecg_id": [1], "age": [3]}).to_csv(tmp_path / "ptbxl_database.csv", index=False)
    with pytest.raises(ValueError, match="lacks the columns patient_id, sex, scp_codes"):
        ptbxl.list_records(tmp_path)


def test_folder_without_records_gives_one_sentence(tmp_path):
    fake_ptbxl.write_tree(tmp_path, n=2, rates=())
    with pytest.raises(FileNotFoundError, match="neither records500 nor records100"):
        ptbxl.list_records(tmp_path)


def test_mimic_order_of_leads(tmp_path):
    """MIMIC-IV-ECG stores aVF before aVL; reading by position would break aVL = I - II/2."""
    x = fake_ptbxl.signal(3, 5000)
    stored = [0, 1, 2, 3, 5, 4, *range(6, 12)]
    path = "files/p1000/p10000001/s40000001/40000001"
    folder = (tmp_path / path).parent
    folder.mkdir(parents=True)
    fake_ptbxl.wfdb.wrsamp(
        "40000001",
        fs=500,
        units=["mV"] * 12,
        sig_name=[LEADS[i] for i in stored],
        p_signal=x[stored].T,
        fmt=["16"] * 12,
        adc_gain=[200.0] * 12,
        baseline=[0] * 12,
        write_dir=str(folder),
    )
    rows = {"subject_id": [10000001], "study_id": [40000001], "path": [path]}
    pd.DataFrame(rows).to_csv(tmp_path / "record_list.csv", index=False)
    record = mimic.list_records(tmp_path).iloc[0]["record"]
    signal, rate = mimic.read(tmp_path, record)
    assert rate == 500.0
    assert np.abs(signal - x).max() <= 0.5 / 200 + 1e-6


def test_mimic_faults_give_one_sentence(tmp_path):
    with pytest.raises(FileNotFoundError, match="is not a MIMIC-IV-ECG folder"):
        mimic.list_records(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"machine_measurements\.csv is missing"):
        mimic.list_reports(tmp_path)
