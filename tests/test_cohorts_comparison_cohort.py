"""Named features of a cohort, and their distribution without single patients."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from fake_features import NAMES, features

from ecglib.cohorts import comparison_cohort, measure_cohort, split
from ecglib.cohorts.records import write_cohort
from ecglib.signals.leads import RATE
from ecglib.simulator.heart import HeartState
from ecglib.simulator.waveform import simulate

REPO = Path(__file__).parents[1]
ONE = SimpleNamespace(threads=1)


def record(index: int) -> dict:
    """ECG of patient index // 2; every second one has lost its last two seconds."""
    rng = np.random.default_rng([7, index])
    signal = simulate(HeartState(rate=60.0 + 5 * index), RATE, rng)
    n_valid = 2000 if index % 2 else 2500
    signal[:, n_valid:] = 0.0
    row = {"ecg_id": f"e{index}", "patient_id": f"p{index // 2}", "n_valid": n_valid}
    row |= {"quality": 0.9, "quality_leads": np.full(12, 0.8)}
    return row | {"signal": signal, "labels": np.zeros(77, dtype=np.int8)}


def test_the_step_draws_patients_and_leaves_padding_out(tmp_path):
    cohort = write_cohort(tmp_path, [record(i) for i in range(6)], seed=0)
    measure_cohort.measure_cohort(tmp_path, {"cohort": tmp_path}, {}, 0, ONE)
    inputs = {"cohort": tmp_path, "measurements": tmp_path}
    comparison_cohort.extract_features(tmp_path, inputs, {"patients": 2}, 0, ONE)
    table = pd.read_parquet(tmp_path / "ecg_features.parquet")
    assert table.columns.tolist() == ["row", "patient", *NAMES]
    drawn = np.isin(split.persons(cohort.records), split.persons(cohort.records.iloc[table["row"]]))
    assert len(table) == 4 and table["row"].tolist() == np.flatnonzero(drawn).tolist()
    assert sorted(set(table["patient"])) == [0, 1]
    signal = cohort.signals(table["row"].to_numpy())[1]
    n_valid = cohort.records["n_valid"].iloc[table["row"][1]]
    expected = np.percentile(signal[1, :n_valid] - np.median(signal[1, :n_valid]), 99)
    assert table["amplitude_99_II"][1] == pytest.approx(expected, rel=1e-4)
    assert table["quality_V5"].tolist() == pytest.approx([0.8] * 4)
    known = pd.read_parquet(tmp_path / "measurements.parquet").iloc[table["row"]]
    ratio = known["t_II"].abs() / (known["r_II"] - known["s_II"])
    assert table["t_over_qrs_II"].tolist() == pytest.approx(ratio.tolist(), rel=1e-4)


def test_a_quantile_stands_for_ten_patients_or_more():
    frame = features(200)
    frame.loc[40:, "pr"] = np.nan  # 40 patients: ten beyond each quartile, two beyond the 5th
    frame.loc[15:, "qt"] = np.nan
    table = comparison_cohort.distribution(frame).set_index(["view", "of", "lead"])
    pr, qt = table.loc["measure", "pr", ""], table.loc["measure", "qt", ""]
    assert pr["ecgs"] == 40 and np.isnan([pr["q05"], pr["q95"]]).all()
    assert pr["q25"] == pytest.approx(np.percentile(frame["pr"].dropna(), 25))
    assert qt["ecgs"] == 15 and qt[list(comparison_cohort.Q_COLUMNS)].isna().all()
    assert np.isfinite(table.loc[("amplitude", "99", "V6"), "q05"])
    again = pd.concat([frame.iloc[:100]] * 2)  # more ECGs are no more patients
    assert comparison_cohort.distribution(again)["q05"].isna().all()


def test_a_distribution_comes_back_from_its_file(tmp_path):
    table = comparison_cohort.distribution(features(200))
    path = tmp_path / "real.csv"
    path.write_text("# From nowhere.\n" + table.to_csv(index=False))
    pd.testing.assert_frame_equal(comparison_cohort.read_distribution(path), table)
    path.write_text("view,lead,of\n")
    with pytest.raises(ValueError, match=r"real\.csv lacks the column ecgs"):
        comparison_cohort.read_distribution(path)


def test_the_committed_aggregates_say_where_they_are_from():
    path = REPO / "reports" / "benchmarks" / "beside_reality.csv"
    head = [line for line in path.read_text().splitlines() if line.startswith("#")]
    assert "PTB-XL" in head[0] and "CC BY 4.0" in head[0]
    table = comparison_cohort.read_distribution(path)
    expected = comparison_cohort.distribution(features(200))
    keys = ["view", "lead", "of", "unit"]
    assert table[keys].to_numpy().tolist() == expected[keys].to_numpy().tolist()
    assert table["q50"].notna().all() and (table["q05"] <= table["q95"]).all()
