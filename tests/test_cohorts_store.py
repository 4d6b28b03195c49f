"""The cohort store: what is written comes back, in order, and faults are named."""

import json

import numpy as np
import pandas as pd
import pytest

from ecglib.cohorts import records as cohort_records
from ecglib.cohorts import scored_sample
from ecglib.cohorts.records import write_cohort
from ecglib.cohorts.store import Cohort, microvolts
from ecglib.signals.leads import from_limb_and_chest


def signal(seed: int) -> np.ndarray:
    x = np.random.default_rng([seed, 11]).normal(0, 0.4, (8, 2500)).astype(np.float32)
    return from_limb_and_chest(x[0], x[1], x[2:])


def records(n: int) -> list[dict]:
    """Noise of n ECGs, two per patient; ECG i has 2500 - i samples."""
    rows = []
    for number in range(n):
        labels = np.full(77, -1, np.int8)
        labels[:10] = (np.arange(10) + number) % 3 == 0
        row = {"ecg_id": f"e{number}", "patient_id": f"p{number // 2}", "site": "A", "age": 50.0}
        row |= {"sex": "F", "height": 170.0, "weight": 65.0, "report": f"Report {number}."}
        row |= {"device": "d1", "rate": 500.0, "n_valid": 2500 - number, "verified": True}
        x = signal(number)
        x[:, 2500 - number :] = 0
        rows.append(row | {"labels": labels, "signal": x})
    return rows


def test_round_trip_within_half_a_microvolt(tmp_path, monkeypatch):
    monkeypatch.setattr(cohort_records, "SHARD", 4)  # 10 ECGs in shards of 4, 4 and 2
    given = records(10)
    cohort = write_cohort(tmp_path, given, seed=0)
    assert [len(shard) for shard in cohort.shards] == [4, 4, 2]
    rows = np.array([9, 0, 4, 3, 3])
    back = cohort.signals(rows)
    assert back.dtype == np.float32
    truth = np.stack([given[row]["signal"] for row in rows])
    assert np.abs(back - truth).max() <= 0.0005 + 1e-6
    np.testing.assert_array_equal(cohort.labels, np.stack([row["labels"] for row in given]))
    assert cohort.labels.dtype == np.int8
    assert cohort.records["report"].tolist() == [row["report"] for row in given]
    assert cohort.records["n_valid"].tolist() == [2500 - number for number in range(10)]
    assert cohort.signals(np.array([], int)).shape == (0, 12, 2500)


def test_rows_partition_the_cohort(tmp_path):
    cohort = write_cohort(tmp_path, records(20), seed=0)
    parts = [cohort.rows(name) for name in ("train", "validation", "test")]
    assert sorted(np.concatenate(parts)) == list(range(20)) == list(cohort.rows())
    with pytest.raises(ValueError, match="unknown role 'dev'"):
        cohort.rows("dev")
    with pytest.raises(ValueError, match="0 to 19"):
        cohort.signals(np.array([20]))


def test_public_numbers_follow_patients_and_not_rows(tmp_path):
    given = records(12)
    first = write_cohort(tmp_path / "a", given, seed=3).records.set_index("ecg_id")
    second = write_cohort(tmp_path / "b", given[::-1], seed=3).records.set_index("ecg_id")
    for name in ("unit", "ecg", "split"):
        assert first[name].to_dict() == second[name].to_dict()
    assert sorted(first["ecg"]) == list(range(12))
    assert sorted(first["unit"].unique()) == list(range(6))
    assert (first.groupby("patient_id")["unit"].nunique() == 1).all()


def test_same_seed_same_bytes(tmp_path):
    for name in ("a", "b"):
        write_cohort(tmp_path / name, records(6), seed=3)
    for path in sorted((tmp_path / "a").iterdir()):
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes(), path.name


def test_microvolts_round_and_clip():
    x = np.array([0.0, 0.0004, 0.0006, -1.2344, 40.0, -40.0])
    assert microvolts(x).tolist() == [0, 0, 1, -1234, 32767, -32767]


