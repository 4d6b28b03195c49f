"""Reconstruction, code and modality metrics on arrays whose answer is known."""

import numpy as np
import pandas as pd
import pytest

from ecglib.evaluate import codebook_use, modality, reconstruction


def test_errors_by_hand_and_padding_does_not_count():
    """One lead 1, -1, 1, -1 (then padding), reconstruction 0.5 lower: MAE 0.5, PRD 50 %."""
    x = np.tile(np.array([1.0, -1.0, 1.0, -1.0, 9.0, 9.0], dtype=np.float32), (1, 12, 1))
    y = x - 0.5
    y[..., 4:] = -100
    table = reconstruction.per_record(x, y, np.array([4]))
    assert table.iloc[0].to_list() == pytest.approx([0.5, 0.5, 50.0])


def test_prd_ignores_an_offset_of_the_original_and_is_nan_for_a_flat_record():
    x = np.sin(np.linspace(0, 20, 500))[None, None].repeat(12, 1)
    y = 0.9 * x
    n = np.array([500])
    pairs = ((x, y), (x + 5, y + 5), (np.zeros_like(x), y))
    plain, shifted, flat = (reconstruction.per_record(*p, n)["prd_percent"][0] for p in pairs)
    assert shifted == pytest.approx(plain) and np.isnan(flat)


@pytest.mark.parametrize(
    ("samples", "n_valid", "message"),
    [(5, [10, 10], "one shape"), (10, [10, 11], r"1\.\.10"), (10, [10], "one number per record")],
)
def test_shapes_that_do_not_fit_are_refused(samples, n_valid, message):
    x = np.zeros((2, 12, 10))
    with pytest.raises(ValueError, match=message):
        reconstruction.per_record(x, x[:, :, :samples], np.array(n_valid))


def test_codebook_use_by_hand():
    """Codebook 1: 0 and 1 evenly (1 bit); codebook 2: only 3 (0 bits); 4 codewords each."""
    array = np.array([[[0, 3], [1, 3]], [[1, 3], [0, 3]]])  # records, positions, codebooks
    counts = codebook_use.usage_counts(array, 4)
    assert counts.tolist() == [[2, 2, 0, 0], [0, 0, 0, 4]]
    table = codebook_use.per_codebook(counts)
    assert table["entropy_bits"].to_list() == [1.0, 0.0]
    assert table["perplexity_percent"].to_list() == [50.0, 25.0]
    assert table["utilisation_percent"].to_list() == [50.0, 25.0]
    assert codebook_use.utilisation_percent(counts) == 37.5
    assert codebook_use.pooled_utilisation_percent(array, 4) == 75.0  # 0, 1 and 3 of both
    assert codebook_use.sorted_usage(counts)["share"].to_list() == [0.5, 0.5, 0, 0, 1, 0, 0, 0]
    with pytest.raises(ValueError, match=r"0\.\.3, got 0\.\.4"):
        codebook_use.usage_counts(array + (array == 3), 4)


def test_modality_probe_tells_islands_from_a_mixture():
    rng = np.random.default_rng(0)
    cloud = rng.normal(size=(2, 120, 5))
    patients = np.arange(120) // 2
    mixed = modality.probe_correct(cloud[0], cloud[1], patients).mean()
    apart = modality.probe_correct(cloud[0], cloud[1] + 6, patients).mean()
    assert 0.3 < mixed < 0.7 and apart == 1.0
    assert modality.centroid_distance(cloud[0], cloud[0]) == 0.0
    assert modality.centroid_distance(cloud[0], cloud[0] + 3) > 2


def test_retrieval_finds_true_pairs_and_a_collapsed_space_ranks_in_the_middle():
    cloud = np.random.default_rng(0).normal(size=(20, 6))
    table = modality.retrieval(cloud, cloud + 10, seed=0)
    means = table.groupby("pairs")[["reciprocal_rank", "recall_at_1"]].mean()
    assert means.loc["true"].to_list() == [1.0, 1.0]
    assert means.loc["shuffled", "recall_at_1"] == 0.0
    assert (modality.ranks(cloud, np.ones_like(cloud)) == 10.5).all()


def test_streamed_errors_are_those_of_all_records_at_once():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 130, 12, 40))
    n_valid = rng.integers(1, 41, 130)
    at_once = reconstruction.per_record(x, y, n_valid)
    streamed = reconstruction.streamed(lambda part: x[part], lambda part: y[part], n_valid)
    pd.testing.assert_frame_equal(streamed, at_once)
