"""MIMIC-IV-ECG: leads by name, the cart's statements as report, labels read from it."""

from pathlib import Path

import fake_mimic
import numpy as np
import pandas as pd
import pytest
from builds import build_cohort
from real_data import needs, real

from ecglib.labels.label_set import ABSENT, NOT_ASSESSABLE, PRESENT, UNCERTAIN, Label
from ecglib.labels.rules import MACHINE_LEAVES_OUT
from ecglib.signals.leads import limb_identities
from ecglib.sources import mimic

HALF_STEP = 0.5 / fake_mimic.GAIN + 1e-6  # mV; the second term is float32 rounding
MINI = real("ECGLIB_MIMIC_MINI")


@pytest.fixture
def tree(tmp_path):
    root = tmp_path / "mimic"
    fake_mimic.write_tree(root)
    return root


def change(root: Path, name: str, **columns: object) -> None:
    """Write a table again with some columns replaced (None: left out)."""
    frame = pd.read_csv(root / name, dtype=str, keep_default_na=False)
    for column, values in columns.items():
        frame = frame.drop(columns=column) if values is None else frame.assign(**{column: values})
    frame.to_csv(root / name, index=False)


def test_shuffled_leads_come_back_within_half_a_quantisation_step(tree):
    """The headers store aVF before aVL; reading by position would break aVL = I - II/2."""
    for record in mimic.records(tree)[0]:
        signal, rate = mimic.read(tree, record["file"])
        assert (rate, signal.dtype) == (500.0, np.float32)
        assert np.abs(signal - fake_mimic.signal(int(record["ecg_id"]))).max() <= HALF_STEP
        assert max(limb_identities(signal).values()) < 0.011  # two steps of 5 uV


def test_wrong_tables_give_one_sentence(tree, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"record_list\.csv is missing; give the folder of"):
        mimic.records(tmp_path)
    change(tree, "machine_measurements.csv", cart_id=None, report_17=None)
    with pytest.raises(ValueError, match="lacks the columns cart_id, report_17"):
        mimic.records(tree)
    change(tree, "record_list.csv", study_id="40000001")
    with pytest.raises(ValueError, match="this study_id occurs twice"):
        mimic.records(tree)
    change(tree, "record_list.csv", path=None)
    with pytest.raises(ValueError, match="lacks the columns path"):
        mimic.records(tree)


def test_a_repeated_line_is_one_study_but_two_versions_are_refused(tree):
    path = tree / "machine_measurements.csv"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines, lines[1]]) + "\n")
    assert len(mimic.read_machine_reports(tree)) == 2
    path.write_text("\n".join([*lines, lines[1].replace("Sinus", "Atrial")]) + "\n")
    with pytest.raises(ValueError, match="this study_id occurs twice"):
        mimic.read_machine_reports(tree)


def test_statements_become_report_and_labels(tree):
    (first, second, third), notes = mimic.records(tree)
    assert first["report"] == "Sinus rhythm. Left bundle branch block."
    assert (first["device"], first["site"]) == ("6848296", "BIDMC")
    labels = mimic.labels(first, tree)
    assert (labels[[Label.SINUS_RHYTHM, Label.LBBB]] == PRESENT).all()
    assert (labels[[Label.AFIB, Label.LEAD_MISPLACEMENT]] == ABSENT).all()
    # A sinus rhythm is regular.
    assert (labels[Label.REGULAR], labels[Label.IRREGULARLY_IRREGULAR]) == (PRESENT, ABSENT)
    left_out = [label for label in MACHINE_LEAVES_OUT if label not in (1, 2, 16, 38)]
    assert set(np.flatnonzero(labels == NOT_ASSESSABLE)) == set(left_out)
    for record in (second, third):  # a row without statements, and no row
        assert (record["report"], record["report_source"]) == ("", "")
        assert (mimic.labels(record, tree) == NOT_ASSESSABLE).all()
    lists, lacks = notes
    assert lists.startswith("record_list.csv lists 3 ECGs")
    assert lacks.startswith("1 of them have no row")
    assert lacks.endswith("0 rows there belong to no listed ECG")
    assert mimic.records(tree, reports=False)[1] == [lists]


@pytest.mark.parametrize(
    ("report", "labels"),
    [
        ("Pacemaker rhythm - no further analysis.", {23: UNCERTAIN, 6: NOT_ASSESSABLE}),
        ("LBBB. Words that no rule knows.", {6: PRESENT, 15: NOT_ASSESSABLE}),
        ("LBBB. Lateral T wave changes.", {6: PRESENT, 15: ABSENT, 9: NOT_ASSESSABLE, 5: ABSENT}),
    ],
)
def test_what_a_report_leaves_out_is_absent_only_where_it_was_read_whole(report, labels):
    states = mimic.labels({"report": report}, None)
    assert {label: states[label] for label in labels} == labels


def test_build_with_and_without_reports(tree, tmp_path, monkeypatch):
    """Each table is read once: at full size a second reading would take half a minute."""
    read, names = pd.read_csv, []
    with monkeypatch.context() as patch:
        patch.setattr(pd, "read_csv", lambda p, **known: names.append(p.name) or read(p, **known))
        build_cohort(tmp_path / "a", tree, source="mimic")
    assert names == ["record_list.csv", "machine_measurements.csv"]
    cohort = build_cohort(tmp_path / "a", tree, source="mimic")
    assert cohort.records["patient_id"].tolist() == ["10000001"] * 2 + ["10000002"]
    assert np.isnan(cohort.records["age"]).all()
    assert cohort.manifest["notes"] == mimic.records(tree)[1]
    (tree / "machine_measurements.csv").unlink()
    with pytest.raises(FileNotFoundError, match=r"machine_measurements\.csv is missing"):
        build_cohort(tmp_path / "b", tree, source="mimic")
    signals_alone = build_cohort(tmp_path / "b", tree, source="mimic", reports=False)
    assert (signals_alone.labels == NOT_ASSESSABLE).all()


@needs("ECGLIB_MIMIC_MINI")
def test_real_recordings():
    for record in mimic.read_table(MINI)["record"]:
        header = (MINI / f"{record}.hea").read_text().splitlines()
        stored = [line.split()[-1] for line in header[1:13]]
        assert stored.index("aVF") < stored.index("aVL")
        signal, rate = mimic.read(MINI, record)
        assert (rate, signal.shape) == (500.0, (12, 5000))
        # The other limb leads follow from I and II to three steps of 5 uV, which they would not
        # with aVL and aVF exchanged.
        assert max(limb_identities(signal).values()) < 0.016
        exchanged = signal[[0, 1, 2, 3, 5, 4, *range(6, 12)]]
        assert max(limb_identities(exchanged).values()) > 0.1
        assert 0.3 < np.ptp(signal[1]) < 4.0  # lead II in mV, not in units
