"""The bootstrap and AUC, and the metrics of reconstructions, codes and modalities.

They are compared with answers by hand, with slow loops and with scikit-learn.
"""

import time

import numpy as np
import pandas as pd
import pytest
from builds import refused
from scipy import stats
from sklearn.metrics import roc_auc_score

from ecglib.evaluate import auc, bootstrap, codebook_use, modality, reconstruction
from ecglib.labels.findings import FINDINGS, SCORED
from ecglib.labels.label_set import ABSENT, COLUMNS, PRESENT


def frame(values, units, ecgs=None) -> pd.DataFrame:
    ecgs = np.arange(len(values)) if ecgs is None else ecgs
    return pd.DataFrame({"unit": units, "ecg": ecgs, "item": "rouge_l", "score": values})


def test_a_mean_by_hand_and_as_a_loop_that_copies_rows(monkeypatch):
    """Patient 0 has scores 1 and 1, patient 1 has 0: mean 2/3, n = 2 patients.

    The only resamples are {0,0}: 1, {0,1}: 2/3, {1,1}: 0, so the interval is [0, 1].
    """
    np.random.seed(0)
    before = np.random.get_state()[1].copy()
    estimate = bootstrap.mean(frame([1.0, 1.0, 0.0], [0, 0, 1]))
    assert estimate == bootstrap.Estimate(pytest.approx(2 / 3), 0.0, 1.0, 2)
    assert (np.random.get_state()[1] == before).all(), "the global generator was used"
    estimate = bootstrap.mean(frame([1.0, 2.0], [0, 0]))  # one patient has no interval
    assert estimate.value == 1.5 and np.isnan([estimate.low, estimate.high]).all()
    rng = np.random.default_rng(3)
    data = frame(rng.normal(size=30), rng.integers(0, 8, 30))
    estimate = bootstrap.mean(data, seed=5, resamples=50)
    groups = [part["score"].to_numpy() for _, part in data.groupby("unit")]
    draw = np.random.default_rng(5).integers(0, len(groups), size=(50, len(groups)))
    means = sorted(np.concatenate([groups[i] for i in row]).mean() for row in draw)
    assert estimate.low == pytest.approx(means[1]) and estimate.high == pytest.approx(means[48])
    whole, parts = (np.concatenate([*bootstrap.patient_weights(7, 20, 1, n)]) for n in (20, 3))
    assert (whole == parts).all() and (whole.sum(axis=1) == 7).all()
    monkeypatch.setattr(bootstrap, "KEPT", 0)  # as if there were too many to keep
    assert (np.concatenate([*bootstrap.patient_weights(7, 20, 1, 3)]) == whole).all()


def test_differences_are_paired_and_sets_that_do_not_fit_are_refused():
    values, units = np.random.default_rng(0).normal(size=40), np.arange(40) // 2
    estimate = bootstrap.paired_difference(frame(values + 0.25, units), frame(values, units))
    assert (estimate.low, estimate.high) == pytest.approx((0.25, 0.25))
    two = frame([1.0, 2.0], [0, 1])
    refused("not aligned", bootstrap.paired_difference, two, frame([1.0, 2.0], [0, 1], [0, 7]))
    refused("2 rows against 1", bootstrap.paired_difference, two, frame([1.0], [0]))
    missing = frame([1.0, np.nan], [0, 1])
    refused("score is missing for unit 1", bootstrap.paired_difference, two, missing)


def test_an_interval_across_seeds_has_both_variances():
    """Three seeds, 400 patients with one row each, by the formula; one seed: patients only."""
    rng = np.random.default_rng(2)
    base, shifts = rng.normal(size=400), np.array([0.0, 0.3, 0.9])
    parts = [frame(base + shift, np.arange(400)).assign(seed=i) for i, shift in enumerate(shifts)]
    estimate = bootstrap.mean(pd.concat(parts))
    between, patients = shifts.var(ddof=1) / 3, base.var(ddof=1) / 400
    freedom = (between + patients) ** 2 / (between**2 / 2)
    reach = stats.t.ppf(0.975, freedom) * np.sqrt(between + patients)
    assert estimate.value == pytest.approx(base.mean() + 0.4)
    assert estimate.high - estimate.value == pytest.approx(reach, rel=0.02)
    assert estimate.value - estimate.low == pytest.approx(estimate.high - estimate.value)
    equal = [part.assign(score=base) for part in parts]  # no variance between seeds: normal
    estimate = bootstrap.mean(pd.concat(equal))
    assert estimate.high - estimate.value == pytest.approx(1.96 * np.sqrt(patients), rel=0.06)
    assert bootstrap.mean(parts[0]) == bootstrap.mean(parts[0].drop(columns="seed"))
    one, two = pd.concat(parts), pd.concat(equal)
    difference = bootstrap.paired_difference(one, two)
    reach = stats.t.ppf(0.975, 2) * np.sqrt(between)  # the patients' part is zero: paired
    assert (difference.value, difference.high) == pytest.approx((0.4, 0.4 + reach))
    against_one = bootstrap.paired_difference(one, equal[0])  # that stands beside every seed
    assert against_one == difference
    other = two.assign(seed=two["seed"] + 1)
    refused("the same seeds", bootstrap.paired_difference, one, other)


