"""Building a cohort: faults to the quarantine, any number of workers, whole patients."""

import fake_ptbxl
import numpy as np
import pytest
from builds import build_cohort

from ecglib.cohorts import summary
from ecglib.cohorts.build import example, process
from ecglib.cohorts.split import shared_patients
from ecglib.labels.label_set import PRESENT, Label


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    root = tmp_path_factory.mktemp("ptbxl")
    fake_ptbxl.write_tree(root, rates=(500,))
    return root


def test_process_pads_and_crops():
    x = np.ones((12, 3000), np.float32)
    processed, n_valid, _ = process(x, 500)
    assert (processed.shape, processed.dtype, n_valid) == ((12, 2500), np.float32, 1500)
    assert not processed[:, 1500:].any()
    assert process(np.ones((12, 6000), np.float32), 500)[1] == 2500


def test_build_is_the_same_for_any_number_of_workers(tree, tmp_path, monkeypatch):
    monkeypatch.setattr("ecglib.cohorts.build.SHARD", 5)
    cohort = build_cohort(tmp_path / "one", tree, source="ptbxl")
    build_cohort(tmp_path / "two", tree, threads=2, source="ptbxl")
    names = sorted(path.name for path in (tmp_path / "one").iterdir() if path.is_file())
    shards = ["signals_00000.npy", "signals_00001.npy"]
    assert names == ["cohort.json", "quarantine.csv", "records.parquet", *shards]
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    assert len(cohort) == 8
    assert shared_patients(cohort.records) == 0
    remade = example({"source": "ptbxl"}, {"data": tree}, 0)
    assert (remade["raw"].shape, remade["rate"]) == ((12, 5000), 500)
    assert np.abs(cohort.signals([0])[0] - remade["processed"]).max() < 0.00051


def test_faults_go_to_the_quarantine_and_nothing_is_skipped(tmp_path):
    fake_ptbxl.write_tree(tmp_path, rates=(500,))
    folder = tmp_path / "records500" / "00000"
    (folder / "00002_hr.hea").unlink()
    (folder / "00003_hr.dat").write_bytes((folder / "00003_hr.dat").read_bytes()[:999])
    x = fake_ptbxl.signal(4, 5000)
    x[7] = 0.1
    fake_ptbxl.write_record(folder, "00004_hr", x, 500, 4)
    x = fake_ptbxl.signal(5, 5000)
    fake_ptbxl.write_record(folder, "00005_hr", x[[0, 1, 2, 3, 5, 4, *range(6, 12)]], 500, 5)
    fake_ptbxl.write_record(folder, "00006_hr", fake_ptbxl.signal(6, 1000), 500, 6)
    cohort = build_cohort(tmp_path / "out", tmp_path, source="ptbxl")
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


def test_a_folder_without_a_usable_ecg_makes_no_cohort(tmp_path):
    fake_ptbxl.write_tree(tmp_path, n=2, rates=(500,))
    for path in (tmp_path / "records500" / "00000").iterdir():
        path.unlink()
    with pytest.raises(ValueError, match=r"no ECG .* could be kept \(2 rejected: missing file\)"):
        build_cohort(tmp_path / "out", tmp_path, source="ptbxl")


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"source": "physionet"}, "unknown value 'physionet' of cohort key `source`"),
        ({"patient": 3}, "unknown cohort key 'patient'"),
        ({"source": "ptbxl"}, "needs a data folder"),
        ({"source": "synthetic"}, "needs the number of patients"),
        ({"source": "synthetic", "label_table": "labels.csv"}, "the simulator knows its labels"),
        ({"long_recordings": "squeeze"}, "unknown value 'squeeze' of cohort key `long_recordings`"),
    ],
)
def test_bad_settings_give_one_sentence(tmp_path, config, message):
    with pytest.raises(ValueError, match=message):
        build_cohort(tmp_path, **config)


def test_a_number_of_patients_draws_whole_patients(tree, tmp_path):
    records = build_cohort(tmp_path, tree, source="ptbxl", patients=2).records
    assert records["patient_id"].nunique() == 2
    assert len(records) == 4


def test_synthetic_cohort(tmp_path):
    reported = [label.name.lower() for label in Label][:76]
    cohort = build_cohort(tmp_path, source="synthetic", patients=12, reported_labels=reported)
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
    assert np.isnan(rows.loc[76, "percent"])  # these hospitals do not report it
