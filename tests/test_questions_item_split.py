"""The split by question item: what stands on both sides."""

import numpy as np
import pandas as pd
import pytest

from ecglib.questions.item_split import assign_parts, overlap


def test_shares_are_those_of_the_release():
    part = assign_parts(1000)
    assert {name: int((part == name).sum()) for name in ("train", "validation", "test")} == {
        "train": 700, "validation": 120, "test": 180,
    }  # fmt: skip
    np.testing.assert_array_equal(assign_parts(1000), part)
    assert (assign_parts(1000, seed=1) != part).any()
    with pytest.raises(ValueError, match="expected at least 4 question items, got 3"):
        assign_parts(3)


def test_overlap_by_hand():
    """Test items: about ECG 0 (also in train), ECG 2 (its patient 1 is), ECG 3 (nothing is)."""
    items = pd.DataFrame({"row": [0, 0, 1, 2, 3, 3]})
    part = np.array(["train", "test", "train", "test", "test", "validation"], dtype=object)
    found = overlap(items, part, patients=np.array([0, 1, 1, 2]))
    assert found["in_training"].tolist() == ["the same ECG", "the same patient"]
    assert found["test_items"].tolist() == [3, 3]
    assert found["shared"].tolist() == [1, 2]
    assert found["percent"].tolist() == pytest.approx([100 / 3, 200 / 3])


def test_nearly_every_test_item_meets_its_ecg_in_training():
    """With k questions an ECG the chance that none of the others is in training is 0.3^(k - 1)."""
    k = 4
    items = pd.DataFrame({"row": np.repeat(np.arange(5000), k)})
    found = overlap(items, assign_parts(len(items)), np.arange(5000))
    assert found["percent"].iloc[0] == pytest.approx(100 * (1 - 0.3 ** (k - 1)), abs=1.0)
