"""PTB-XL: files and rates, table to records, codes to labels and text, faults to the quarantine."""

import fake_sources
import numpy as np
import pandas as pd
import pytest
from builds import build_cohort, missing, needs, real, refused

from ecglib.cohorts.split import shared_patients
from ecglib.labels import scp
from ecglib.labels.findings import FINDINGS
from ecglib.labels.label_set import ABSENT, NOT_ASSESSABLE, PRESENT, UNCERTAIN, Label
from ecglib.labels.labeller import read_labels
from ecglib.signals.leads import limb_identities
from ecglib.signals.resample import to_rate
from ecglib.sources import ptbxl

HALF_STEP = 0.5 / fake_sources.GAIN + 1e-6  # mV; the second term is float32 rounding
MINI = real("ECGLIB_PTBXL_MINI")


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    return fake_sources.write_ptbxl(tmp_path_factory.mktemp("ptbxl"))


def test_table_becomes_records_and_signals(tree):
    """Leads are stored in shuffled orders; signals are exact to half a quantisation step."""
    records, notes = ptbxl.records(tree)
    first, second, third = records[:3]
    known = {"ecg_id": "1", "patient_id": "101", "sex": "F", "weight": 70.0, "device": "CS-12 E"}
    known |= {"verified": False, "site": "0", "report_source": "scp"}
    assert {key: first[key] for key in known} == known
    assert (first["age"], second["age"]) == (90.0, 42.0)  # 300 hides an age above 89
    assert (second["sex"], second["verified"], third["site"]) == ("M", True, "")
    assert np.isnan(first["height"])
    assert first["report"].startswith("sinus rhythm. complete left bundle branch block.")
    assert [records[i]["fold"] for i in (0, 1, 7)] == [2, 3, 9]
    for record in records:
        signal, rate = ptbxl.read(tree, record["file"])
        assert (rate, signal.dtype, signal.shape) == (500.0, np.float32, (12, 5000))
        assert np.abs(signal - fake_sources.signal(int(record["ecg_id"]), 5000)).max() <= HALF_STEP
        assert max(limb_identities(signal).values()) < 0.002
    assert notes[0].startswith("ptbxl_database.csv lists 8 ECGs (the whole release 1.0.1: 21837")
    assert notes[1] == "the recordings at 500 Hz are read"
    assert notes[2] == "1 ages above 90 years are stored as 90; 0 are not given"
    # A translation replaces the statements where it has a row.
    (tree / "english.csv").write_text("ecg_id,report_en\n2,old LBBB\n")
    first, second = ptbxl.records(tree, "english.csv")[0][:2]
    assert (second["report"], second["report_source"]) == ("old LBBB", "translation")
    assert first["report_source"] == "scp"
    assert ptbxl.records(tree, "english.csv")[1][3].startswith("1 reports are translations, 7 the")
    missing(r"german\.csv is missing; correct `translation`", ptbxl.records, tree, "german.csv")
    (tree / "padded.csv").write_text("ecg_id,report_en\n00002,old LBBB\n")
    refused(
        "an ecg_id of ptbxl_database.csv, such as 15709, got none",
        ptbxl.records,
        tree,
        "padded.csv",
    )
    (tree / "twice.csv").write_text("ecg_id,report_en\n2,old LBBB\n2,LBBB\n")
    refused(r"twice\.csv, line 3: this ecg_id occurs twice", ptbxl.records, tree, "twice.csv")


@pytest.mark.parametrize(
    ("column", "cell", "message"),
    [
        (
            "strat_fold",
            "x",
            r"ptbxl_database\.csv, line 3: expected a number in strat_fold, got 'x'",
        ),
        ("patient_id", "P7", "expected a number in patient_id, got 'P7'; correct it or restore"),
        ("height", "170cm", "expected a number in height, got '170cm'"),
        ("scp_codes", "", r"ptbxl_database\.csv, line 3: this ECG has no scp_codes; the table may"),
    ],
)
def test_a_damaged_table_is_named_by_file_line_and_value(tmp_path, column, cell, message):
    root = fake_sources.write_ptbxl(tmp_path, n=3, rates=(500,))
    file = root / "ptbxl_database.csv"
    table = pd.read_csv(file, dtype=str, keep_default_na=False)
    table.loc[1, column] = cell
    table.to_csv(file, index=False)
    refused(message, ptbxl.records, root)


