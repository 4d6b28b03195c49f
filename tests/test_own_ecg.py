"""A file of a user's own: formats, what is asked for, what is refused, and one whole reading."""

import runpy
from pathlib import Path

import numpy as np
import pandas as pd
import pydicom
import pytest
import torch
import wfdb
from builds import raises, refused
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

import ecglib
from ecglib.cohorts.build import example
from ecglib.own_ecg import apply_models, html_page, load_models
from ecglib.own_ecg.read_file import read_file
from ecglib.run import read_command
from ecglib.run.__main__ import main
from ecglib.run.errors import RunError
from ecglib.signals.leads import LEADS
from ecglib.signals.resample import to_rate

REPO = Path(__file__).parents[1]
RATE = 250.0
ORDER = [3, 0, 1, 2, 5, 4, 11, 10, 9, 8, 7, 6]  # of the channels in most files below


@pytest.fixture(scope="module")
def signal() -> np.ndarray:
    """One simulated ECG, (12, 2500) mV at 250 Hz."""
    raw = example({"source": "synthetic", "patients": 2}, {}, 0)
    return to_rate(raw["raw"], raw["rate"], RATE)[:, :2500]


def write_wfdb(folder: Path, signal: np.ndarray, rate: float, names: list[str]) -> Path:
    """A record in mV with a line about the patient."""
    sizes = {"fmt": ["16"] * len(names), "adc_gain": [1000.0] * len(names)}
    sizes |= {"baseline": [0] * len(names), "units": ["mV"] * len(names)}
    about = {"sig_name": names, "write_dir": str(folder), "comments": ["Age: 63", "Sex: Female"]}
    wfdb.wrsamp("own", rate, p_signal=signal.T.astype(float), **about, **sizes)
    return folder / "own.hea"


def write_dicom(file: Path, signal: np.ndarray, rate: float) -> None:
    """A 12-lead waveform, 1.25 uV per unit."""
    group, channels = Dataset(), []
    for lead in LEADS:
        source, channel, unit = Dataset(), Dataset(), Dataset()
        source.CodeValue, source.CodingSchemeDesignator = f"MDC_ECG_LEAD_{lead.upper()}", "MDC"
        source.CodeMeaning = f"Lead {lead}"
        unit.CodeValue, unit.CodingSchemeDesignator, unit.CodeMeaning = "uV", "UCUM", "microvolt"
        channel.ChannelSourceSequence = [source]
        channel.ChannelSensitivityUnitsSequence = [unit]
        channel.ChannelSensitivity, channel.ChannelSensitivityCorrectionFactor = "1.25", "1"
        channel.ChannelBaseline, channel.WaveformBitsStored = "0", 16
        channels.append(channel)
    group.ChannelDefinitionSequence = channels
    group.NumberOfWaveformChannels = len(LEADS)
    if rate:
        group.SamplingFrequency = str(rate)
    group.NumberOfWaveformSamples = signal.shape[1]
    group.WaveformBitsAllocated, group.WaveformSampleInterpretation = 16, "SS"
    group.WaveformData = np.rint(1000 * signal.T / 1.25).astype("<i2").tobytes()
    content = Dataset()
    content.WaveformSequence, content.PatientAge, content.PatientSex = [group], "063Y", "F"
    content.SOPClassUID, content.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.9.1.1", generate_uid()
    content.file_meta = FileMetaDataset()
    content.file_meta.MediaStorageSOPClassUID = content.SOPClassUID
    content.file_meta.MediaStorageSOPInstanceUID = content.SOPInstanceUID
    content.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    pydicom.dcmwrite(file, content, enforce_file_format=True)


