"""PTB-XL as a cohort: codes to labels and text, table to records, faults to the quarantine."""

from types import SimpleNamespace

import fake_ptbxl
import numpy as np
import pandas as pd
import pytest
from real_data import needs, real

from ecglib.cohorts import summary
from ecglib.cohorts.build import build, example, process
from ecglib.cohorts.split import shared_patients
from ecglib.cohorts.store import Cohort
from ecglib.labels import scp
from ecglib.labels.findings import FINDINGS
from ecglib.labels.label_set import ABSENT, NOT_ASSESSABLE, PRESENT, SLUGS, UNCERTAIN
from ecglib.labels.labeller import read_labels
from ecglib.sources import ptbxl

ONE = SimpleNamespace(device="cpu", dtype="float32", threads=1, reason="test")
TWO = SimpleNamespace(device="cpu", dtype="float32", threads=2, reason="test")
MINI = real("ECGLIB_PTBXL_MINI")


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    root = tmp_path_factory.mktemp("ptbxl")
    fake_ptbxl.write_tree(root)
    return root


@pytest.fixture(scope="module")
def statements():
    columns = ["code", "description", "diagnostic", "form", "rhythm"]
    frame = pd.DataFrame(fake_ptbxl.STATEMENTS, columns=columns).set_index("code")
    return frame.replace("", np.nan)


def test_every_label_and_code_is_decided_once():
    assert sorted([*scp.EXPRESSED, *scp.UNEXPRESSED]) == list(range(77))
    assert len(scp.CODES) == 71  # the statements of PTB-XL


@pytest.mark.parametrize(
    ("cell", "states"),
    [
        ("{'NORM': 100.0, 'SR': 0.0}", {0: PRESENT, 6: ABSENT, 15: ABSENT, 1: NOT_ASSESSABLE}),
        ("{'CLBBB': 100.0}", {6: PRESENT, 0: ABSENT}),
        ("{'CLBBB': 50.0}", {6: PRESENT}),
        ("{'CLBBB': 49.0}", {6: UNCERTAIN}),
        ("{'CLBBB': 0.0}", {6: PRESENT}),  # 0: the likelihood was not stated
        ("{'2AVB': 100.0}", {33: NOT_ASSESSABLE, 53: NOT_ASSESSABLE, 26: ABSENT}),
        ("{'LAO/LAE': 0.0}", {40: PRESENT, 58: ABSENT, 72: ABSENT}),
        ("{'LAO/LAE': 0.0, 'RAO/RAE': 0.0}", {40: PRESENT, 58: PRESENT, 72: PRESENT}),
        ("{'LAO/LAE': 0.0, 'RAO/RAE': 15.0}", {40: PRESENT, 58: UNCERTAIN, 72: UNCERTAIN}),
        ("{'AFIB': 0.0}", {15: PRESENT, 16: PRESENT, 38: ABSENT}),
        ("{}", {0: ABSENT, 69: NOT_ASSESSABLE}),
    ],
)
def test_codes_to_labels(cell, states, statements):
    labels = scp.labels(scp.parse(cell), statements)
    assert labels.dtype == np.int8
    assert labels.shape == (77,)
    assert {label: labels[label] for label in states} == states


def test_irregularity_and_infarctions():
    every = pd.DataFrame({"diagnostic": 0.0}, index=sorted(scp.CODES))
    labels = scp.labels({"SARRH": 0.0, "IMI": 100.0}, every)
    assert (labels[0], labels[16], labels[38]) == (PRESENT, ABSENT, UNCERTAIN)
    assert labels[14] == NOT_ASSESSABLE  # an infarction code does not state its Q waves


@pytest.mark.parametrize(
    ("axis", "left", "right"),
    [
        ("", NOT_ASSESSABLE, NOT_ASSESSABLE),
        ("MID", ABSENT, ABSENT),
        ("ALAD", PRESENT, ABSENT),
        ("LAD", UNCERTAIN, ABSENT),  # also the German left type
        ("ARAD", ABSENT, PRESENT),
        ("AXR", ABSENT, NOT_ASSESSABLE),
        ("SAG", NOT_ASSESSABLE, NOT_ASSESSABLE),
    ],
)
def test_the_axis_column_states_two_labels(axis, left, right, statements):
    labels = scp.labels({"SR": 0.0}, statements, axis)
    assert (labels[11], labels[32]) == (left, right)
    with pytest.raises(ValueError, match="unknown heart_axis 'UP'"):
        scp.labels({}, statements, "UP")


def test_report_is_rhythm_first_in_the_order_of_the_codes(statements):
    codes = scp.parse("{'CLBBB': 100.0, 'LVH': 35.0, 'PVC': 0.0, 'SR': 0.0}")
    assert scp.report(codes, statements) == (
        "sinus rhythm. complete left bundle branch block. possible left ventricular hypertrophy. "
        "ventricular premature complex."
    )
    assert scp.report({}, statements) == ""