def test_unfinished_or_damaged_cohorts_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="holds no finished cohort"):
        Cohort.open(tmp_path)
    write_cohort(tmp_path, records(4), seed=0)
    manifest = json.loads((tmp_path / "cohort.json").read_text())
    (tmp_path / "cohort.json").write_text(json.dumps(manifest | {"format": 99}))
    with pytest.raises(ValueError, match="format 99"):
        Cohort.open(tmp_path)
    (tmp_path / "cohort.json").write_text(json.dumps(manifest))
    table = pd.read_parquet(tmp_path / "records.parquet")
    table.iloc[:3].to_parquet(tmp_path / "records.parquet", index=False)
    with pytest.raises(ValueError, match="4 signals, 3 records"):
        Cohort.open(tmp_path)
    (tmp_path / "signals_00000.npy").unlink()
    with pytest.raises(FileNotFoundError, match=r"signals_00000\.npy is missing"):
        Cohort.open(tmp_path)


def test_impossible_records_are_refused(tmp_path):
    with pytest.raises(ValueError, match="no ECG of the records source could be kept"):
        write_cohort(tmp_path, [], seed=0)
    twice = records(2)
    twice[1]["ecg_id"] = "e0"
    with pytest.raises(ValueError, match="1 ECGs of the records source have the ecg_id"):
        write_cohort(tmp_path, twice, seed=0)
    short = records(1)
    short[0]["signal"] = short[0]["signal"][:, :100]
    with pytest.raises(ValueError, match=r"\(12, 2500\), got \(12, 100\)"):
        write_cohort(tmp_path, short, seed=0)


def test_a_repeated_signal_is_kept_once_whoever_it_belongs_to(tmp_path):
    given = records(8)
    given[5]["signal"] = given[2]["signal"].copy()
    cohort = write_cohort(tmp_path, given, seed=0)
    assert cohort.records["ecg_id"].tolist() == [f"e{n}" for n in (0, 1, 2, 3, 4, 6, 7)]
    rejected = cohort.quarantine
    assert rejected[["file", "reason"]].to_numpy().tolist() == [["e5", "repeated record"]]
    assert rejected["value"][0] == "same signal as e2"
    last = cohort.signals(np.array([6]))[0]
    assert np.abs(last - given[7]["signal"]).max() <= 0.0005 + 1e-6
    # p1 (of e2 and e3) and p2 (of e4 and e5) are one person, in one part of the split.
    people = cohort.records.set_index("ecg_id")["patient_id"]
    assert people["e2"] == people["e3"] == people["e4"] == "p1"
    assert cohort.records.groupby("patient_id")["split"].nunique().max() == 1
    assert cohort.manifest["notes"] == [
        "1 patient numbers share a signal with another: one person each"
    ]


def test_which_repeated_record_is_kept_does_not_depend_on_their_order(tmp_path):
    given = records(8)
    given[5]["signal"] = given[2]["signal"].copy()
    for name, order in (("forth", given), ("back", given[::-1])):
        write_cohort(tmp_path / name, order, seed=0)
    forth, back = (
        Cohort.open(tmp_path / name).records.set_index("ecg_id").sort_index()
        for name in ("forth", "back")
    )
    same = ["patient_id", "unit", "ecg", "split"]
    assert forth[same].equals(back[same])


def test_partners_are_of_the_same_site_and_another_patient():
    rng = np.random.default_rng(0)
    patients = np.repeat(np.arange(40), rng.integers(1, 4, 40))
    records = pd.DataFrame({"site": np.where(patients % 3 == 0, "A", "B"), "unit": patients})
    partner = scored_sample.partners(records, seed=0)
    assert (records["site"].to_numpy()[partner] == records["site"]).all()
    assert (patients[partner] != patients).all()
    assert (partner == scored_sample.partners(records, seed=0)).all()


def test_a_site_with_one_patient_is_shuffled_with_the_largest():
    records = pd.DataFrame({"site": [*"AABBCA"], "unit": [1, 2, 3, 4, 5, 6]})
    partner = scored_sample.partners(records, seed=0)
    assert records["site"][partner[4]] == "A"
    assert sorted(partner[[2, 3]]) == [2, 3]


def test_one_patient_cannot_be_shuffled():
    with pytest.raises(ValueError, match="two patients"):
        scored_sample.partners(pd.DataFrame({"site": ["A", "B"], "unit": [1, 1]}), seed=0)
