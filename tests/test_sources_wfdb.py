"""WFDB: records one by one, a plain folder of them, and MIMIC-IV-ECG."""

from pathlib import Path

import fake_sources
import numpy as np
import pandas as pd
import pytest
from builds import build_cohort, change, missing, needs, real, refused
from hypothesis import given, settings
from hypothesis import strategies as st

from ecglib.labels.label_set import ABSENT, NOT_ASSESSABLE, PRESENT, UNCERTAIN, Label, column
from ecglib.labels.rules import MACHINE_LEAVES_OUT
from ecglib.run.paths import Paths
from ecglib.run.profiles import load_plan
from ecglib.signals.leads import limb_identities
from ecglib.sources import mimic, wfdb_records
from ecglib.sources.wfdb_records import read

HALF_STEP = 0.5 / fake_sources.GAIN + 1e-6  # mV; the second term is float32 rounding
REPO = Path(__file__).parents[1]
LUDB, MIMIC = real("ECGLIB_LUDB"), real("ECGLIB_MIMIC_MINI")


def write_one(folder: Path, name: str = "r", seed: int = 1, samples: int = 5000) -> np.ndarray:
    """Write one record at 500 Hz and return its signal in mV before quantisation."""
    x = fake_sources.signal(seed, samples)
    fake_sources.write_record(folder, name, x, 500, seed)
    return x


def edit(header: Path, old: str, new: str) -> None:
    """Replace text in a header; the old text must be in it."""
    text = header.read_text()
    assert old in text
    header.write_text(text.replace(old, new), encoding="utf-8")


@settings(max_examples=12)
@given(seed=st.integers(0, 10_000), samples=st.integers(1, 700), rate=st.integers(1, 2000))
def test_any_order_length_and_rate_come_back(tmp_path_factory, seed, samples, rate):
    folder = tmp_path_factory.mktemp("any")
    x = fake_sources.signal(seed, samples)
    fake_sources.write_record(folder, "r", x, rate, seed)
    signal, stored_rate = read(folder, "r")
    assert stored_rate == rate
    assert np.abs(signal - x).max() <= HALF_STEP


def test_header_units_and_a_record_name_with_an_extension(tmp_path):
    """1000 units per mV, 1 per uV and 1e6 per V store the same numbers; no unit means mV."""
    for gain in ("1.0(0)/uV", "1.0(0)/µV", "1e6/V", "1000"):
        truth = write_one(tmp_path)
        edit(tmp_path / "r.hea", " 1000.0(0)/mV ", f" {gain} ")
        assert np.abs(read(tmp_path, "r")[0] - truth).max() <= HALF_STEP
    # As in the collections of the CinC Challenges 2020 and 2021: a 24-byte offset, format 16.
    for stored, offset in (("r.mat", 24), ("r.dat", 0)):
        truth = write_one(tmp_path)
        data = (tmp_path / "r.dat").read_bytes()
        (tmp_path / "r.dat").unlink()
        (tmp_path / stored).write_bytes(bytes(offset) + data)
        header = tmp_path / "r.hea"
        edit(header, "r.dat 16 ", f"{stored} 16+24 " if offset else "r.dat 16 ")
        edit(header, "r 12 500 5000", f"{stored} 12 500 5000 12-May-2020 12:33:59")
        header.write_text(header.read_text() + "# Age: 63\n# Sex: Female\n")
        signal, rate = read(tmp_path, "r")
        assert (rate, signal.shape) == (500.0, (12, 5000))
        assert np.abs(signal - truth).max() <= HALF_STEP
        (tmp_path / stored).unlink()
        missing("names a signal file that is missing", read, tmp_path, "r")


def test_nothing_that_the_header_leaves_open_is_guessed(tmp_path):
    for old, new, message in [
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
    ]:
        write_one(tmp_path)
        edit(tmp_path / "r.hea", old, new)
        refused(message, read, tmp_path, "r")
    write_one(tmp_path)
    missing(r"x\.hea is missing; restore it", read, tmp_path, "x")
    data = tmp_path / "r.dat"
    data.write_bytes(data.read_bytes()[:5000])
    refused("r: not a readable WFDB record", read, tmp_path, "r")
    for name in ("../other/r", "/etc/hostname", ""):
        refused("leads out of the data folder", read, tmp_path, name)


