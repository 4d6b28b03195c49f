"""Building a cohort: faults, any number of workers, whole patients, long recordings, spikes."""

import fake_sources
import numpy as np
import pytest
from builds import build_cohort, refused

from ecglib.cohorts import long_recordings, summary
from ecglib.cohorts.build import example, process
from ecglib.cohorts.quarantine import clip_spikes, problem
from ecglib.cohorts.split import shared_patients
from ecglib.labels.label_set import PRESENT, Label
from ecglib.signals.leads import LEADS
from ecglib.signals.quality import score

V2 = LEADS.index("V2")


def test_build_is_the_same_for_any_number_of_workers(tmp_path, monkeypatch):
    tree = fake_sources.write_ptbxl(tmp_path, rates=(500,))
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
    drawn = build_cohort(tmp_path / "drawn", tree, source="ptbxl", patients=2).records
    assert (drawn["patient_id"].nunique(), len(drawn)) == (2, 4)  # whole patients
    remade = example({"source": "ptbxl"}, {"data": tree}, 0)
    assert (remade["raw"].shape, remade["rate"]) == ((12, 5000), 500)
    assert np.abs(cohort.signals([0])[0] - remade["processed"]).max() < 0.00051


def test_faults_go_to_the_quarantine_and_nothing_is_skipped(tmp_path):
    fake_sources.write_ptbxl(tmp_path, rates=(500,))
    folder = tmp_path / "records500" / "00000"
    flat, exchanged = fake_sources.signal(4, 5000), fake_sources.signal(5, 5000)
    flat[V2] = 0.1
    exchanged[[4, 5]] = exchanged[[5, 4]]
    for number, x in ((4, flat), (5, exchanged), (6, fake_sources.signal(6, 1000))):
        fake_sources.write_record(folder, f"{number:05d}_hr", x, 500, number)
    (folder / "00003_hr.dat").write_bytes((folder / "00003_hr.dat").read_bytes()[:999])
    (folder / "00002_hr.hea").unlink()
    cohort = build_cohort(tmp_path / "out", tmp_path, source="ptbxl")
    assert cohort.records["ecg_id"].tolist() == ["1", "7", "8"]
    rejected = cohort.quarantine
    reasons = ["missing file", "unreadable file", "flat lead", "limb identities violated"]
    assert rejected["file"].str[-8:-3].tolist() == [f"{number:05d}" for number in range(2, 7)]
    assert rejected["reason"].tolist() == [*reasons, "too short"]
    assert rejected["value"].str.startswith("V2: 0.0000 mV").any()
    (folder / "00001_hr.hea").unlink()
    first = example({"source": "ptbxl"}, {"data": tmp_path}, 0)["raw"]  # of the seventh ECG
    assert np.abs(first - fake_sources.signal(7, 5000)).max() < 0.01
    for path in folder.iterdir():
        path.unlink()
    nothing = r"no ECG .* could be kept \(8 rejected: missing file\)"
    refused(nothing, build_cohort, tmp_path / "none", tmp_path, source="ptbxl")


def test_a_synthetic_cohort_and_bad_settings(tmp_path):
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
    for config, message in [
        ({"source": "physionet"}, "unknown value 'physionet' of cohort key `source`"),
        ({"patient": 3}, "unknown cohort key 'patient'"),
        ({"source": "ptbxl"}, "needs a data folder"),
        ({"source": "synthetic"}, "needs the number of patients"),
        ({"source": "synthetic", "label_table": "labels.csv"}, "the simulator knows its labels"),
        ({"long_recordings": "squeeze"}, "unknown value 'squeeze' of cohort key `long_recordings`"),
    ]:
        refused(message, build_cohort, tmp_path, **config)