def test_a_table_that_is_no_text_or_cut_is_named(tmp_path):
    root = fake_sources.write_ptbxl(tmp_path, n=3, rates=(500,))
    file = root / "ptbxl_database.csv"
    whole = file.read_bytes()
    for content in (b"", whole.replace(b"SR", b"S\xe9"), whole + b'4,"cut'):
        file.write_bytes(content)
        refused(r"ptbxl_database\.csv: .*; give the folder of PTB-XL", ptbxl.records, root)


def test_rates_releases_and_folders_of_another_kind(tree, tmp_path):
    """100 Hz where it is wanted, and where the folder holds nothing else."""
    missing(r"ptbxl_database\.csv is missing; give the folder", ptbxl.records, tmp_path)
    (tmp_path / "ptbxl_database.csv").write_text("ecg_id,age\n1,3\n")
    refused("lacks the columns patient_id, sex, scp_codes", ptbxl.records, tmp_path)
    fake_sources.write_ptbxl(tmp_path, n=2, rates=())
    missing("neither records500 nor records100", ptbxl.records, tmp_path)
    fake_sources.write_ptbxl(tmp_path, n=4, rates=(100,))
    for root, rate in ((tree, 100), (tmp_path, 0)):
        third = ptbxl.records(root, rate=rate)[0][2]
        assert third["file"] == "records100/00000/00003_lr"
        signal, stored = ptbxl.read(root, third["file"])
        assert (stored, signal.shape) == (100.0, (12, 1000))
        assert np.abs(signal - fake_sources.signal(3, 1000)).max() <= HALF_STEP
    missing("holds no records500", ptbxl.records, tmp_path, rate=500)
    refused("500 and 100 Hz, not 250 Hz", ptbxl.records, tree, rate=250)
    # 1.0.3 writes patients as 101 where 1.0.1 wrote 101.0, leads as aVR, and lacks one ecg_id.
    other = fake_sources.write_ptbxl(tmp_path / "newer", n=8, rates=(500,), release="1.0.3")
    newer = {record["ecg_id"]: record for record in ptbxl.records(other)[0]}
    older = {record["ecg_id"]: record for record in ptbxl.records(tree)[0]}
    assert "2" not in newer
    for ecg_id in ("1", "3", "8"):
        for key in ("patient_id", "age", "sex", "codes", "report", "fold", "file"):
            assert newer[ecg_id][key] == older[ecg_id][key]
        signal, _ = ptbxl.read(other, newer[ecg_id]["file"])
        assert np.abs(signal - fake_sources.signal(int(ecg_id), 5000)).max() <= HALF_STEP


CELLS = [
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
]
AXES = {"MID": (ABSENT, ABSENT), "ALAD": (PRESENT, ABSENT), "ARAD": (ABSENT, PRESENT)}
AXES |= {"AXR": (ABSENT, NOT_ASSESSABLE), "LAD": (UNCERTAIN, ABSENT)}  # also the German left type
AXES |= dict.fromkeys(("", "SAG"), (NOT_ASSESSABLE, NOT_ASSESSABLE))


