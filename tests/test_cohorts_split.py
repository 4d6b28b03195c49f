"""The split by patient: no leak, the wanted shares, and no dependence on the order of rows."""

import numpy as np
import pandas as pd
import pytest
from real_data import needs, real

from ecglib.cohorts.split import (
    FRACTIONS,
    assign,
    balance,
    by_hash,
    draw,
    folds,
    persons,
    scarce,
    shared_patients,
)
from ecglib.labels.label_set import LABELS, column

MINI = real("ECGLIB_PTBXL_MINI")


def table(n_patients: int, seed: int = 0) -> pd.DataFrame:
    """One to three ECGs a patient; labels of many prevalences that cluster in patients."""
    rng = np.random.default_rng([seed, 3])
    prevalence = np.geomspace(0.5, 0.01, len(LABELS))
    rows = []
    for patient in range(n_patients):
        labels = rng.random(len(LABELS)) < prevalence
        for _ in range(1 + rng.integers(3)):
            rows.append([f"p{patient}", *np.where(rng.random(len(LABELS)) < 0.9, labels, 0)])
    names = [column(index) for index in range(len(LABELS))]
    return pd.DataFrame(rows, columns=["patient_id", *names])


def test_patients_are_never_shared():
    records = table(200)
    records["split"] = assign(records, seed=0)
    assert shared_patients(records) == 0
    one = records["patient_id"].duplicated()
    records.loc[one.idxmax(), "split"] = "elsewhere"
    assert shared_patients(records) == 1


def test_shares_hold_for_ecgs_and_for_common_labels():
    """With 600 patients each share of a label on >= 60 ECGs is within 6 points of its goal."""
    records = table(600)
    records["split"] = assign(records, seed=1)
    shares = balance(records)
    assert shares["what"][:2].tolist() == ["patients", "ECGs"]
    ecgs = shares.iloc[1]
    assert ecgs["total"] == len(records)
    assert ecgs[["train", "validation", "test"]].sum() == pytest.approx(1)
    for name, goal in (("train", 0.7), ("validation", 0.1), ("test", 0.2)):
        assert abs(ecgs[name] - goal) < 0.02
        common = shares[shares["total"] >= 60]
        assert (common[name] - goal).abs().max() < 0.06


def test_split_is_deterministic_under_the_order_of_rows():
    records = table(150)
    split = assign(records, seed=5)
    order = np.random.default_rng(0).permutation(len(records))
    np.testing.assert_array_equal(assign(records.iloc[order], seed=5), split[order])
    assert (assign(records, seed=6) != split).any()


def test_test_patients_do_not_depend_on_the_validation_share():
    """Nested: the test patients are drawn before the validation patients."""
    records = table(150)
    a = assign(records, seed=2)
    b = assign(records, seed=2, fractions={"train": 0.6, "validation": 0.2, "test": 0.2})
    np.testing.assert_array_equal(a == "test", b == "test")


def test_draw_by_hand():
    """Ten patients, one ECG each, share 0.2; the rare label stands on patients 0 and 1.

    Wanted: 1.6 and 0.4 of the rare label, 8 and 2 ECGs, 8 and 2 patients. Patient 0: relief
    2.2/1.6 + 2 * 15/8 = 5.125 on the large side, -0.2/0.4 + 2 * 3/2 = 2.5 on the small. Patient 1:
    0.2/1.6 + 2 * 13/8 = 3.375 on the large side, again 2.5 on the small. Both go to the large
    side; of the other eight, 2 fill up the small one.
    """
    counts = np.zeros((10, 1), int)
    counts[:2] = 1
    chosen = draw(counts, np.ones(10, int), 0.2)
    assert not chosen[:2].any()
    assert chosen.sum() == 2


def test_hash_order_differs_by_seed_but_not_by_input_order():
    names = [f"p{i}" for i in range(20)]
    first = [names[i] for i in by_hash(names, 0)]
    backwards = names[::-1]
    assert [backwards[i] for i in by_hash(backwards, 0)] == first
    assert [names[i] for i in by_hash(names, 1)] != first


def test_faults_give_one_sentence():
    records = table(5)
    with pytest.raises(ValueError, match="add up to 1"):
        assign(records, 0, {"train": 0.5, "validation": 0.1, "test": 0.2})
    records.loc[0, "patient_id"] = ""
    with pytest.raises(ValueError, match="without patient_id"):
        assign(records, 0)


def test_results_are_those_of_the_first_release():
    """Pinned: a published run must find its own test patients again."""
    records = table(60)
    split = pd.Series(assign(records, seed=7))
    assert split.value_counts().to_dict() == {"train": 84, "test": 21, "validation": 9}
    test = {int(name[1:]) for name in records["patient_id"][split == "test"]}
    assert test == {0, 2, 9, 10, 11, 18, 25, 26, 42, 43, 45, 48, 59}