@pytest.mark.parametrize("code", ["CLBBB", "LVH", "PVC", "SR", "AFIB", "NORM"])
def test_the_labeller_reads_from_the_text_what_the_code_says(code, statements):
    labels = scp.labels({code: 100.0}, statements)
    stated = {label for label in FINDINGS if labels[label] == PRESENT}
    read = read_labels(scp.report({code: 100.0}, statements))
    assert {label for label in FINDINGS if read.get(label) == PRESENT} == stated


def test_unknown_codes_are_refused(statements):
    with pytest.raises(ValueError, match="unknown SCP code 'XYZ'"):
        scp.labels({"XYZ": 100.0}, statements)
    with pytest.raises(ValueError, match="is not a dictionary of likelihoods"):
        scp.parse("['SR']")


def test_table_becomes_records(tree):
    records, _ = ptbxl.records(tree)
    first, second = records[:2]
    assert (first["ecg_id"], first["patient_id"]) == ("1", "101")
    assert (first["age"], second["age"]) == (90.0, 42.0)  # 300 hides an age above 89
    assert (first["sex"], second["sex"]) == ("F", "M")
    assert np.isnan(first["height"])
    assert first["weight"] == 70.0
    assert (first["site"], records[2]["site"]) == ("0", "")
    assert first["device"] == "CS-12 E"
    assert (first["verified"], second["verified"]) == (False, True)
    assert first["report"].startswith("sinus rhythm. complete left bundle branch block.")
    assert first["report_source"] == "scp"


def test_the_newer_release_gives_the_same_records(tree, tmp_path):
    """1.0.3 writes patients as 101 where 1.0.1 wrote 101.0, and lacks one ecg_id."""
    fake_ptbxl.write_tree(tmp_path, n=8, rates=(500,), release="1.0.3")
    newer = {record["ecg_id"]: record for record in ptbxl.records(tmp_path)[0]}
    older = {record["ecg_id"]: record for record in ptbxl.records(tree)[0]}
    assert "2" not in newer
    for ecg_id in ("1", "3", "8"):
        for key in ("patient_id", "age", "sex", "codes", "report", "fold", "file"):
            assert newer[ecg_id][key] == older[ecg_id][key]
    assert [older[str(i)]["fold"] for i in (1, 2, 8)] == [2, 3, 9]


def test_the_lower_rate_may_be_asked_for(tree):
    records, (lists, rate, ages) = ptbxl.records(tree, rate=100)
    assert records[0]["file"] == "records100/00000/00001_lr"
    assert lists.startswith("ptbxl_database.csv lists 8 ECGs (the whole release 1.0.1: 21837")
    assert rate == "the recordings at 100 Hz are read"
    assert ages == "1 ages above 90 years are stored as 90; 0 are not given"


def test_translation_replaces_the_statements_where_it_has_a_row(tree):
    frame = pd.DataFrame({"ecg_id": [2], "report_en": ["atrial fibrillation, old LBBB"]})
    frame.to_csv(tree / "english.csv", index=False)
    first, second = ptbxl.records(tree, "english.csv")[0][:2]
    assert (second["report"], second["report_source"]) == (
        "atrial fibrillation, old LBBB",
        "translation",
    )
    assert first["report_source"] == "scp"
    with pytest.raises(FileNotFoundError, match=r"german\.csv: the translation"):
        ptbxl.records(tree, "german.csv")


def test_process_pads_and_crops():
    x = np.ones((12, 3000), np.float32)
    processed, n_valid, _ = process(x, 500)
    assert (processed.shape, processed.dtype, n_valid) == ((12, 2500), np.float32, 1500)
    assert not processed[:, 1500:].any()
    assert process(np.ones((12, 6000), np.float32), 500)[1] == 2500


def test_build_is_the_same_for_any_number_of_workers(tree, tmp_path, monkeypatch):
    monkeypatch.setattr("ecglib.cohorts.build.SHARD", 5)
    config, inputs = {"source": "ptbxl"}, {"data": tree}
    build(tmp_path / "one", inputs, config, 0, ONE)
    build(tmp_path / "two", inputs, config, 0, TWO)
    names = sorted(path.name for path in (tmp_path / "one").iterdir() if path.is_file())
    shards = ["signals_00000.npy", "signals_00001.npy"]
    assert names == ["cohort.json", "quarantine.csv", "records.parquet", *shards]
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    cohort = Cohort.open(tmp_path / "one")
    assert len(cohort) == 8
    assert shared_patients(cohort.records) == 0
    remade = example(config, inputs, 0)
    assert remade["raw"].shape == (12, 5000)
    assert remade["rate"] == 500
    assert np.abs(cohort.signals([0])[0] - remade["processed"]).max() < 0.00051