@pytest.mark.parametrize("n", [16, 249])
def test_a_share_of_all_or_none_has_the_exact_end_of_clopper_and_pearson(n: int):
    low, high = (
        bootstrap.exact_ends(bootstrap.mean(frame(np.full(n, share), np.arange(n))))
        for share in (0.0, 1.0)
    )
    for estimate, k in ((low, 0), (high, n)):
        exact = stats.binomtest(k, n).proportion_ci(method="exact")
        assert (estimate.low, estimate.high) == pytest.approx((exact.low, exact.high))
    between = bootstrap.mean(frame([1.0, 1.0, 0.0], [0, 1, 2]))  # its ends are 0 and 1
    assert bootstrap.exact_ends(between) == between
    alone = bootstrap.mean(frame([1.0], [0]))  # one patient has no interval
    assert np.isnan(bootstrap.exact_ends(alone).low)


def test_coverage_is_near_95_percent():
    """200 data sets of 60 patients with 1-3 correlated rows: the true mean 0 is covered."""
    rng = np.random.default_rng(11)
    covered = 0
    for trial in range(200):
        units = np.repeat(np.arange(60), rng.integers(1, 4, 60))
        values = rng.normal(size=60)[units] + 0.3 * rng.normal(size=len(units))
        estimate = bootstrap.mean(frame(values, units), seed=trial, resamples=400)
        covered += estimate.low <= 0 <= estimate.high
    assert 0.90 <= covered / 200 <= 0.99