def states(rows: list[tuple[str, str, int]]) -> pd.DataFrame:
    """Records from (patient, split, state of label 6); all other labels absent."""
    frame = pd.DataFrame(rows, columns=["patient_id", "split", column(6)])
    others = [column(index) for index in range(len(LABELS)) if index != 6]
    return pd.concat([frame, pd.DataFrame(0, index=frame.index, columns=others)], axis=1)


def test_balance_by_hand():
    """Train: 1 of 4 assessable present, 25 %; validation: none assessable; test: 1 of 2, 50 %.

    The ECG that cannot be assessed (-1) counts in no denominator, the uncertain one (2) does.
    """
    rows = [("a", "train", 1), ("a", "train", 0), ("b", "train", 0), ("c", "train", 2)]
    rows += [("d", "train", -1), ("e", "validation", -1), ("f", "test", 1), ("f", "test", 0)]
    table = balance(states(rows)).set_index("what")
    assert table.index.tolist() == ["patients", "ECGs", LABELS[6]]
    assert table.loc["patients", ["total", "in_test"]].tolist() == [6, 1]
    assert table.loc["ECGs", ["total", "in_test"]].tolist() == [8, 2]
    assert table.loc["ECGs", list(FRACTIONS)].tolist() == [5 / 8, 1 / 8, 2 / 8]
    assert table.loc[LABELS[6], ["train", "validation", "test"]].tolist() == [0.5, 0.0, 0.5]
    assert table.loc[LABELS[6], "gap_points"] == 25.0
    assert table.loc[["patients", "ECGs"], "gap_points"].isna().all()
    alone = balance(states([("a", "train", 1), ("b", "test", -1)])).set_index("what")
    assert np.isnan(alone.loc[LABELS[6], "gap_points"])  # a gap needs two parts


def test_labels_with_few_positives_in_test_are_named():
    rows = [(f"p{i}", "train", 1) for i in range(9)] + [(f"t{i}", "test", 1) for i in range(4)]
    assert scarce(states(rows)) == [LABELS[6]]
    assert scarce(states([*rows, ("t4", "test", 1)])) == []
    assert scarce(states(rows), minimum=4) == []
    assert scarce(states([("a", "train", 0), ("b", "test", 0)])) == []  # the cohort has none


def test_one_number_of_two_data_sets_is_two_people():
    records = pd.DataFrame({"patient_id": ["1", "1", "2"], "split": ["train", "test", "test"]})
    assert shared_patients(records) == 1
    pooled = records.assign(source=["ptbxl", "mimic", "mimic"])
    assert shared_patients(pooled) == 0
    assert persons(pooled).tolist() == [0, 1, 2]
    assert persons(pooled.assign(source="mimic")).tolist() == [0, 0, 1]
    for nobody in ("", None, np.nan):
        with pytest.raises(ValueError, match="without patient_id"):
            persons(pd.DataFrame({"patient_id": ["1", nobody]}))


def folded(**changes: object) -> pd.DataFrame:
    """Patient p1 in fold 1 to p10 in fold 10, two ECGs each; `changes` overwrite rows."""
    rows = [[f"p{fold}", float(fold)] for fold in range(1, 11) for _ in range(2)]
    frame = pd.DataFrame(rows, columns=["patient_id", "fold"]).astype({"fold": object})
    for row, value in changes.items():
        frame.loc[int(row.removeprefix("row")), "fold"] = value
    return frame


def test_official_folds():
    split = folds(folded())
    assert split.tolist() == ["train"] * 16 + ["validation"] * 2 + ["test"] * 2
    order = np.random.default_rng(1).permutation(20)
    np.testing.assert_array_equal(folds(folded().iloc[order]), split[order])
    assert (folds(folded(row0=2.0)) == split).all()  # two folds of one part do no harm


@pytest.mark.parametrize("bad", [np.nan, None, "", 0, 11, 3.5, -1, "nine"])
def test_a_missing_or_odd_fold_is_refused(bad):
    with pytest.raises(ValueError, match="1 of 20 ECGs have no fold of 1 to 10 in fold"):
        folds(folded(row4=bad))


@pytest.mark.parametrize(
    ("rows", "name", "expected"),
    [
        (folded(row0=10.0), "fold", "1 patients are in two parts under fold"),
        (folded().query("fold != 9"), "fold", "the validation part has no ECG"),
        (folded().query("fold != 10"), "fold", "the test part has no ECG"),
        (folded().query("fold > 8"), "fold", "the train part has no ECG"),
        (folded(), "strat_fold", "no column strat_fold"),
    ],
)
def test_folds_need_whole_patients_every_part_and_their_column(rows, name, expected):
    with pytest.raises(ValueError, match=expected):
        folds(rows, name)


@needs("ECGLIB_PTBXL_MINI")
def test_folds_of_the_real_table():
    records = pd.read_csv(MINI / "ptbxl_database.csv")
    split = folds(records, "strat_fold")
    np.testing.assert_array_equal(split == "test", records["strat_fold"] == 10)
    assert shared_patients(records.assign(split=split)) == 0
