"""The split by patient: no leak, the wanted shares, and no dependence on the order of rows."""

import numpy as np
import pandas as pd
import pytest

from ecglib.cohorts.labels import LABELS, column
from ecglib.cohorts.split import assign, balance, by_hash, draw, shared_patients


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
    records.loc[records["patient_id"] == "p3", "split"] = ["train", "test", "test"][
        : (records["patient_id"] == "p3").sum()
    ]
    assert shared_patients(records) == int((records["patient_id"] == "p3").sum() > 1)


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