def test_each_format_gives_the_same_twelve_leads(tmp_path, signal):
    """Whatever the order of the channels; twelve by name, the unit as the file says."""
    names, mixed = [LEADS[i] for i in ORDER], signal[ORDER]
    one = read_file(write_wfdb(tmp_path, mixed, RATE, names))
    assert (one.rate, one.age, one.sex) == (RATE, 63, "F") and one.seconds == 10
    files = {"microvolts.csv": pd.DataFrame(1000 * mixed.T, columns=[f"{n} (uV)" for n in names])}
    times = np.arange(signal.shape[1]) / RATE
    files["times.csv"] = pd.DataFrame(mixed.T, columns=[name.upper() for name in names])
    files["times.csv"].insert(0, "time (s)", times)
    for name, table in files.items():
        table.to_csv(tmp_path / name, index=False)
    np.save(tmp_path / "own.npy", mixed.T)
    write_dicom(tmp_path / "own.dcm", signal, RATE)
    read = {
        "microvolts.csv": {"rate": RATE},
        "times.csv": {"unit": "mV"},
        "own.npy": {"rate": RATE, "unit": "mV", "leads": ",".join(names)},
        "own.dcm": {},
        "own": {},
    }
    for name, given in read.items():
        other = read_file(tmp_path / name, **given)
        assert other.rate == RATE
        np.testing.assert_allclose(other.signal, signal, atol=1e-3, err_msg=name)


@pytest.mark.parametrize("rate", [100, 240, 300, 360, 500, 512, 1000])
def test_the_rate_of_rounded_times_is_that_of_the_recording(tmp_path, signal, rate):
    """Milliseconds are a coarse clock at 512 Hz; German tables have semicolons."""
    part = to_rate(signal, RATE, rate)
    table = pd.DataFrame(part.T.round(4), columns=list(LEADS))
    table.insert(0, "time (s)", (np.arange(len(table)) / rate).round(4))
    table.rename(columns={"time (s)": "t (s)"}).to_csv(tmp_path / "a.csv", index=False)
    table.to_csv(tmp_path / "b.csv", index=False, sep=";", decimal=",")
    for name in ("a.csv", "b.csv"):
        recording = read_file(tmp_path / name, unit="mV", age=300, sex="F")
        assert recording.rate == rate and np.isnan(recording.age)
        assert "age unknown, female" in recording.notes[2]
        np.testing.assert_allclose(recording.signal, part, atol=1e-4)


def test_missing_limb_leads_are_computed_and_chest_leads_are_not(tmp_path, signal):
    for kept in (["I", "II"], ["I", "III"], ["II", "III"], ["I", "II", "aVF"]):
        names = [*kept, *LEADS[6:]]
        rows = signal[[LEADS.index(name) for name in names]]
        part = read_file(write_wfdb(tmp_path, rows, RATE, names))
        np.testing.assert_allclose(part.signal, signal, atol=4e-3, err_msg=str(kept))
        assert "Computed from the other limb leads: " in part.notes[-1]
    np.save(tmp_path / "limbs.npy", signal[:8])
    given = {"rate": RATE, "unit": "mV", "leads": ",".join(LEADS[:8])}
    with pytest.raises(ValueError, match="without V3, V4, V5, V6\\); limb leads can be computed"):
        read_file(tmp_path / "limbs.npy", **given)


