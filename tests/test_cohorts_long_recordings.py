"""Recordings longer than ten seconds, and spikes beyond the range of the store."""

import fake_ptbxl
import numpy as np
import pytest
from builds import build_cohort

from ecglib.cohorts import long_recordings
from ecglib.cohorts.quarantine import clip_spikes, problem
from ecglib.signals.leads import LEADS
from ecglib.signals.quality import score

V2 = LEADS.index("V2")


def record(samples: int, rate: float = 500.0, **more: object) -> dict:
    signal = np.arange(samples, dtype=np.float32) * np.ones((12, 1), np.float32)
    return {"signal": signal, "rate": rate, "ecg_id": "7", "file": "a/7", "patient_id": "p"} | more


@pytest.mark.parametrize("way", long_recordings.WAYS)
@pytest.mark.parametrize(
    ("samples", "rate"), [(5000, 500), (100, 500), (2500, 250), (1280, 128), (0, 500), (9, np.nan)]
)
def test_ten_seconds_and_less_stay_the_same_object(way, samples, rate):
    short = record(samples, rate)
    assert long_recordings.cut(short, way) == [short]
    assert long_recordings.notes([short], way) == []


def test_a_cut_keeps_the_first_ten_seconds():
    (first,) = long_recordings.cut(record(12_800, 400.0), "cut")
    assert first["signal"].shape == (12, 4000) and first["signal"][0, 0] == 0
    assert (first["ecg_id"], first["file"], first["recorded"]) == ("7", "a/7", 32.0)
    (note,) = long_recordings.notes([first], "cut")
    assert note.startswith("1 ECGs are the first 10 s of longer") and "lasts 32.0 s" in note


def test_windows_are_whole_and_each_has_its_name():
    windows = long_recordings.cut(record(12_800, 400.0), "windows")
    assert [window["ecg_id"] for window in windows] == ["7@0", "7@10", "7@20"]
    assert [window["file"] for window in windows] == ["a/7@0", "a/7@10", "a/7@20"]
    assert [window["signal"][0, 0] for window in windows] == [0, 4000, 8000]
    assert {window["signal"].shape for window in windows} == {(12, 4000)}
    assert {window["patient_id"] for window in windows} == {"p"}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """ECG 1 lasts 25 s and is flat from 12 s; 2 has a short spike, 3 a long one; 4 is whole."""
    root = tmp_path_factory.mktemp("long")
    fake_ptbxl.write_tree(root, n=4, rates=(500,))
    signals = {1: fake_ptbxl.signal(1, 12_500)}
    signals[1][V2, 6000:] = 0.1
    for ecg_id, samples in ((2, 70), (3, 101)):
        signals[ecg_id] = fake_ptbxl.signal(ecg_id, 5000)
        signals[ecg_id][V2, 3000 : 3000 + samples] = -40.0
    for ecg_id, signal in signals.items():
        folder, name = root / "records500" / "00000", f"{ecg_id:05d}_hr"
        fake_ptbxl.write_record(folder, name, signal, 500, ecg_id, gain=500.0)
    return root


def test_what_is_stored_is_what_is_judged(root, tmp_path):
    """The flat lead begins after the cut, so it neither rejects the ECG nor lowers its score."""
    cohort = build_cohort(tmp_path, root, source="ptbxl")
    assert cohort.records["ecg_id"].tolist() == ["1", "2", "4"]
    assert cohort.records["n_valid"].tolist() == [2500] * 3
    first = np.rint(500 * fake_ptbxl.signal(1, 12_500)[:, :5000]) / 500
    stored = cohort.records["quality"].iloc[0]
    assert stored == pytest.approx(score(first.astype(np.float32), 500).record, abs=1e-9)
    notes = cohort.manifest["notes"]
    assert "1 ECGs are the first 10 s of longer recordings" in notes[-2]
    assert notes[-1].startswith("1 ECGs reach beyond +-32.767 mV for at most 0.2 s of a lead")


def test_windows_keep_patient_and_split_and_are_judged_one_by_one(root, tmp_path):
    cohort = build_cohort(tmp_path, root, source="ptbxl", long_recordings="windows")
    records = cohort.records.set_index("ecg_id")
    assert records.index.tolist() == ["1@0", "2", "4"]
    rejected = cohort.quarantine.set_index("file")["reason"]
    assert rejected["records500/00000/00001_hr@10"] == "flat stretch"
    assert "1 ECGs are windows of 10 s" in cohort.manifest["notes"][-2]


def test_a_short_spike_is_clipped_and_marked_and_a_long_one_rejects(root, tmp_path):
    cohort = build_cohort(tmp_path, root, source="ptbxl")
    assert cohort.records["clipped"].tolist() == ["", "V2", ""]
    spiked = cohort.records.iloc[1]
    assert spiked["quality_V2"] < 0.6 * spiked["quality_V5"]
    assert np.abs(cohort.signals([1])).max() <= 32.768
    (value,) = cohort.quarantine.query("reason == 'amplitude beyond int16 microvolts'")["value"]
    assert value == "V2: 40.0 mV, 0.20 s beyond the range"


def test_a_spike_in_the_limb_leads_breaks_no_identity():
    """An electrode that jumps shows in several leads; clipped one by one they would disagree."""
    signal = fake_ptbxl.signal(9, 5000)
    signal[[0, 2, 3, 4, 5], 700:790] += np.array([50, -50, -25, 50, -25])[:, None]
    assert problem(signal, 500) is None
    clipped, names = clip_spikes(signal)
    assert names == ("I", "III", "aVL")
    assert np.abs(clipped).max() == pytest.approx(32.767)
    changed = np.abs(signal) > 32.767
    assert (clipped[~changed] == signal[~changed]).all()
    quiet = fake_ptbxl.signal(9, 5000)
    assert clip_spikes(quiet)[0] is quiet
