"""The training loader: every row once an epoch, the same batches from one seed, masks and units."""

import numpy as np
import pytest
import test_cohorts_store

from ecglib.cohorts import records
from ecglib.cohorts.loader import Loader
from ecglib.cohorts.store import Cohort

GIVEN = test_cohorts_store.records(23)


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    """23 ECGs in shards of 5."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(records, "SHARD", 5)
        return records.write_cohort(tmp_path_factory.mktemp("cohort"), GIVEN, seed=0)


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
            assert batch.mask[place].sum() == given["n_valid"]
            assert batch.mask[place, : given["n_valid"]].all()
            assert not batch.signals[place][:, ~batch.mask[place]].any()
        np.testing.assert_array_equal(batch.signals, cohort.signals(batch.rows))


def test_the_order_depends_on_seed_and_epoch_alone(cohort):
    def order(seed: int, epoch: int) -> list[int]:
        loader = Loader(cohort, cohort.rows(), batch=4, seed=seed)
        return [int(row) for batch in loader.epoch(epoch) for row in batch.rows]

    assert order(0, 0) == order(0, 0)
    assert len({tuple(order(seed, epoch)) for seed in (0, 1) for epoch in (0, 1, 2)}) == 6
    assert order(0, 0) != sorted(order(0, 0))


def test_rows_of_different_shards_meet_in_a_batch(cohort):
    batches = Loader(cohort, cohort.rows(), batch=5, seed=0).order(0)
    assert all(len({row // 5 for row in batch}) > 1 for batch in batches)


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


def test_an_epoch_that_is_left_early_leaves_nothing_behind(cohort):
    loader = Loader(cohort, cohort.rows(), batch=4, seed=0)
    first = next(iter(loader.epoch(0)))
    first.signals[:] = 7.0  # a batch is the caller's own
    np.testing.assert_array_equal(next(iter(loader.epoch(0))).signals, cohort.signals(first.rows))


@pytest.mark.parametrize(
    ("rows", "batch", "expected"),
    [
        ([], 4, r"no records of .* is this role empty"),
        ([23], 4, "expected record numbers of 0 to 22"),
        ([0, 1], 0, "expected a batch of at least 1 ECG, got 0"),
    ],
)
def test_impossible_requests_are_refused(cohort, rows, batch, expected):
    with pytest.raises(ValueError, match=expected):
        Loader(cohort, np.array(rows, int), batch, 0)