def cells(n: int, labels: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    target = rng.random((n, labels)) < np.linspace(0.1, 0.5, labels)
    score = np.round(np.clip(0.3 * target + 0.7 * rng.random((n, labels)), 0, 1), 2)  # with ties
    rows = [(e // 2, e, f"label:{j:02d}") for e in range(n) for j in range(labels)]
    frame = pd.DataFrame(rows, columns=["unit", "ecg", "item"]).assign(method="rvq")
    return frame.assign(target=target.ravel().astype(int).astype(str), score=score.ravel())


def test_auc_by_hand_and_with_scikit_learn():
    """Positives 0.8, 0.4; negatives 0.4, 0.1: 3 of 4 pairs won, one of them a tie: 3.5 / 4."""
    value = auc.WeightedAUC(np.array([1, 1, 0, 0]), np.array([0.8, 0.4, 0.4, 0.1]), np.arange(4))
    assert value(np.ones((1, 4)))[0] == pytest.approx(3.5 / 4)
    frame = cells(80, 4, 2)
    y = (frame["target"] == "1").to_numpy().reshape(80, 4)
    s = frame["score"].to_numpy().reshape(80, 4)
    micro, macro = (auc.auc(frame, average=a, resamples=20) for a in ("micro", "macro"))
    assert micro.value == pytest.approx(roc_auc_score(y.ravel(), s.ravel()))
    assert macro.value == pytest.approx(roc_auc_score(y, s, average="macro"))
    assert micro.n == 40
    again = auc.auc(frame, seed=1, resamples=20)
    assert again.value == micro.value and again.low != micro.low
    given = frame.assign(target=frame["target"].astype(int))
    (line,) = auc.two_sample(given, ["method"], resamples=20).itertuples()
    assert bootstrap.Estimate(line.value, line.low, line.high, line.n) == micro
    (weights,) = bootstrap.patient_weights(40, 5, 0, 5)
    (values,) = auc.draws(auc.select(frame), np.arange(40), "micro", resamples=5)
    assert values[0] == micro.value
    for row, value in zip(weights, values[1:], strict=True):  # patients repeat so often
        ecgs = np.repeat(np.arange(80), row[np.arange(80) // 2].astype(int))
        assert value == pytest.approx(roc_auc_score(y[ecgs].ravel(), s[ecgs].ravel()), abs=1e-12)


def test_auc_of_pairs_of_categories_without_positives_and_of_many_resamples():
    frame = cells(40, 2, 3)
    difference = auc.difference(frame, frame, resamples=50)
    assert (difference.value, difference.low, difference.high) == (0.0, 0.0, 0.0)
    refused("not aligned", auc.difference, frame, frame.iloc[1:], resamples=50)
    frame.loc[frame["item"] == "label:01", "target"] = "0"
    table = auc.by_category(frame, {"Rhythm": [0], "Other": [1], "None": [5]}, resamples=20)
    assert list(table["category"]) == ["Rhythm", "Other", "None", "All"]
    assert table["value"].isna().tolist() == [False, True, True, False]
    assert auc.by_label(frame, resamples=20)["value"].isna().tolist() == [False, True]
    frame, start = cells(1200, 20, 5), time.perf_counter()
    auc.auc(frame)  # 2000 resamples
    assert time.perf_counter() - start < 20


def test_errors_of_reconstructions_by_hand_without_padding_or_offset_and_in_parts():
    """One lead 1, -1, 1, -1 (then padding), reconstruction 0.5 lower: MAE 0.5, PRD 50 %."""
    x = np.tile(np.array([1.0, -1.0, 1.0, -1.0, 9.0, 9.0], dtype=np.float32), (1, 12, 1))
    y = x - 0.5
    y[..., 4:] = -100
    table = reconstruction.per_record(x, y, np.array([4]))
    assert table.iloc[0].to_list() == pytest.approx([0.5, 0.5, 50.0])
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 130, 12, 40))
    n_valid = rng.integers(1, 41, 130)
    streamed = reconstruction.streamed(lambda part: x[part], lambda part: y[part], n_valid)
    pd.testing.assert_frame_equal(streamed, reconstruction.per_record(x, y, n_valid))
    # PRD ignores an offset and is NaN for a flat record.
    x = np.sin(np.linspace(0, 20, 500))[None, None].repeat(12, 1)
    apart = x + np.arange(12)[None, :, None]  # each lead has its own offset
    pairs = ((x, 0.9 * x), (apart, apart - 0.1 * x), (np.zeros_like(x), 0.9 * x))
    n = np.array([500])
    plain, shifted, flat = (reconstruction.per_record(*p, n)["prd_percent"][0] for p in pairs)
    assert shifted == pytest.approx(plain) and np.isnan(flat)
    refused("one shape", reconstruction.per_record, x, x[:, :, :99], n)
    refused(r"1\.\.500", reconstruction.per_record, x, x, n + 1)
    refused("one number per record", reconstruction.per_record, x, x, np.array([9, 9]))


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
    refused(r"0\.\.3, got 0\.\.4", codebook_use.usage_counts, array + (array == 3), 4)
    codes = np.arange(17)[:, None, None]  # a codeword per ECG: 16 in the first batch, then 1
    assert codebook_use.pooled_utilisation_percent(codes, 17) == pytest.approx(100 * 8.5 / 17)


def test_modalities_are_told_from_a_mixture_and_true_pairs_are_retrieved():
    cloud, other = np.random.default_rng(0).normal(size=(2, 120, 5))
    patients = np.arange(120) // 2
    assert 0.3 < modality.probe_correct(cloud, other, patients).mean() < 0.7
    assert modality.probe_correct(cloud, other + 6, patients).mean() == 1.0
    assert modality.centroid_distance(cloud, cloud) == 0.0
    spread = np.sqrt(((cloud - cloud.mean(0)) ** 2).sum(1).mean())
    apart = modality.centroid_distance(cloud, cloud + 3)
    assert apart == pytest.approx(3 * np.sqrt(5) / spread)
    table = modality.retrieval(cloud[:20], cloud[:20] + 10, seed=0)
    means = table.groupby("pairs")[["reciprocal_rank", "recall_at_1"]].mean()
    assert means.loc["true"].to_list() == [1.0, 1.0]
    assert means.loc["shuffled", "recall_at_1"] == 0.0
    # A collapsed space ranks in the middle.
    assert (modality.ranks(cloud[:20], np.ones((20, 5))) == 10.5).all()
    # Four copies of each patient: a probe that has met a copy would be right.
    draw = np.random.default_rng(0).normal(size=(2, 12, 60))
    copies = [np.repeat(cloud, 4, axis=0) for cloud in draw]
    assert modality.probe_correct(*copies, np.repeat(np.arange(12), 4)).mean() < 0.8


def test_mixing_counts_neighbours_of_the_other_kind():
    draw = np.random.default_rng(0)
    cloud, other = draw.normal(size=(2, 200, 5))
    assert modality.mixing(cloud, other, 10).mean() == pytest.approx(200 / 399, abs=0.02)
    assert (modality.mixing(cloud + 20, other - 20, 10) == 0).all()
    ecg, text = np.array([[1.0, 0], [0, 1]]), np.array([[0.9, 0.1], [0.1, 0.9]])
    assert (modality.mixing(ecg, text, 1) == 1).all()  # each partner is the nearest
    assert modality.mixing(ecg, text, 10).tolist() == pytest.approx([2 / 3, 2 / 3])  # all others


def test_measures_of_two_clouds_are_rows_by_recording():
    cloud = np.random.default_rng(0).normal(size=(30, 5))
    records = pd.DataFrame({"unit": range(30), "ecg": range(30), "site": "a", "sex": "F"})
    rows = modality.measures(records.assign(age=50.0), "clip", "input", cloud, cloud + 9, 0)
    means = rows.groupby("item")["score"].agg(["mean", "size"])
    assert set(means["size"]) == {30} and len(means) == 10
    assert means.loc["probe:input", "mean"] == means.loc["recall_at_1:input:true", "mean"] == 1.0
    apart = modality.centroid_distance(cloud, cloud + 9)
    assert means.loc["centroids_apart:input", "mean"] == pytest.approx(apart)


def test_a_picture_is_coloured_by_the_rarest_of_the_commonest_findings():
    states = np.full((10, len(COLUMNS)), ABSENT)
    common, rare = SCORED[:2]
    states[:8, common] = states[5:9, rare] = PRESENT
    names = modality.colouring_findings(states)
    expected = [FINDINGS[common].name] * 5 + [FINDINGS[rare].name] * 4 + [modality.NO_FINDING]
    assert names.tolist() == expected
