"""The cohort store and the loader: what is written comes back, in order, and faults are named."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from _cohort import write_cohort
from builds import change, missing, refused

from ecglib.cohorts import scored_sample
from ecglib.cohorts.loader import Loader
from ecglib.cohorts.store import Cohort, microvolts
from ecglib.signals.leads import from_limb_and_chest


def records(n: int) -> list[dict]:
    """Noise of n ECGs, two per patient; ECG i has 2500 - i samples."""
    rows = []
    for number in range(n):
        labels = np.full(77, -1, np.int8)
        labels[:10] = (np.arange(10) + number) % 3 == 0
        row = {"ecg_id": f"e{number}", "patient_id": f"p{number // 2}", "site": "A", "age": 50.0}
        row |= {"report": f"Report {number}.", "n_valid": 2500 - number, "verified": True}
        x = np.random.default_rng([number, 11]).normal(0, 0.4, (8, 2500)).astype(np.float32)
        x[:, 2500 - number :] = 0
        rows.append(row | {"labels": labels, "signal": from_limb_and_chest(x[0], x[1], x[2:])})
    return rows


GIVEN = records(23)


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    """23 ECGs in shards of 5."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("_cohort.SHARD", 5)
        return write_cohort(tmp_path_factory.mktemp("cohort"), GIVEN, seed=0)


def test_round_trip_within_half_a_microvolt_and_rows_that_partition_the_cohort(cohort):
    assert [len(shard) for shard in cohort.shards] == [5, 5, 5, 5, 3]
    rows = np.array([22, 0, 5, 4, 4])
    back = cohort.signals(rows)
    assert np.abs(back - [GIVEN[row]["signal"] for row in rows]).max() <= 0.0005 + 1e-6
    np.testing.assert_array_equal(cohort.labels, np.stack([row["labels"] for row in GIVEN]))
    assert (back.dtype, cohort.labels.dtype) == (np.float32, np.int8)
    for name in ("ecg_id", "patient_id", "report", "n_valid", "age", "verified"):
        assert cohort.records[name].tolist() == [row[name] for row in GIVEN]
    assert cohort.signals(np.array([], int)).shape == (0, 12, 2500)
    parts = [cohort.rows(name) for name in ("train", "validation", "test")]
    assert sorted(np.concatenate(parts)) == list(range(23)) == list(cohort.rows())
    np.testing.assert_array_equal(cohort.rows("tokenizer_train"), parts[0])
    refused("unknown role 'dev'", cohort.rows, "dev")
    refused("0 to 22", cohort.signals, np.array([23]))
    x = np.array([0.0, 0.0004, 0.0006, -1.2344, 40.0, -40.0])
    assert microvolts(x).tolist() == [0, 0, 1, -1234, 32767, -32767]


def test_impossible_records_and_unfinished_or_damaged_cohorts_are_refused(tmp_path):
    missing("holds no finished cohort", Cohort.open, tmp_path)
    refused("no ECG of the records source could be kept", write_cohort, tmp_path, [], seed=0)
    twice = [row | {"ecg_id": "e0"} for row in GIVEN[:2]]
    refused("1 ECGs of the records source have the ecg_id", write_cohort, tmp_path, twice, seed=0)
    manifest = write_cohort(tmp_path, records(4), seed=0).manifest
    (tmp_path / "cohort.json").write_text(json.dumps(manifest | {"format": 99}))
    refused("expected format 2, got 99", Cohort.open, tmp_path)
    (tmp_path / "cohort.json").write_text(json.dumps(manifest))
    table = pd.read_parquet(tmp_path / "records.parquet")
    table.iloc[:3].to_parquet(tmp_path / "records.parquet", index=False)
    refused("4 signals, 3 records", Cohort.open, tmp_path)
    np.save(tmp_path / "signals_00000.npy", np.zeros((4, 12, 2500), np.float32))
    refused(r"expected int16 \(4, 12, 2500\), got float32", Cohort.open, tmp_path)
    (tmp_path / "signals_00000.npy").unlink()
    missing(r"signals_00000\.npy is missing", Cohort.open, tmp_path)


