"""Portraits of a cohort, their distribution without single patients, and telling sets apart."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from ecglib.classify import two_sample
from ecglib.cohorts import comparison_cohort, measure_cohort, split
from ecglib.cohorts.records import write_cohort
from ecglib.evaluate import two_sample_auc
from ecglib.signals.leads import RATE
from ecglib.simulator.heart import HeartState
from ecglib.simulator.waveform import simulate

REPO = Path(__file__).parents[1]
ONE = SimpleNamespace(threads=1)
NAMES = [name for names in comparison_cohort.GROUPS.values() for name in names]


@pytest.fixture(autouse=True)
def few_trees(monkeypatch):
    monkeypatch.setattr(two_sample, "TREES", 20)


def record(index: int) -> dict:
    """ECG of patient index // 2; every second one has lost its last two seconds."""
    rng = np.random.default_rng([7, index])
    signal = simulate(HeartState(rate=60.0 + 5 * index), RATE, rng)
    n_valid = 2000 if index % 2 else 2500
    signal[:, n_valid:] = 0.0
    known = {"ecg_id": f"e{index}", "patient_id": f"p{index // 2}", "n_valid": n_valid}
    known |= {"quality": 0.9, "quality_leads": np.full(12, 0.8)}
    return known | {"signal": signal, "labels": np.zeros(77, dtype=np.int8)}


