"""Tables about a cohort: features without single patients, labels read back from its reports."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from _cohort import write_cohort
from builds import refused
from fake_tables import NAMES, features

from ecglib.cohorts import build, cohort_features, reading_back
from ecglib.figures import bars
from ecglib.labels.label_set import ABSENT, COLUMNS, NOT_ASSESSABLE, PRESENT, UNCERTAIN
from ecglib.signals.leads import RATE
from ecglib.simulator.heart import HeartState
from ecglib.simulator.waveform import simulate

REPO = Path(__file__).parents[1]
ONE = SimpleNamespace(threads=1)


def test_the_step_draws_patients_and_leaves_padding_out(tmp_path):
    """Two ECGs per patient, each of its own quality; the second has lost its last two seconds."""
    given = []
    for index in range(6):
        rng = np.random.default_rng([7, index])
        signal = simulate(HeartState(rate=60.0 + 5 * index), RATE, rng)
        n_valid = 2000 if index % 2 else 2500
        signal[:, n_valid:] = 0.0
        row = {"ecg_id": f"e{index}", "patient_id": f"p{index // 2}", "n_valid": n_valid}
        row |= {"quality": 0.9, "quality_leads": np.full(12, 0.8 + index / 100)}
        given.append(row | {"signal": signal, "labels": np.zeros(77, dtype=np.int8)})
    cohort = write_cohort(tmp_path, given, seed=0)
    cohort_features.measure_cohort(tmp_path, {"cohort": tmp_path}, {}, 0, ONE)
    inputs = {"cohort": tmp_path, "measurements": tmp_path}
    cohort_features.extract_features(tmp_path, inputs, {"patients": 2}, 1, ONE)
    table = pd.read_parquet(tmp_path / "ecg_features.parquet")
    assert table.columns.tolist() == ["row", "patient", *NAMES]
    patients = cohort.records["patient_id"]
    drawn = patients.isin(patients[table["row"]])
    assert len(table) == 4 and table["row"].tolist() == np.flatnonzero(drawn).tolist()
    assert table["row"].tolist() != [0, 1, 2, 3]  # so row numbers are no places in the table
    assert sorted(set(table["patient"])) == [0, 1]
    signal = cohort.signals(table["row"].to_numpy())[1]
    n_valid = cohort.records["n_valid"].iloc[table["row"][1]]
    expected = np.percentile(signal[1, :n_valid] - np.median(signal[1, :n_valid]), 99)
    assert table["amplitude_99_II"][1] == pytest.approx(expected, rel=1e-4)
    quality = cohort.records["quality_V5"].iloc[table["row"]]
    assert table["quality_V5"].tolist() == pytest.approx(quality.tolist())
    known = pd.read_parquet(tmp_path / "measurements.parquet").iloc[table["row"]]
    assert table["heart_rate"].tolist() == pytest.approx(known["heart_rate"].tolist())
    ratio = known["t_II"].abs() / (known["r_II"] - known["s_II"])
    assert table["t_over_qrs_II"].tolist() == pytest.approx(ratio.tolist(), rel=1e-4)


def test_no_patient_of_a_comparison_cohort_has_a_twin_in_a_run(monkeypatch, tmp_path):
    """Patients of one seed are the same, and a classifier would confuse the two cohorts."""
    seeds = []
    monkeypatch.setattr(build, "build", lambda *given: seeds.append(given[3]))
    for seed in (0, 1, 2):
        cohort_features.build_comparison_cohort(tmp_path, {}, {}, seed, ONE)
    assert len({0, 1, 2, *seeds}) == 6


def test_a_quantile_describes_ten_patients_or_more_and_comes_back_from_its_file(tmp_path):
    frame = features(200)
    frame.loc[40:, "pr"] = np.nan  # 40 patients: ten beyond each quartile, two beyond the 5th
    frame.loc[15:, "qt"] = np.nan
    table = cohort_features.distribution(frame).set_index(["view", "of", "lead"])
    pr, qt = table.loc["measure", "pr", ""], table.loc["measure", "qt", ""]
    assert pr["ecgs"] == 40 and np.isnan([pr["q05"], pr["q95"]]).all()
    assert pr["q25"] == pytest.approx(np.percentile(frame["pr"].dropna(), 25))
    assert qt["ecgs"] == 15 and qt[list(cohort_features.Q_COLUMNS)].isna().all()
    assert np.isfinite(table.loc[("amplitude", "99", "V6"), "q05"])
    again = pd.concat([frame.iloc[:100]] * 2)  # more ECGs are no more patients
    assert cohort_features.distribution(again)["q05"].isna().all()
    # A distribution comes back from its file.
    table, path = cohort_features.distribution(features(200)), tmp_path / "real.csv"
    path.write_text("# From nowhere.\n" + table.to_csv(index=False))
    pd.testing.assert_frame_equal(cohort_features.read_distribution(path), table)
    path.write_text("view,lead,of\n")
    refused(r"real\.csv lacks the column ecgs", cohort_features.read_distribution, path)
    path = REPO / "reports" / "benchmarks" / "beside_reality.csv"
    head = path.read_text().splitlines()[0]
    assert head.startswith("#") and "PTB-XL" in head and "CC BY 4.0" in head
    committed, keys = cohort_features.read_distribution(path), ["view", "lead", "of", "unit"]
    assert committed[keys].to_numpy().tolist() == table[keys].to_numpy().tolist()
    assert committed["q50"].notna().all() and (committed["q05"] <= committed["q95"]).all()


def reported(*rows: tuple[str, str, dict[int, int]]) -> pd.DataFrame:
    """A cohort's table from (site, report, states); other labels are absent."""
    labels = np.full((len(rows), 77), ABSENT, dtype=np.int8)
    for row, (_, _, states) in zip(labels, rows, strict=True):
        row[list(states)] = list(states.values())
    frame = pd.DataFrame([row[:2] for row in rows], columns=["site", "report"])
    return frame.join(pd.DataFrame(labels, columns=list(COLUMNS)))