def test_what_is_not_said_is_asked_for_and_nonsense_is_refused(tmp_path, signal):
    """One sentence each, which names the file."""
    whole = {"rate": RATE, "unit": "mV", "leads": "standard"}
    np.save(tmp_path / "a.npy", signal)
    pd.DataFrame(signal.T, columns=list(LEADS)).to_csv(tmp_path / "a.csv", index=False)
    (tmp_path / "a.xml").write_text("<ecg/>")
    write_dicom(tmp_path / "b.dcm", signal, 0)
    with (tmp_path / "several.npy").open("wb") as stream:
        np.savez(stream, one=signal, two=signal)
    np.save(tmp_path / "nothing.npy", np.where(np.arange(12)[:, None] == 4, np.nan, signal))
    (tmp_path / "longer.csv").write_text("I,II,III\n1,2,3,4\n1,2,3,4\n")
    np.savetxt(tmp_path / "bare.csv", signal.T, delimiter=",")
    (tmp_path / "a.dcm").write_text("no DICOM")
    (tmp_path / "words.csv").write_text("I,II\n1,x\n")
    (tmp_path / "empty.csv").write_text("I,II\n")
    for name, given, message in (
        ("b.npy", {}, "does not exist; give the path"),
        ("a.xml", {}, "is not read, for want of a well-kept Python reader; export"),
        ("a.dcm", {}, "not a readable DICOM waveform"),
        ("b.dcm", {}, "not a readable DICOM waveform .*SamplingFrequency"),
        ("several.npy", whole, "expected one array, got several"),
        ("a.npy", {}, "does not state its rate; give it with --rate HZ"),
        ("a.npy", {"rate": RATE}, "does not state its unit; give it with --unit mV"),
        (
            "a.npy",
            {"rate": RATE, "unit": "mV"},
            "does not state its leads; give it with --leads I,II",
        ),
        ("a.npy", whole | {"leads": "I,II"}, "got 2 names for 12 channels; correct --leads"),
        ("a.npy", whole | {"unit": "uV"}, "its leads span .* the unit uV is wrong"),
        ("a.npy", whole | {"unit": "inch"}, "expected the unit mV, uV or V, got 'inch'"),
        ("a.npy", whole | {"rate": 5000.0}, "expected 100 to 1000 Hz, a round number, got 5000"),
        ("a.npy", whole | {"rate": 1000.0}, "expected 3 seconds to 60 minutes of ECG, got 2.5 s"),
        ("words.csv", {"rate": RATE}, "expected numbers in the column 'II', got words; part"),
        ("empty.csv", {"rate": RATE}, "empty.csv has no row of numbers"),
        (".", whole, "is a folder; give the path of a recording"),
        ("longer.csv", whole, "its rows have more values than its first row has names"),
        ("bare.csv", whole, "its first row has numbers; write the names of the leads"),
        (
            "a.csv",
            whole | {"leads": ",".join(LEADS[::-1])},
            "states its leads itself .*; leave out",
        ),
        ("nothing.npy", whole, "the lead aVL has no value"),
    ):
        with pytest.raises((ValueError, FileNotFoundError), match=message):
            read_file(tmp_path / name, **given)
    stated = write_wfdb(tmp_path, signal, RATE, list(LEADS))
    with pytest.raises(ValueError, match=r"states its rate itself \(250\.0\); leave out --rate"):
        read_file(stated, rate=500.0)


@pytest.mark.parametrize(("rate", "seconds"), [(100, 10), (500, 3), (1000, 10), (360, 65)])
def test_other_rates_and_lengths_fit_into_ten_seconds(tmp_path, signal, rate, seconds):
    """A short one is padded, a long one is cut, at the place that is asked for."""
    long = np.tile(to_rate(signal, RATE, rate), 7)[:, : seconds * rate]
    recording = read_file(write_wfdb(tmp_path, long, rate, list(LEADS)))
    start = 20.0 if seconds > 30 else 0.0
    cohort, n_valid, scores, _ = apply_models.as_cohort(recording, tmp_path / "c", start, "A")
    assert n_valid == min(seconds, 10) * RATE and 0 <= scores.record <= 1
    assert cohort.signals([0]).shape == (1, 12, 2500)
    for wrong in (seconds - 0.5, -1.0, float("nan")):
        with pytest.raises(ValueError, match=f"start of 0 to {seconds - 3} s, got {wrong:g}: the"):
            apply_models.as_cohort(recording, tmp_path / "d", wrong, "A")
    with pytest.raises(ValueError, match=r"c exists; give a new folder"):
        apply_models.as_cohort(recording, tmp_path / "c", 0.0, "A")


def test_the_command_refuses_what_it_would_only_find_out_later(tmp_path, signal):
    file = str(write_wfdb(tmp_path, signal, RATE, list(LEADS)))
    for words, message in (
        (["--out", file], "--out .*: a file is in the way; name a folder"),
        (["--out", f"{file}/sub"], "--out .*: a file is in the way; name a folder"),
        (["--age", "500"], "--age 500: expected 0 to 120 years"),
        (["--age=-1"], "--age -1: expected 0 to 120 years"),
        (["--start", "-5", "--out", str(tmp_path / "out")], "start of 0 to 7 s, got -5"),
    ):
        with pytest.raises(RunError, match=message):
            read_command.main([file, *words])


