"""Reading MIMIC-IV-ECG: leads by name, the cart's statements and measurements."""

from pathlib import Path

import fake_mimic
import numpy as np
import pandas as pd
import pytest
from real_data import needs, real

from ecglib.signals.leads import limb_identities
from ecglib.sources import mimic_files

HALF_STEP = 0.5 / fake_mimic.GAIN + 1e-6  # mV; the second term is float32 rounding
MINI = real("ECGLIB_MIMIC_MINI")


@pytest.fixture
def tree(tmp_path):
    return tmp_path, fake_mimic.write_tree(tmp_path)


def change(root: Path, name: str, **columns: object) -> None:
    """Write a table again with some columns replaced (None: left out)."""
    frame = pd.read_csv(root / name, dtype=str, keep_default_na=False)
    for column, values in columns.items():
        frame = frame.drop(columns=column) if values is None else frame.assign(**{column: values})
    frame.to_csv(root / name, index=False)


def test_shuffled_leads_come_back_within_half_a_quantisation_step(tree):
    """The headers store aVF before aVL; reading by position would break aVL = I - II/2."""
    root, truth = tree
    for row in mimic_files.list_records(root).to_dict("records"):
        signal, rate = mimic_files.read(root, row["record"])
        assert rate == 500.0
        assert signal.dtype == np.float32
        assert np.abs(signal - truth[row["study_id"]]).max() <= HALF_STEP
        assert max(limb_identities(signal).values()) < 0.011  # two steps of 5 uV


def test_statements_keep_their_order(tree):
    machine = mimic_files.list_machine(tree[0])
    assert machine.at["40000001", "statements"] == ("Sinus rhythm", "Left bundle branch block.")
    assert machine.at["40000002", "statements"] == ()
    assert "40000003" not in machine.index


def test_measurements_that_the_cart_did_not_make_are_nan(tree):
    found = mimic_files.list_measurements(tree[0])
    assert found.columns.tolist() == mimic_files.MEASUREMENTS
    assert found.loc["40000001"].tolist() == fake_mimic.MEASURED[40000001]
    second = found.loc["40000002"]
    absent = second.index[second.isna()].tolist()
    assert absent == ["p_onset", "p_end", "p_axis", "t_axis"]
    assert (second["rr_interval"], second["qrs_axis"]) == (1000.0, 30.0)


def test_intervals_by_hand(tree):
    """PR 200 - 40, QRS 340 - 200, QT 620 - 200 ms, rate 60000 / 800; then without a P wave."""
    found = mimic_files.intervals(mimic_files.list_measurements(tree[0]))
    assert found.loc["40000001"].to_dict() == {"rate": 75.0, "pr": 160.0, "qrs": 140.0, "qt": 420.0}
    second = found.loc["40000002"]
    assert np.isnan(second["pr"])
    assert (second["rate"], second["qrs"], second["qt"]) == (60.0, 90.0, 380.0)


def test_marks_in_the_wrong_order_give_no_interval():
    marks = pd.DataFrame(0.0, index=["40000001"], columns=mimic_files.MEASUREMENTS)
    marks = marks.assign(qrs_onset=300.0, qrs_end=200.0)
    found = mimic_files.intervals(marks).loc["40000001"]
    assert found.index[found.isna()].tolist() == ["rate", "qrs", "qt"]
    assert found["pr"] == 300.0


def test_a_missing_table_gives_one_sentence(tmp_path):
    with pytest.raises(FileNotFoundError, match="is not a MIMIC-IV-ECG folder"):
        mimic_files.list_records(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"machine_measurements\.csv is missing"):
        mimic_files.list_machine(tmp_path)


def test_wrong_tables_give_one_sentence(tree):
    root, _ = tree
    change(root, "machine_measurements.csv", qrs_end="wide")
    with pytest.raises(ValueError, match="holds 'wide' as qrs_end; a number is expected"):
        mimic_files.list_machine(root)
    change(root, "machine_measurements.csv", qrs_end=None, report_17=None)
    with pytest.raises(ValueError, match="lacks the columns report_17, qrs_end"):
        mimic_files.list_machine(root)
    change(root, "record_list.csv", study_id="40000001")
    with pytest.raises(ValueError, match="this study_id stands there twice"):
        mimic_files.list_records(root)
    change(root, "record_list.csv", path=None)
    with pytest.raises(ValueError, match="lacks the columns path"):
        mimic_files.list_records(root)


def test_a_repeated_line_is_one_study_but_two_versions_are_refused(tree):
    root, _ = tree
    path = root / "machine_measurements.csv"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines, lines[1]]) + "\n")
    assert len(mimic_files.list_machine(root)) == 2
    path.write_text("\n".join([*lines, lines[1].replace("800", "801")]) + "\n")
    with pytest.raises(ValueError, match="this study_id stands there twice"):
        mimic_files.list_machine(root)


@needs("ECGLIB_MIMIC_MINI")
def test_real_recordings():
    rows = mimic_files.list_records(MINI)
    for record in rows["record"]:
        header = (MINI / f"{record}.hea").read_text().splitlines()
        stored = [line.split()[-1] for line in header[1:13]]
        assert stored.index("aVF") < stored.index("aVL")
        signal, rate = mimic_files.read(MINI, record)
        assert (rate, signal.shape) == (500.0, (12, 5000))
        # The other limb leads follow from I and II to three steps of 5 uV, which they would not
        # with aVL and aVF exchanged.
        assert max(limb_identities(signal).values()) < 0.016
        exchanged = signal[[0, 1, 2, 3, 5, 4, *range(6, 12)]]
        assert max(limb_identities(exchanged).values()) > 0.1
        assert 0.3 < np.ptp(signal[1]) < 4.0  # lead II in mV, not in units