LVH = "Left ventricular hypertrophy."
REPORTED = reported(
    ("A", f"Sinus rhythm. {LVH}", {0: PRESENT, 12: PRESENT}),
    ("B", "sinus rhythm, ? lvh", {0: PRESENT, 12: PRESENT}),
    ("B", "sinus rhythm", {0: PRESENT, 12: PRESENT}),
    *(("A", LVH, {12: state}) for state in (ABSENT, NOT_ASSESSABLE, UNCERTAIN)),
    ("A", "", {12: PRESENT}),
    ("A", "Atrial fibrillation.", {15: PRESENT, 16: PRESENT}),
)


def test_agreement_of_labels_and_reports_by_hand_and_examples_that_name_their_findings():
    table = reading_back.agreement(REPORTED)
    whole = reading_back.total(table)
    assert list(whole) == ["precision", "recall", "f1", "doubted"]
    assert list(whole.values()) == pytest.approx([3 / 4, 3 / 5, 6 / 9, 1 / 5])
    axes = bars.label_recovery(table).axes
    assert [len(one.get_yticks()) for one in axes] == [2, 1]
    assert axes[0].get_yticklabels()[0].get_text() == "atrial fibrillation (1)"
    table = table.set_index("label")
    assert list(table.index) == [15, 16, 12]
    lvh = table.loc[12]
    assert lvh["finding"] == "left ventricular hypertrophy" and lvh["present"] == 3
    percent = lvh[["plain", "hedged", "unstated", "read", "doubted"]].tolist()
    assert percent == pytest.approx([100 / 3] * 5)
    assert lvh["false"] == 1 and lvh["precision"] == 0.5 and lvh["recall_of_stated"] == 1
    assert lvh["recall"] == pytest.approx(1 / 3) and lvh["f1"] == pytest.approx(0.4)
    # Fibrillation implies the irregularity that the report omits.
    assert (table.loc[16, "unstated"], table.loc[16, "recall"]) == (100, 1)
    assert np.isnan(table.loc[16, "recall_of_stated"])
    # Without simulated reports, or any, agreement is unknown.
    table = reading_back.agreement(reported(("0", "possible lvh", {12: PRESENT})))
    unknown = ["plain", "hedged", "unstated", "recall_of_stated", "precision"]
    assert table[unknown].isna().all(axis=None) and table["doubted"].tolist() == [100]
    table = reading_back.agreement(REPORTED.assign(report=""))
    assert table.empty and np.isnan(reading_back.total(table)["f1"])
    assert len(bars.label_recovery(table).axes) == 2
    table = reading_back.examples(REPORTED, count=1, min_findings=2)
    assert table["site"].tolist() == ["A", "B"]
    lvh = "left ventricular hypertrophy"
    assert table["findings"].tolist() == [f"sinus rhythm, {lvh}", f"sinus rhythm, ({lvh})"]
    assert reading_back.examples(REPORTED[3:6]).empty