@pytest.mark.slow
def test_the_command_writes_a_page_and_says_what_it_is_worth(tmp_path, signal, capsys):
    """Everything on one page, its pictures inside."""
    file = write_wfdb(tmp_path, signal, RATE, list(LEADS))
    assert main(["read", str(file), "--out", str(tmp_path / "out")]) == 0
    printed = capsys.readouterr().out
    assert "12 channels at 250 Hz, 10.0 s, in mV: I, II" in printed and html_page.WARNING in printed
    page = (tmp_path / "out" / "own.html").read_text(encoding="utf-8")
    assert page.count("<img") == page.count("data:image/png;base64,") == 2
    for words in (html_page.WARNING, "quality", "ECG-Tok", "HeartLLM", "heart rate", "probability"):
        assert words in page
    assert len(list((tmp_path / "out").glob("own_*.png"))) == 2


def test_the_notebook_goes_through_the_same_steps(monkeypatch, capsys):
    monkeypatch.chdir(REPO / "docs")
    monkeypatch.setenv("TQDM_DISABLE", "")  # the notebook sets it
    names = runpy.run_path("one_ecg.py")
    reading = names["reading"]
    assert reading.signal.shape == (12, 2500) and len(names["answers"]) > 10
    printed = capsys.readouterr().out
    assert f"reference: {names['truth']}" in printed and names["truth"]
    assert all(f"{method}: " in printed for method in load_models.READERS)
    assert all(fact in printed for fact in names["facts"]) and names["facts"]


def test_published_models_open_by_name_and_write_what_is_committed():
    """Nine of ten reports, as of the whole path by cohort and codes."""
    ecg = torch.zeros(1, 12, 2500)
    for name in ("vq", "rvq", "qinco", "fsq", "bpe"):
        tokenizer = ecglib.load(name)
        codes = tokenizer.encode(ecg)
        assert torch.equal(tokenizer.from_ids(tokenizer.to_ids(codes)), codes)
        assert tokenizer.decode(codes).shape == ecg.shape
    saved = REPO / "reports" / "synthetic-laptop" / "predictions"
    ten, texts = (pd.read_parquet(saved / f"{n}.parquet") for n in ("09_ten_ecgs", "04_texts"))
    signals = [torch.tensor(np.stack(list(row)) / 1000).float() for row in ten[[*LEADS]].to_numpy()]
    reader = ecglib.load("ecg_tok")
    reports = texts[(texts["method"] == "ecg_tok") & (texts["item"] == "report")]
    theirs = reports.set_index("ecg")["prediction"].loc[ten["ecg"]]
    about = ten[["age", "sex", "height", "weight", "site"]].to_dict("records")
    ours = [reader.report(x, **of) for x, of in zip(signals, about, strict=True)]
    assert np.mean([one == other for one, other in zip(ours, theirs, strict=True)]) >= 0.9
    for name in ("heartllm", "ecg_byte"):
        assert ecglib.load(name).answer(signals[0], "Is there ectopy?")
    for name in ("decoded_qinco", "raw"):
        chances = ecglib.load(name).probabilities(torch.stack(signals))
        assert chances.shape == (10, len(chances.columns)) and chances.to_numpy().max() <= 1
    write, one = reader.report, signals[0]
    refused("of the patient, got 'weigth'", write, one, weigth=80)
    refused("expected the sex F or M, got 'female'", write, one, sex="female")
    for odd in ("63", 630, True, None, float("inf")):
        refused("a number from 0 to 120 as the age, got .*; leave it out", write, one, age=odd)
    refused("expected an ECG, got no sample", write, one[:, :0])
    refused("a tensor of float32, got a list", write, [0.0])
    refused("expected a site of A, B, got 'Z'", write, one, site="Z")
    refused("expected one ECG, got 2", write, torch.stack(signals[:2]))
    refused("a tensor of float32, got one of torch.float64; convert", write, one.double())
    refused("a tensor of float32, got a ndarray", write, one.numpy())
    refused("the leads span .*, where a heart gives 20 mV at most", write, 1000 * one)
    byte = ecglib.load("ecg_byte")
    refused("at most 2500 samples .* got 5000; resample", byte.report, one.repeat(1, 2))
    refused("expected a model of vq, rvq, .* got 'other'", ecglib.load, "other")
    raises(AttributeError, "no attribute 'lod'", lambda: ecglib.lod)