def test_long_recordings_are_cut_or_become_windows_and_short_ones_are_padded():
    cut, known = long_recordings.cut, {"ecg_id": "7", "file": "a/7", "patient_id": "p"}
    sizes = ((5000, 500), (100, 500), (2500, 250), (1280, 128), (0, 500), (9, np.nan))
    for samples, rate in sizes:
        short = {"signal": np.zeros((12, samples), np.float32), "rate": rate} | known
        for way in long_recordings.WAYS:
            assert cut(short, way)[0] is short and long_recordings.notes([short], way) == []
    signal = np.arange(12_800, dtype=np.float32) * np.ones((12, 1), np.float32)
    long = {"signal": signal, "rate": 400.0} | known
    (first,) = cut(long, "cut")
    assert first["signal"].shape == (12, 4000) and first["signal"][0, 0] == 0
    assert (first["ecg_id"], first["file"], first["recorded"]) == ("7", "a/7", 32.0)
    (note,) = long_recordings.notes([first], "cut")
    assert note.startswith("1 ECGs are the first 10 s of longer") and "lasts 32.0 s" in note
    for window, second in zip(cut(long, "windows"), (0, 10, 20), strict=True):
        assert (window["ecg_id"], window["file"]) == (f"7@{second}", f"a/7@{second}")
        assert window["signal"].shape == (12, 4000) and window["patient_id"] == "p"
        assert window["signal"][0, 0] == 400 * second
    processed, n_valid, _ = process(np.ones((12, 3000), np.float32), 500)
    assert (processed.shape, processed.dtype, n_valid) == ((12, 2500), np.float32, 1500)
    assert not processed[:, 1500:].any()
    assert process(np.ones((12, 6000), np.float32), 500)[1] == 2500


def test_long_and_spiky_recordings(tmp_path):
    """ECG 1 lasts 25 s and is flat from 12 s; 2 has a short spike, 3 a long one; 4 is whole."""
    fake_sources.write_ptbxl(tmp_path, n=4, rates=(500,))
    for number, samples, odd, value in (
        (1, 12_500, slice(6000, None), 0.1),
        (2, 5000, slice(3000, 3070), -40.0),
        (3, 5000, slice(3000, 3101), -40.0),
    ):
        x = fake_sources.signal(number, samples)
        x[V2, odd] = value
        folder = tmp_path / "records500" / "00000"
        fake_sources.write_record(folder, f"{number:05d}_hr", x, 500, number, gain=500.0)
    cohort = build_cohort(tmp_path / "cut", tmp_path, source="ptbxl")
    records, notes = cohort.records, cohort.manifest["notes"]
    assert records["ecg_id"].tolist() == ["1", "2", "4"]
    assert records["n_valid"].tolist() == [2500] * 3
    # The flat lead begins after the cut, so it neither rejects the ECG nor lowers its score.
    first = np.rint(500 * fake_sources.signal(1, 12_500)[:, :5000]) / 500
    stored = score(first.astype(np.float32), 500).record
    assert records["quality"].iloc[0] == pytest.approx(stored, abs=1e-9)
    assert "1 ECGs are the first 10 s of longer recordings" in notes[-2]
    # A short spike is clipped.
    assert notes[-1].startswith("1 ECGs reach beyond +-32.767 mV for at most 0.2 s of a lead")
    assert records["clipped"].tolist() == ["", "V2", ""]
    assert records["quality_V2"].iloc[1] < 0.6 * records["quality_V5"].iloc[1]
    assert np.abs(cohort.signals([1])).max() <= 32.768
    (value,) = cohort.quarantine.query("reason == 'amplitude beyond int16 microvolts'")["value"]
    assert value == "V2: 40.0 mV, 0.20 s beyond the range"
    # Windows are judged one by one.
    cohort = build_cohort(tmp_path / "w", tmp_path, source="ptbxl", long_recordings="windows")
    assert cohort.records["ecg_id"].tolist() == ["1@0", "2", "4"]
    rejected = cohort.quarantine.set_index("file")["reason"]
    assert rejected["records500/00000/00001_hr@10"] == "flat stretch"
    assert "1 ECGs are windows of 10 s" in cohort.manifest["notes"][-2]
    # An electrode that jumps shows in several leads; clipped one by one they would disagree.
    signal = fake_sources.signal(9, 5000)
    signal[[0, 2, 3, 4, 5], 700:790] += np.array([50, -50, -25, 50, -25])[:, None]
    assert problem(signal, 500) is None
    clipped, names = clip_spikes(signal)
    assert names == ("I", "III", "aVL")
    assert np.abs(clipped).max() == pytest.approx(32.767)
    changed = np.abs(signal) > 32.767
    assert (clipped[~changed] == signal[~changed]).all()
    quiet = fake_sources.signal(9, 5000)
    assert clip_spikes(quiet)[0] is quiet