def table(patients: int, shift: float = 0.0, seed: int = 0) -> pd.DataFrame:
    """Portraits of noise, one ECG a patient; `shift` moves the T waves and nothing else."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(rng.normal(size=(patients, len(NAMES))), columns=NAMES)
    frame[[name for name in NAMES if name.startswith("t_")]] += shift
    frame.insert(0, "patient", np.arange(patients))
    return frame


def test_the_step_draws_patients_and_leaves_padding_out(tmp_path):
    cohort = write_cohort(tmp_path, [record(i) for i in range(6)], seed=0)
    measure_cohort.measure_cohort(tmp_path, {"cohort": tmp_path}, {}, 0, ONE)
    inputs = {"cohort": tmp_path, "measurements": tmp_path}
    comparison_cohort.extract_features(tmp_path, inputs, {"patients": 2}, 0, ONE)
    found = pd.read_parquet(tmp_path / "ecg_features.parquet")
    assert found.columns.tolist() == ["row", "patient", *NAMES]
    drawn = np.isin(split.persons(cohort.records), split.persons(cohort.records.iloc[found["row"]]))
    assert len(found) == 4 and found["row"].tolist() == np.flatnonzero(drawn).tolist()
    assert sorted(set(found["patient"])) == [0, 1]
    signal = cohort.signals(found["row"].to_numpy())[1]
    n_valid = cohort.records["n_valid"].iloc[found["row"][1]]
    expected = np.percentile(signal[1, :n_valid] - np.median(signal[1, :n_valid]), 99)
    assert found["amplitude_99_II"][1] == pytest.approx(expected, rel=1e-4)
    assert found["quality_V5"].tolist() == pytest.approx([0.8] * 4)
    known = pd.read_parquet(tmp_path / "measurements.parquet").iloc[found["row"]]
    ratio = known["t_II"].abs() / (known["r_II"] - known["s_II"])
    assert found["t_over_qrs_II"].tolist() == pytest.approx(ratio.tolist(), rel=1e-4)


def test_a_quantile_stands_for_ten_patients_or_more():
    frame = table(200)
    frame.loc[40:, "pr"] = np.nan  # 40 patients: ten beyond each quartile, two beyond the 5th
    frame.loc[15:, "qt"] = np.nan
    found = comparison_cohort.distribution(frame).set_index(["view", "of", "lead"])
    pr, qt = found.loc["measure", "pr", ""], found.loc["measure", "qt", ""]
    assert pr["ecgs"] == 40 and np.isnan([pr["q05"], pr["q95"]]).all()
    assert pr["q25"] == pytest.approx(np.percentile(frame["pr"].dropna(), 25))
    assert qt["ecgs"] == 15 and qt[list(comparison_cohort.Q_COLUMNS)].isna().all()
    assert np.isfinite(found.loc[("amplitude", "99", "V6"), "q05"])
    again = pd.concat([frame.iloc[:100]] * 2)  # more ECGs are no more patients
    assert comparison_cohort.distribution(again)["q05"].isna().all()


def test_a_distribution_comes_back_from_its_file(tmp_path):
    found = comparison_cohort.distribution(table(200))
    path = tmp_path / "real.csv"
    path.write_text("# From nowhere.\n" + found.to_csv(index=False))
    pd.testing.assert_frame_equal(comparison_cohort.read_distribution(path), found)
    path.write_text("view,lead,of\n")
    with pytest.raises(ValueError, match=r"real\.csv lacks the column ecgs"):
        comparison_cohort.read_distribution(path)


def test_the_committed_aggregates_say_where_they_are_from():
    path = REPO / "reports" / "benchmarks" / "beside_reality.csv"
    head = [line for line in path.read_text().splitlines() if line.startswith("#")]
    assert "PTB-XL" in head[0] and "CC BY 4.0" in head[0]
    found = comparison_cohort.read_distribution(path)
    expected = comparison_cohort.distribution(table(200))
    keys = ["view", "lead", "of", "unit"]
    assert found[keys].to_numpy().tolist() == expected[keys].to_numpy().tolist()
    assert found["q50"].notna().all() and (found["q05"] <= found["q95"]).all()


def test_sets_that_differ_in_t_waves_are_told_apart_by_them():
    scores = two_sample.cross_validated_scores(table(60), table(60, shift=3.0, seed=1), seed=0)
    found = two_sample_auc.table(scores, ("seen", "how"), resamples=50)
    value = found.set_index(["seen", "how"])["value"]
    assert value["all", "alone"] > 0.95 and value["waves", "alone"] > 0.95
    assert value["waves", "shuffled"] < 0.75 < 0.95 < value["spectrum", "shuffled"]
    assert abs(value["amplitude", "alone"] - 0.5) < 0.2
    assert len(found) == 1 + 2 * len(comparison_cohort.GROUPS)


def test_one_set_cut_in_two_cannot_be_told_apart_and_repeats_itself():
    first = two_sample.cross_validated_scores(table(60), table(60, seed=1), seed=0)
    assert first.equals(two_sample.cross_validated_scores(table(60), table(60, seed=1), seed=0))
    part = first[first["seen"] == two_sample.ALL]
    assert abs(two_sample_auc.auc(part["target"], part["score"], part["unit"]).value - 0.5) < 0.2


def test_a_patient_is_never_on_both_sides(monkeypatch):
    """Each ECG of a patient is scored by a model that saw none of them."""
    seen = []

    def remember(features, target, train, seed):
        seen.append(set(train.tolist()))
        return SimpleNamespace(predict_proba=lambda x: np.full((len(x), 2), 0.5))

    monkeypatch.setattr(two_sample, "_fit", remember)
    one, other = table(20), table(20, seed=1)
    one["patient"] //= 2
    two_sample.cross_validated_scores(one, other, 0)
    for train in seen:
        assert all((2 * k in train) == (2 * k + 1 in train) for k in range(10))


def test_the_step_takes_as_many_patients_of_both(tmp_path):
    for name, patients in (("source_a", 30), ("source_b", 12)):
        (tmp_path / name).mkdir()
        table(patients).to_parquet(tmp_path / name / "ecg_features.parquet")
    inputs = {name: tmp_path / name for name in ("source_a", "source_b")}
    two_sample.score_sources(tmp_path, inputs, {}, 0, ONE)
    scores = pd.read_parquet(tmp_path / "scores.parquet")
    assert scores.groupby("target")["unit"].nunique().tolist() == [12, 12]
    with pytest.raises(ValueError, match="source_a: expected at least 5 patients, got 3"):
        two_sample.cross_validated_scores(table(3), table(12), 0)


def test_single_numbers_by_hand():
    """Rates 1, 2, 3 against 2, 3, 4: of nine pairs six rise and two tie, so 7 / 9."""
    one, other = table(3), table(3, seed=1)
    one["heart_rate"], other["heart_rate"] = [1.0, 2.0, 3.0], [2.0, 3.0, 4.0]
    other["pr"] = np.nan
    found = two_sample.single_number_auc(one, other).set_index("number")
    assert found.loc["heart_rate", "auc"] == pytest.approx(7 / 9)
    assert found.loc["heart_rate", ["group", "one", "other"]].tolist() == [
        *("rate and rhythm", 2.0, 3.0)
    ]
    assert "pr" not in found.index and found["auc"].is_monotonic_decreasing
    turned = two_sample.single_number_auc(other.assign(pr=0.0), one).set_index("number")
    assert turned.loc["heart_rate", "auc"] == pytest.approx(7 / 9)


def test_intervals_count_patients():
    """Two patients with two ECGs each: the interval is over two, not four."""
    found = two_sample_auc.auc(np.array([0, 0, 1, 1]), np.array([0.1, 0.2, 0.3, 0.4]), [0, 0, 1, 1])
    assert (found.value, found.n) == (1.0, 2)