def test_faults_go_to_the_quarantine_and_nothing_is_skipped(tmp_path):
    fake_ptbxl.write_tree(tmp_path)
    folder = tmp_path / "records500" / "00000"
    (folder / "00002_hr.hea").unlink()
    (folder / "00003_hr.dat").write_bytes((folder / "00003_hr.dat").read_bytes()[:999])
    x = fake_ptbxl.signal(4, 5000)
    x[7] = 0.1
    fake_ptbxl.write_record(folder, "00004_hr", x, 500, 4)
    x = fake_ptbxl.signal(5, 5000)
    fake_ptbxl.write_record(folder, "00005_hr", x[[0, 1, 2, 3, 5, 4, *range(6, 12)]], 500, 5)
    fake_ptbxl.write_record(folder, "00006_hr", fake_ptbxl.signal(6, 1000), 500, 6)
    build(tmp_path / "out", {"data": tmp_path}, {"source": "ptbxl"}, 0, ONE)
    cohort = Cohort.open(tmp_path / "out")
    assert cohort.records["ecg_id"].tolist() == ["1", "7", "8"]
    rejected = cohort.quarantine.set_index("file")
    reasons = {name[-8:-3]: reason for name, reason in rejected["reason"].items()}
    assert reasons == {
        "00002": "missing file",
        "00003": "unreadable file",
        "00004": "flat lead",
        "00005": "limb identities violated",
        "00006": "too short",
    }
    assert rejected["value"].str.startswith("V2: 0.0000 mV").any()
    (folder / "00001_hr.hea").unlink()
    first = example({"source": "ptbxl"}, {"data": tmp_path}, 0)["raw"]  # of the seventh ECG
    assert np.abs(first - fake_ptbxl.signal(7, 5000)).max() < 0.01


def test_folder_that_is_not_ptbxl_makes_no_cohort(tmp_path):
    with pytest.raises(FileNotFoundError, match="is not a PTB-XL folder"):
        build(tmp_path / "out", {"data": tmp_path}, {"source": "ptbxl"}, 0, ONE)
    fake_ptbxl.write_tree(tmp_path, n=2)
    for path in (tmp_path / "records500" / "00000").iterdir():
        path.unlink()
    with pytest.raises(ValueError, match=r"no ECG .* could be kept \(2 rejected: missing file\)"):
        build(tmp_path / "out", {"data": tmp_path}, {"source": "ptbxl"}, 0, ONE)


def test_bad_settings_give_one_sentence(tmp_path):
    for config, message in [
        ({"source": "physionet"}, "unknown cohort source 'physionet'"),
        ({"patient": 3}, "unknown cohort key 'patient'"),
        ({"source": "ptbxl"}, "needs a data folder"),
        ({"source": "synthetic"}, "needs the number of patients"),
    ]:
        with pytest.raises(ValueError, match=message):
            build(tmp_path, {}, config, 0, ONE)


def test_a_number_of_patients_draws_whole_patients(tree, tmp_path):
    build(tmp_path, {"data": tree}, {"source": "ptbxl", "patients": 2}, 0, ONE)
    records = Cohort.open(tmp_path).records
    assert records["patient_id"].nunique() == 2
    assert len(records) == 4


def test_synthetic_cohort(tmp_path):
    reported = [slug for slug in SLUGS if slug != "no_qrs"]
    config = {"source": "synthetic", "patients": 12, "reported_labels": reported}
    build(tmp_path, {}, config, 0, ONE)
    cohort = Cohort.open(tmp_path)
    assert cohort.records["patient_id"].nunique() == 12
    assert len(cohort.quarantine) == 0
    assert shared_patients(cohort.records) == 0
    assert (cohort.records["report"].str.len() > 0).all()
    table = summary.describe(cohort.records).set_index("property")
    assert table.loc["patients", "all"] == "12"
    rows = summary.prevalence(cohort.records)
    present = int((cohort.labels[:, 0] == PRESENT).sum())
    assert (len(rows), rows.loc[0, "present"]) == (77, present)
    assert rows.loc[0, "percent"] == pytest.approx(100 * present / len(cohort))
    assert np.isnan(rows.loc[76, "percent"])  # these hospitals do not tell of it


@needs("ECGLIB_PTBXL_MINI")
def test_real_recordings(tmp_path):
    build(tmp_path, {"data": MINI}, {"source": "ptbxl", "patients": 60}, 0, ONE)
    cohort = Cohort.open(tmp_path)
    chosen = len(cohort) + len(cohort.quarantine)
    assert chosen >= 60
    assert len(cohort) > 0.9 * chosen
    assert shared_patients(cohort.records) == 0
    assert 0 < cohort.records["age"].min() <= cohort.records["age"].max() <= 90
    signals = cohort.signals(cohort.rows())
    assert 0.3 < np.median(np.ptp(signals[:, 1], axis=1)) < 4.0  # lead II in mV, not in units
    assert set(np.unique(cohort.labels)) <= {-1, 0, 1, 2}