DAMAGE = {  # file, what is done to it, and the sentence
    "manifest cut": ("cohort.json", lambda b: b[:40], r"cohort\.json is damaged .* again"),
    "manifest bare": ("cohort.json", lambda b: b'{"format": 2}', r"cohort\.json lacks 'shards'"),
    "manifest list": ("cohort.json", lambda b: b"[]", "expected format 2, got None"),
    "shard cut": ("signals_00000.npy", lambda b: b[:5000], r"signals_00000\.npy is damaged"),
    "shard header": ("signals_00000.npy", lambda b: b[:20], r"signals_00000\.npy is damaged"),
    "table cut": ("records.parquet", lambda b: b[:-9], r"records\.parquet is damaged"),
    "no rejected": ("quarantine.csv", lambda b: b"file,why\n", "expected file, reason, value, got"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_each_damaged_file_is_named_in_one_sentence(tmp_path, name):
    file, damage, sentence = DAMAGE[name]
    write_cohort(tmp_path, GIVEN[:3], seed=0)
    (tmp_path / file).write_bytes(damage((tmp_path / file).read_bytes()))
    refused(f"(?s)^[^\n]*{sentence}[^\n]*$", lambda: Cohort.open(tmp_path).quarantine)


def test_a_table_without_a_column_is_refused(tmp_path):
    write_cohort(tmp_path, GIVEN[:3], seed=0)
    change(tmp_path / "records.parquet", label_06=None)
    refused(r"records\.parquet lacks 'label_06'; make the cohort again", Cohort.open, tmp_path)


def test_a_repeated_signal_is_kept_once_and_results_depend_on_the_seed_alone(tmp_path):
    """Of eight ECGs, e5 (patient p2) has the signal of e2 (patient p1)."""
    repeated = records(8)
    repeated[5]["signal"] = repeated[2]["signal"].copy()
    cohort = write_cohort(tmp_path / "zero", repeated, seed=0)
    assert cohort.records["ecg_id"].tolist() == [f"e{n}" for n in (0, 1, 2, 3, 4, 6, 7)]
    rejected = cohort.quarantine.to_numpy().tolist()
    assert rejected == [["e5", "repeated record", "same signal as e2"]]
    last = cohort.signals(np.array([6]))[0]
    assert np.abs(last - repeated[7]["signal"]).max() <= 0.0005 + 1e-6
    # p1 (of e2 and e3) and p2 (of e4 and e5) are one person, in one part of the split.
    people = cohort.records.set_index("ecg_id")["patient_id"]
    assert people["e2"] == people["e3"] == people["e4"] == "p1"
    notes = ["1 patient numbers share a signal with another: one person each"]
    assert cohort.manifest["notes"] == notes
    # Results do not depend on the order of records.
    orders = {"forth": repeated, "again": repeated, "back": repeated[::-1]}
    forth, again, back = (write_cohort(tmp_path / n, given, 3) for n, given in orders.items())
    for path in sorted(forth.folder.iterdir()):
        assert path.read_bytes() == (again.folder / path.name).read_bytes(), path.name
    same = ["patient_id", "unit", "ecg", "split"]
    one, other = (c.records.set_index("ecg_id").sort_index()[same] for c in (forth, back))
    assert one.equals(other)
    assert sorted(one["ecg"]) == list(range(7)) and sorted(set(one["unit"])) == [0, 1, 2]
    assert (one.groupby("patient_id")[["unit", "split"]].nunique() == 1).all(axis=None)


def test_whole_patients_are_drawn_up_to_a_number_of_ecgs_and_at_least_one():
    """Three patients of three ECGs; half a patient would narrow the intervals."""
    records = pd.DataFrame({"unit": np.repeat([7, 8, 9], 3)})
    cohort = SimpleNamespace(records=records, rows=lambda role: np.arange(9))
    cohort.has_report = np.ones(9, bool)
    for at_most, ecgs in ((1, 3), (3, 3), (5, 3), (6, 6), (99, 9)):
        rows = scored_sample.test_rows(cohort, at_most, 0)
        assert len(rows) == ecgs and (records["unit"][rows].value_counts() == 3).all()


def test_ecgs_without_a_report_are_left_to_what_reads_no_report(cohort):
    test = cohort.rows("test")
    np.testing.assert_array_equal(cohort.reported("test"), test)
    blank = cohort.records["report"].mask(np.isin(cohort.rows(), test[:2]), " ")
    partly = replace(cohort, records=cohort.records.assign(report=blank))
    np.testing.assert_array_equal(partly.reported("test"), test[2:])
    np.testing.assert_array_equal(partly.rows("test"), test)
    np.testing.assert_array_equal(scored_sample.test_rows(partly, 99, 0), test[2:])
    none = replace(cohort, records=cohort.records.assign(report=np.nan).astype({"report": object}))
    np.testing.assert_array_equal(scored_sample.test_rows(none, 99, 0), test)
    refused(f"none of the {len(test)} ECGs of the role test has a report", none.reported, "test")


def test_partners_are_of_the_same_site_and_another_patient():
    rng = np.random.default_rng(0)
    patients = np.repeat(np.arange(9), rng.integers(2, 8, 9))  # neighbours are often of one
    records = pd.DataFrame({"site": np.where(patients % 3 == 0, "A", "B"), "unit": patients})
    partner = scored_sample.partners(records, seed=0)
    assert (records["site"].to_numpy()[partner] == records["site"]).all()
    assert (patients[partner] != patients).all()
    assert (partner == scored_sample.partners(records, seed=0)).all()
    alone = pd.DataFrame({"site": [*"AABBCA"], "unit": [1, 2, 3, 4, 5, 6]})
    partner = scored_sample.partners(alone, seed=0)  # the one of C joins the largest site
    assert alone["site"][partner[4]] == "A" and sorted(partner[[2, 3]]) == [2, 3]
    often = pd.DataFrame({"site": [*"AAABB"], "unit": [1, 1, 1, 2, 3]})  # one patient fills a site
    partner = scored_sample.partners(often, seed=0)
    assert (often["unit"].to_numpy()[partner] != often["unit"]).all()
    refused("two patients", scored_sample.partners, alone.assign(unit=1), seed=0)


def test_an_epoch_visits_every_row_once_with_its_own_signal_labels_and_mask(cohort):
    rows = np.arange(22)
    loader = Loader(cohort, rows, batch=4, seed=0)
    batches = list(loader.epoch(0))
    assert [len(batch.rows) for batch in batches] == [4, 4, 4, 4, 4, 2]
    assert len(loader) == 6
    assert sorted(np.concatenate([batch.rows for batch in batches])) == list(rows)
    for batch in batches:
        assert (batch.signals.dtype, batch.labels.dtype, batch.mask.dtype) == ("f4", "i1", bool)
        for place, row in enumerate(batch.rows):
            given = GIVEN[int(cohort.records["ecg_id"].iloc[row][1:])]
            assert np.abs(batch.signals[place] - given["signal"]).max() <= 0.0005 + 1e-6
            np.testing.assert_array_equal(batch.labels[place], given["labels"])
            np.testing.assert_array_equal(batch.mask[place], np.arange(2500) < given["n_valid"])
    first = next(iter(loader.epoch(0)))
    first.signals[:] = 7.0  # a batch is the caller's own, and an epoch may be left early
    np.testing.assert_array_equal(next(iter(loader.epoch(0))).signals, batches[0].signals)
    refused("is this role empty", Loader, cohort, np.array([], int), 4, 0)
    refused("expected a batch of at least 1 ECG, got 0", Loader, cohort, rows, 0, 0)


def test_the_order_depends_on_seed_and_epoch_alone_and_mixes_shards(cohort):
    loaders = [Loader(cohort, cohort.rows(), batch=5, seed=seed) for seed in (0, 1, 0)]
    orders = [[b.tolist() for b in loader.order(n)] for loader in loaders for n in range(3)]
    assert orders[:3] == orders[6:] and all(orders[:6].count(one) == 1 for one in orders)
    assert all(len({row // 5 for row in batch}) > 1 for batch in orders[0])


def test_a_training_step_gives_the_same_batch_wherever_the_training_begins(cohort):
    """23 ECGs in batches of 4 are six steps an epoch; step 7 is the second of the next epoch."""
    through, late = (Loader(cohort, cohort.rows(), batch=4, seed=3) for _ in range(2))
    rows = [through.at(step).rows for step in range(8)]
    epochs = [order for number in (0, 1) for order in through.order(number)]
    for one, other in zip(rows, epochs, strict=False):
        np.testing.assert_array_equal(one, other)
    for step in (7, 5, 5):
        for left, right in zip(late.at(step), through.read(rows[step]), strict=True):
            np.testing.assert_array_equal(left, right)