@settings(max_examples=80)
@given(data=st.data())
def test_a_garbled_header_is_one_kind_of_error(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("garbled")
    write_one(folder, samples=500)
    content = bytearray((folder / "r.hea").read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    (folder / "r.hea").write_bytes(content)
    try:
        signal, rate = read(folder, "r")
    except (FileNotFoundError, ValueError) as error:
        assert len(str(error).splitlines()) == 1
    else:
        assert signal.shape[0] == 12
        assert rate > 0


@pytest.fixture
def folder(tmp_path):
    """Six 12-lead records at two depths; one of one lead; one whose header is garbage."""
    root = tmp_path / "records"
    for number in range(6):
        write_one(root / f"g{number % 2}", f"A{number}", number, samples=2500)
    (root / "g0" / "holter.hea").write_text("h 1 128 9\nh.dat 16 200/mV 12 0 0 0 0 MLII\n")
    (root / "broken.hea").write_text("no header\n")
    return root


def write_labels(root: Path, ecg_ids: list[str], **columns: object) -> None:
    """Write labels.csv: label 6 present, the others absent; further columns as given."""
    states = {column(label): int(label == Label.LBBB) for label in Label}
    frame = pd.DataFrame({"ecg_id": ecg_ids} | columns).assign(**states)
    frame.to_csv(root / "labels.csv", index=False)


IDS = ["g0/A0", "g0/A2", "g0/A4", "g1/A1", "g1/A3", "g1/A5"]


def test_a_folder_without_a_table_builds_by_the_plan(folder, tmp_path):
    plan = load_plan(Paths(REPO, tmp_path, tmp_path), "wfdb")["cohorts"]["wfdb"]
    config = {key: plan[key] for key in ("source", "label_table", "long_recordings")}
    cohort = build_cohort(tmp_path / "out", folder, **config)
    records = cohort.records
    assert records["ecg_id"].tolist() == records["patient_id"].tolist() == IDS
    assert (cohort.labels == NOT_ASSESSABLE).all() and (records["report"] == "").all()
    assert cohort.quarantine[["file", "reason"]].values.tolist() == [["broken", "unreadable file"]]
    notes = cohort.manifest["notes"]
    assert notes[0].startswith("7 records of twelve leads are listed; 1 headers of other records")
    assert notes[1].startswith("there is no label table")
    assert notes[2].startswith("no table names the patients: each record is taken as a patient")


COMMENTS = ["#Age: 57\n#Sex: Male\n#Dx: 164889003,59118001\n", "# Age: NaN\n# Sex: Unknown\n"]
COMMENTS += ["#<age>: 0\n#<sex>: F\n#<diagnoses>:\n#Rhythm: Sinus rhythm.\n", "#Age: 300\n", ""]


@pytest.mark.parametrize("table", ["", "labels.csv"])
def test_comments_of_headers_and_lengths(folder, tmp_path, table):
    """A table's age and sex go before the header's."""
    for ecg_id, comments in zip(IDS, COMMENTS, strict=False):
        with (folder / f"{ecg_id}.hea").open("a") as file:
            file.write(comments)
    (folder / "broken.hea").unlink()
    write_one(folder / "g1", "A5", 5, samples=7500)
    write_labels(folder, IDS, age=["61", *[""] * 5], sex=["", "f", *[""] * 4])
    cohort = build_cohort(tmp_path / "out", folder, source="wfdb", label_table=table)
    records = cohort.records
    first, second = (61.0, "F") if table else (57.0, "")
    assert records["age"].tolist()[:3:2] == [first, 0.0] and records["age"].isna().sum() == 4
    assert records["sex"].tolist() == ["M", second, "F", "", "", ""]
    assert records["dx"].tolist() == ["164889003,59118001", *[""] * 5]
    assert records["seconds"].tolist() == [5.0] * 5 + [15.0]
    assert any(note.startswith("1 headers have diagnosis") for note in cohort.manifest["notes"])


def test_a_folder_with_a_table(folder, tmp_path):
    (folder / "broken.hea").unlink()
    ages, sexes = ["63", "", "40.5", "1", "2", "3"], ["Female", "m", "", "", "M", "f"]
    known = {"patient_id": ["p", "p", "q", "q", "r", "s"], "age": ages, "sex": sexes}
    write_labels(folder, IDS, report=["LBBB. ", "", *"abcd"], site="S", gender="f", **known)
    cohort = build_cohort(tmp_path / "out", folder, source="wfdb", label_table="labels.csv")
    records = cohort.records
    assert records["patient_id"].tolist() == known["patient_id"] and set(records["site"]) == {"S"}
    assert records["sex"].tolist() == ["F", "M", "", "", "M", "F"]
    assert records["age"].tolist()[::2] == [63.0, 40.5, 2.0] and np.isnan(records["age"][1])
    assert records["report"].tolist()[:2] == ["LBBB.", ""]
    assert records["report_source"].tolist()[:2] == ["table", ""]
    assert (cohort.labels == [label == Label.LBBB for label in Label]).all()
    assert cohort.manifest["notes"][1].startswith("0 rows of labels.csv belong to no listed")
    assert cohort.manifest["notes"][2:4] == [
        "columns of labels.csv that nothing reads: gender",
        "the labels are those of labels.csv",
    ]


def test_a_bad_or_missing_table_gives_one_sentence(folder, tmp_path):
    for columns, message in [
        ({"patient_id": ["p", "", *"abcde"]}, r"expected a patient_id for the ECG 'g0"),
        ({"age": ["old", *"123456"]}, r"labels\.csv: expected an age in years, got 'old'"),
        ({"age": ["300", *"123456"]}, r"ECG '.*': expected an age of 0 to 120 years, got 300"),
        ({"sex": ["0", *"FMFMFM"]}, r"expected one of m, male, f, female as the sex, got 0"),
        ({"label_06": None}, r"lacks the columns label_06; add them"),
        ({"ecg_id": ["broken"] * 7}, r"labels\.csv, line 3: this ecg_id occurs twice"),
        ({"ecg_id": ["x", "broken", *IDS[1:]]}, r"labels\.csv lacks 1 of 7 ECGs of the cohort"),
        ({"ecg_id": None}, r"labels\.csv lacks the columns ecg_id"),
        ({"label_06": 7}, r"labels\.csv holds the label '7'"),
    ]:
        write_labels(folder, [*IDS, "broken"])
        change(folder / "labels.csv", **columns)
        config = {"source": "wfdb", "label_table": "labels.csv"}
        refused(message, build_cohort, tmp_path / "out", folder, **config)
    for rate in ("records100", "records500"):
        (folder / rate).mkdir()
    refused("the same ECGs at two rates", wfdb_records.records, folder)
    (folder / "records100").rmdir()
    (folder / "labels.csv").unlink()
    records = wfdb_records.records
    missing(r"labels\.csv is missing; correct `label_table`", records, folder, "labels.csv")
    refused("leads out of the data folder", records, folder, "../labels.csv")
    for path in folder.rglob("*.hea"):
        path.write_text("r 1 128 9\nr.dat 16 200/mV 12 0 0 0 0 MLII\n")
    missing(r"got 8 headers \(\*\.hea\) of others", records, folder)


@pytest.fixture
def mimic_tree(tmp_path):
    return fake_sources.write_mimic(tmp_path / "mimic")


def test_wrong_tables_give_one_sentence(mimic_tree):
    """A repeated line is one study, but two versions of a study are refused."""
    machine = mimic_tree / "machine_measurements.csv"
    text = machine.read_text()
    machine.write_text(text + text.splitlines()[1] + "\n")
    assert len(mimic.read_machine_reports(mimic_tree)) == 2
    machine.write_text(text + text.splitlines()[1].replace("Sinus", "Atrial") + "\n")
    refused("this study_id occurs twice", mimic.read_machine_reports, mimic_tree)
    for damaged, expected in (
        ("", "No columns to parse"),
        ('study_id,cart_id\n"1', "EOF inside string"),
        (text.replace("4000", "5000"), "has no study of record_list.csv; restore both"),
    ):
        machine.write_text(damaged)
        refused(rf"machine_measurements\.csv:? .*{expected}", mimic.records, mimic_tree)
    machine.write_text(text)
    change(machine, cart_id=None)
    refused("lacks the columns cart_id", mimic.records, mimic_tree)
    table = mimic_tree / "record_list.csv"
    change(table, study_id="40000001")
    refused("this study_id occurs twice", mimic.records, mimic_tree)
    change(table, path=None)
    refused("lacks the columns path", mimic.records, mimic_tree)
    table.unlink()
    missing(r"record_list\.csv is missing; give the folder of", mimic.records, mimic_tree)


def test_leads_come_back_and_statements_become_report_and_labels(mimic_tree):
    records, notes = mimic.records(mimic_tree)
    # The headers store aVF before aVL; reading by position would break aVL = I - II/2.
    for record in records:
        signal, rate = mimic.read(mimic_tree, record["file"])
        assert (rate, signal.dtype) == (500.0, np.float32)
        truth = fake_sources.signal(int(record["ecg_id"]))
        assert np.abs(signal - truth).max() <= 0.5 / fake_sources.MIMIC_GAIN + 1e-6
        assert max(limb_identities(signal).values()) < 0.011  # two steps of 5 uV
    assert records[0]["report"] == "Sinus rhythm. Left bundle branch block."
    assert (records[0]["device"], records[0]["site"]) == ("6848296", "BIDMC")
    labels = mimic.labels(records[0], mimic_tree)
    assert (labels[[Label.SINUS_RHYTHM, Label.LBBB]] == PRESENT).all()
    assert (labels[[Label.AFIB, Label.LEAD_MISPLACEMENT]] == ABSENT).all()
    assert labels[Label.REGULAR] == PRESENT  # as a sinus rhythm is
    assert labels[Label.IRREGULARLY_IRREGULAR] == ABSENT
    left_out = [label for label in MACHINE_LEAVES_OUT if label not in (1, 2, 16, 38)]
    assert set(np.flatnonzero(labels == NOT_ASSESSABLE)) == set(left_out)
    for record in records[1:]:  # a row without statements, and no row
        assert (record["report"], record["report_source"]) == ("", "")
        assert (mimic.labels(record, mimic_tree) == NOT_ASSESSABLE).all()
    assert notes[0].startswith("record_list.csv lists 3 ECGs")
    assert notes[1].startswith("1 of them have no row")
    assert notes[1].endswith("0 rows there belong to no listed ECG")
    assert mimic.records(mimic_tree, reports=False)[1] == notes[:1]
    # A finding that is not stated is absent only where the report was read whole.
    for report, states in [
        ("Pacemaker rhythm - no further analysis.", {23: UNCERTAIN, 6: NOT_ASSESSABLE}),
        ("LBBB. Words that no rule knows.", {6: PRESENT, 15: NOT_ASSESSABLE}),
        ("LBBB. Lateral T wave changes.", {6: PRESENT, 15: ABSENT, 9: NOT_ASSESSABLE, 5: ABSENT}),
    ]:
        labels = mimic.labels({"report": report}, None)
        assert {label: labels[label] for label in states} == states


def test_build_with_and_without_reports(mimic_tree, tmp_path, monkeypatch):
    """Each table is read once: at full size a second reading would take half a minute."""
    read, names = pd.read_csv, []
    with monkeypatch.context() as patch:
        patch.setattr(pd, "read_csv", lambda p, **known: names.append(p.name) or read(p, **known))
        cohort = build_cohort(tmp_path / "a", mimic_tree, source="mimic")
    assert names == ["record_list.csv", "machine_measurements.csv"]
    assert cohort.records["patient_id"].tolist() == ["10000001"] * 2 + ["10000002"]
    assert np.isnan(cohort.records["age"]).all()
    assert cohort.manifest["notes"] == mimic.records(mimic_tree)[1]
    (mimic_tree / "machine_measurements.csv").unlink()
    missing("machine_measurements.csv is", build_cohort, tmp_path / "b", mimic_tree, source="mimic")
    signals_alone = build_cohort(tmp_path / "b", mimic_tree, source="mimic", reports=False)
    assert (signals_alone.labels == NOT_ASSESSABLE).all()


@needs("ECGLIB_LUDB")
def test_a_real_folder(tmp_path):
    """As published, single leads of LUDB have inconsistent gains: III is no II - I in most."""
    cohort = build_cohort(tmp_path, LUDB, source="wfdb")
    assert len(cohort) + len(cohort.quarantine) == len(list(LUDB.rglob("*.hea")))
    assert set(cohort.quarantine["reason"]) <= {"limb identities violated"}
    assert 0.3 < np.median(np.ptp(cohort.signals(cohort.rows())[:, 1], axis=1)) < 4.0  # mV


@needs("ECGLIB_MIMIC_MINI")
def test_real_recordings_of_mimic():
    for record in mimic.read_table(MIMIC)["record"]:
        header = (MIMIC / f"{record}.hea").read_text().splitlines()
        stored = [line.split()[-1] for line in header[1:13]]
        assert stored.index("aVF") < stored.index("aVL")
        signal, rate = mimic.read(MIMIC, record)
        assert (rate, signal.shape) == (500.0, (12, 5000))
        assert max(limb_identities(signal).values()) < 0.016  # three steps of 5 uV
        exchanged = signal[[0, 1, 2, 3, 5, 4, *range(6, 12)]]
        assert max(limb_identities(exchanged).values()) > 0.1
        assert 0.3 < np.ptp(signal[1]) < 4.0  # lead II in mV, not in units