def test_codes_and_axes_to_labels(tree):
    statements = ptbxl.read_statements(tree)
    for cell, states in CELLS:
        labels = scp.labels(scp.parse(cell), statements)
        assert (labels.dtype, labels.shape) == (np.int8, (77,))
        assert {label: labels[label] for label in states} == states
    for axis, states in AXES.items():
        labels = scp.labels({"SR": 0.0}, statements, axis)
        assert (labels[Label.LEFT_AXIS], labels[Label.RIGHT_AXIS]) == states
    assert sorted([*scp.EXPRESSED, *scp.UNEXPRESSED]) == list(range(77))
    assert len(scp.CODES) == 71  # the statements of PTB-XL
    every = pd.DataFrame({"diagnostic": 0.0}, index=sorted(scp.CODES))
    labels = scp.labels({"SARRH": 0.0, "IMI": 100.0}, every)
    rhythms = [Label.SINUS_RHYTHM, Label.IRREGULARLY_IRREGULAR, Label.REGULARLY_IRREGULAR]
    assert labels[rhythms].tolist() == [PRESENT, ABSENT, UNCERTAIN]
    assert labels[Label.Q_WAVE_INFERIOR] == NOT_ASSESSABLE  # not stated by an infarction code
    refused("unknown SCP code 'XYZ'", scp.labels, {"XYZ": 100.0}, statements)
    refused("expected a dictionary of likelihoods", scp.parse, "['SR']")
    refused("got 'UP'; add it to scp_labels", scp.labels, {}, statements, "UP")


def test_codes_to_a_report_that_the_labeller_reads(tree):
    """The report is rhythm first, then in the order of the codes."""
    statements = ptbxl.read_statements(tree)
    codes = scp.parse("{'CLBBB': 100.0, 'LVH': 35.0, 'PVC': 0.0, 'SR': 0.0}")
    assert scp.report(codes, statements) == (
        "sinus rhythm. complete left bundle branch block. possible left ventricular hypertrophy. "
        "ventricular premature complex."
    )
    assert scp.report({}, statements) == ""
    for code in ("CLBBB", "LVH", "PVC", "SR", "AFIB", "NORM"):
        labels = scp.labels({code: 100.0}, statements)
        stated = {label for label in FINDINGS if labels[label] == PRESENT}
        read = read_labels(scp.report({code: 100.0}, statements))
        assert {label for label in FINDINGS if read.get(label) == PRESENT} == stated


@needs("ECGLIB_PTBXL_MINI")
def test_real_recordings_at_both_rates():
    """The 100 Hz file holds the same ECG, without hum and most muscle noise."""
    fine, coarse = ptbxl.read_table(MINI, 500), ptbxl.read_table(MINI, 100)
    agreement = []
    for record, lower in list(zip(fine["record"], coarse["record"], strict=True))[::10]:
        signal, rate = ptbxl.read(MINI, record)
        slow, slow_rate = ptbxl.read(MINI, lower)
        assert (rate, signal.shape, slow_rate, slow.shape) == (500, (12, 5000), 100, (12, 1000))
        pairs = zip(to_rate(signal, 500, 100), slow, strict=True)
        agreement.append(np.median([np.corrcoef(a, b)[0, 1] for a, b in pairs]))
        # Single samples of real files break the identities; the signal as a whole obeys them.
        one, two, three = signal[:3]
        assert np.median(np.abs(three - (two - one))) < 0.003
        assert 0.2 < np.ptp(two) < 8.0  # mV, not units
    assert np.median(agreement) > 0.97
    assert min(agreement) > 0.8


@needs("ECGLIB_PTBXL_MINI")
def test_a_real_cohort(tmp_path):
    cohort = build_cohort(tmp_path, MINI, source="ptbxl", patients=60)
    chosen = len(cohort) + len(cohort.quarantine)
    assert chosen >= 60 and len(cohort) > 0.9 * chosen
    assert shared_patients(cohort.records) == 0
    assert 0 < cohort.records["age"].min() <= cohort.records["age"].max() <= 90
    signals = cohort.signals(cohort.rows())
    assert 0.3 < np.median(np.ptp(signals[:, 1], axis=1)) < 4.0  # lead II in mV, not in units
    assert set(np.unique(cohort.labels)) <= {-1, 0, 1, 2}
