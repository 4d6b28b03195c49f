"""DeepSSL: its masks, its losses against hand computations, its pretraining and its features."""

import numpy as np
import pandas as pd
import pytest
import torch
from _cohort import write_cohort
from builds import missing, refused

from ecglib.classify import deep_ssl, deep_ssl_losses
from ecglib.classify.deep_ssl_network import ContrastiveNetwork, positions
from ecglib.cohorts.store import Cohort
from ecglib.labels.label_set import LABELS, NOT_ASSESSABLE
from ecglib.signals.leads import SAMPLES
from ecglib.training import checkpoint, loop
from ecglib.training.device import Machine

MACHINE = Machine("cpu", "float32", 1, "test")
SIZES = {"widths": [8, 16, 32], "width": 16, "layers": 1, "heads": 2}
CONFIG = SIZES | {"codewords": 8, "mask_share": 0.5, "mask_span": 3, "epochs": 20, "batch": 64}
CONFIG |= {"learning_rate": 6e-3}


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    """Patients with one or two ECGs: all leads are a sine with a rate and a level of their own."""
    folder, rng, records = tmp_path_factory.mktemp("deep_ssl"), np.random.default_rng(0), []
    for i in range(60):
        if i % 3 != 1:  # the second of three ECGs repeats the patient of the first
            rate, level = rng.uniform(0.5, 2), rng.normal()
        wave = np.sin(2 * np.pi * rate * np.arange(SAMPLES) / 250 + rng.uniform(0, 6))
        signal = (level + wave + 0.01 * rng.normal(size=(12, SAMPLES))).astype(np.float32)
        record = {"signal": signal, "labels": np.full(len(LABELS), NOT_ASSESSABLE, np.int8)}
        record |= {"age": 50.0, "sex": "F", "site": "A", "n_valid": 1500 if i % 7 == 0 else SAMPLES}
        patient = i - (i % 3 == 1)
        records.append(record | {"ecg_id": f"e{i}", "patient_id": f"p{patient}"})
    write_cohort(folder, records, seed=0)
    return folder


@pytest.fixture(scope="module")
def trained(cohort, tmp_path_factory):
    out = tmp_path_factory.mktemp("pretrained")
    deep_ssl.pretrain(out, {"cohort": cohort}, CONFIG, 0, MACHINE)
    return out


def test_masks_have_their_share_and_one_lead_remains():
    generator = torch.Generator().manual_seed(0)
    masks = deep_ssl_losses.draw_spans(20000, 40, 0.5, 3, generator)
    assert masks.shape == (20000, 40) and masks.dtype == torch.bool
    assert (masks.float().mean(0) - 0.5).abs().max() < 0.02  # the first and last position, too
    single = masks[:, 1:-1] & ~masks[:, :-2] & ~masks[:, 2:]
    assert not single[:, 1:-1].any()  # spans of three, so inside no position is masked alone
    keep = deep_ssl_losses.draw_leads(20000, generator)
    assert (keep.sum(1) >= 1).all() and (keep.float().mean(0) - 0.5).abs().max() < 0.02


def test_the_masked_loss_by_hand():
    """Three masked positions, of which two have the same codes, and one that is not masked."""
    rng = np.random.default_rng(0)
    predicted, target = rng.normal(size=(2, 4, 5))
    codes = torch.tensor([[[0, 1], [2, 3], [0, 1], [4, 4]]])
    masked = torch.tensor([[True, True, True, False]])
    cosine = predicted @ target.T
    cosine /= np.linalg.norm(predicted, axis=1)[:, None] * np.linalg.norm(target, axis=1)
    score = np.exp(cosine / 0.1)
    named = {0: [0, 1], 1: [0, 1, 2], 2: [1, 2]}  # the target and its distractors
    share = [score[t, t] / score[t, which].sum() for t, which in named.items()]
    right = [score[t, t] == score[t, which].max() for t, which in named.items()]
    arrays = [torch.tensor(array)[None].requires_grad_() for array in (predicted, target)]
    loss, accuracy = deep_ssl_losses.masked_loss(*arrays, masked, codes)
    assert loss.item() == pytest.approx(-np.log(share).mean())
    assert accuracy.item() == pytest.approx(np.mean(right))
    loss.backward()
    for array in arrays:  # what is not masked is neither predicted nor a target
        assert (array.grad[0, 3] == 0).all() and (array.grad[0, :3] != 0).any(1).all()
    nothing = deep_ssl_losses.masked_loss(*arrays, torch.zeros_like(masked), codes)
    assert [value.item() for value in nothing] == [0, 0]


def test_diversity_counts_the_codewords_in_use():
    equal, one = torch.full((1, 2, 4), 0.25), torch.tensor([[[1.0, 0, 0, 0]] * 2])
    assert deep_ssl_losses.diversity_loss(equal).item() == pytest.approx(0, abs=1e-5)
    assert deep_ssl_losses.diversity_loss(one).item() == pytest.approx(0.75, abs=1e-5)
    half = torch.tensor([[[1.0, 0, 0, 0]] * 2, [[0, 1.0, 0, 0]] * 2])  # two of four words
    assert deep_ssl_losses.diversity_loss(half).item() == pytest.approx(0.5, abs=1e-5)


def test_segments_of_a_patient_are_positives_and_never_negatives():
    """ECGs 0 and 2 are of one patient: each segment has two positives and one negative."""
    rng = np.random.default_rng(1)
    one, other = rng.normal(size=(2, 3, 6))
    units = np.array([7, 3, 7])
    cosine = one @ other.T
    cosine /= np.linalg.norm(one, axis=1)[:, None] * np.linalg.norm(other, axis=1)
    losses = []
    for score in (np.exp(cosine / 0.1), np.exp(cosine.T / 0.1)):
        for i in range(3):
            negatives = score[i, units != units[i]].sum()
            positives = score[i, units == units[i]]
            losses.append(np.mean(-np.log(positives / (positives + negatives))))
    given = [torch.tensor(array) for array in (one, other, units)]
    assert deep_ssl_losses.segment_loss(*given)[0].item() == pytest.approx(np.mean(losses))
    alone = deep_ssl_losses.segment_loss(*given[:2], torch.zeros(3, dtype=torch.int64))
    assert alone[0].item() == pytest.approx(0) and alone[1].item() == 1  # no other patient
    equal = deep_ssl_losses.segment_loss(given[0], given[0], torch.arange(3))
    assert equal[1].item() == 1


def test_targets_are_whole_codewords_and_teach_the_encoder():
    torch.manual_seed(0)
    quantiser = deep_ssl_losses.ProductQuantiser(6, 4, 8)
    latents = torch.randn(50, 3, 6, requires_grad=True)
    targets, codes, probabilities = quantiser(latents, 2.0)
    assert targets.shape == (50, 3, 8) and codes.shape == (50, 3, 2)
    chosen = torch.cat([quantiser.codebooks[g, codes[..., g]] for g in range(2)], dim=-1)
    torch.testing.assert_close(targets, quantiser.projection(chosen))
    torch.testing.assert_close(probabilities.sum(-1), torch.ones(50, 3, 2))
    targets.square().sum().backward()
    assert latents.grad.abs().sum() > 0  # straight through the choice


def test_the_context_does_not_see_what_is_masked_or_behind_the_end():
    torch.manual_seed(0)
    network = ContrastiveNetwork(**SIZES).eval()
    x = torch.randn(1, 12, 1250, requires_grad=True)
    masked = torch.zeros(1, 40, dtype=torch.bool)
    masked[:, 10:20] = True
    lengths = torch.tensor([30 * 32])
    _, context = network(x, lengths, masked)
    assert context.shape == (1, 40, 16) and (context[:, 30:] == 0).all()
    context[:, :30].square().sum().backward()
    moved = x.grad[0].abs().sum(0) > 0
    # A position sees 59 samples about its own: it ends less than 32 samples outside of its 32.
    assert not moved[11 * 32 : 19 * 32].any() and not moved[31 * 32 :].any()
    assert moved[: 9 * 32].all() and moved[21 * 32 : 29 * 32].all()
    assert positions(torch.tensor([1, 32, 33, 2500])).tolist() == [1, 1, 2, 79]


def test_what_is_behind_the_end_is_not_predicted(monkeypatch):
    """Else a network would be praised for padding, which is easy to predict."""
    masks, loss = [], deep_ssl_losses.masked_loss
    monkeypatch.setattr(
        deep_ssl_losses, "masked_loss", lambda *of: masks.append(of[2]) or loss(*of)
    )
    torch.manual_seed(0)
    model = deep_ssl.Pretraining(SIZES, 8, 0.5, 3, steps=1)
    n_valid = torch.tensor([1250, 640, 1250, 640])
    draw = torch.Generator().manual_seed(0)
    model.loss(torch.randn(4, 12, 1250), n_valid, torch.tensor([0, 1]), 0, draw)
    assert masks[0][:, :20].any() and not masks[0][1::2, 20:].any()


def test_two_segments_are_the_first_and_last_five_seconds():
    signals = np.tile(np.arange(SAMPLES, dtype=np.float32), (3, 12, 1))
    segments, lengths = deep_ssl_losses.two_segments(signals, np.array([2500, 1500, 1000]))
    assert segments.shape == (6, 12, 1250) and (segments[:3, 0, 0] == 0).all()
    assert segments[3:, 0, 0].tolist() == [1250, 250, 0]
    assert lengths.tolist() == [1250, 1250, 1000] * 2


def test_pretraining_lowers_the_loss_without_labels(trained, cohort):
    history = pd.read_csv(trained / "history.csv")
    assert list(history.columns) == ["step", "loss", *deep_ssl.PARTS]
    first, last = history.iloc[:2].mean(), history.iloc[-5:].mean()
    assert last["loss"] < first["loss"] - 0.5
    assert last["masked_accuracy"] > first["masked_accuracy"] + 0.05
    assert last["segment_accuracy"] > first["segment_accuracy"] + 0.05
    assert last["code_perplexity"] > 2
    summed = history["masked_loss"] + 0.1 * history["diversity_loss"] + history["segment_loss"]
    np.testing.assert_allclose(history["loss"], summed, rtol=1e-5)
    budget = pd.read_csv(trained / "budget.csv").iloc[0]
    records = Cohort.open(cohort).records
    assert budget["ecg_views"] == 20 * records["tokenizer_train"].sum()
    assert budget["labelled_ecgs"] == 0 and budget["epochs"] == 20
    network = deep_ssl.load_network(trained)
    assert budget["parameters"] == sum(p.numel() for p in network.parameters())
    # The two products of the attention, of 79 positions and 16 numbers: 2 x 2 x 79^2 x 16.
    assert 2 * 2 * 79**2 * 16 / 1e6 < budget["mflops_per_ecg"] < 10


def test_an_interrupted_pretraining_ends_with_the_same_weights(
    trained, cohort, tmp_path, monkeypatch
):
    schedule, save = loop.Schedule, checkpoint.save

    def stop(*arguments: object) -> None:
        save(*arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(deep_ssl, "Schedule", lambda *a, **k: schedule(*a, **k, checkpoint_every=7))
    monkeypatch.setattr(checkpoint, "save", stop)
    with pytest.raises(KeyboardInterrupt):
        deep_ssl.pretrain(tmp_path, {"cohort": cohort}, CONFIG, 0, MACHINE)
    monkeypatch.setattr(checkpoint, "save", save)
    deep_ssl.pretrain(tmp_path, {"cohort": cohort}, CONFIG, 0, MACHINE)
    for name in ("model.safetensors", "history.csv", "budget.csv", "config.json"):
        assert (tmp_path / name).read_bytes() == (trained / name).read_bytes(), name


def test_features_are_of_every_record_and_do_not_depend_on_the_batch(trained, cohort, tmp_path):
    inputs = {"cohort": cohort, "model": trained}
    deep_ssl.features(tmp_path, inputs, {}, 0, MACHINE)
    opened = Cohort.open(cohort)
    vectors, lengths = (np.load(tmp_path / f"{name}.npy") for name in ("features", "lengths"))
    assert vectors.shape == (len(opened), 79, 16) and vectors.dtype == np.float16
    n_valid = opened.records["n_valid"].to_numpy()
    assert lengths.tolist() == np.ceil(n_valid / 32).astype(int).tolist()
    short = int(np.flatnonzero(lengths < 79)[0])
    assert (vectors[short, lengths[short] :] == 0).all()
    network = deep_ssl.load_network(trained)
    for row in (short, len(opened) - 1):
        alone = deep_ssl.compute_features(network, opened, np.array([row]), "cpu")[0]
        np.testing.assert_allclose(alone, vectors[row], atol=2e-3)


def test_features_of_the_authors_take_their_place(trained, cohort, tmp_path):
    records = len(Cohort.open(cohort))
    authors, out = tmp_path / "authors", tmp_path / "out"
    authors.mkdir()
    out.mkdir()
    inputs = {"cohort": cohort, "authors": authors}
    call = (out, inputs, {}, 0, MACHINE)
    missing("features.npy is missing", deep_ssl.features, *call)
    vectors = np.random.default_rng(0).normal(size=(records, 5, 4)).astype(np.float32)
    np.save(authors / "features.npy", vectors)
    for lengths, message in (
        (np.full(records - 1, 5), "export them for the records of this cohort"),
        (np.full(records, 6), "expected integers from 1 to 5, got int64 from 6 to 6"),
    ):
        np.save(authors / "lengths.npy", lengths)
        refused(message, deep_ssl.features, *call)
    np.save(authors / "lengths.npy", np.full(records, 5))
    deep_ssl.features(*call)
    assert np.array_equal(np.load(out / "features.npy"), vectors.astype(np.float16))
    both = inputs | {"model": trained}
    refused("expected the input model or authors", deep_ssl.features, out, both, {}, 0, MACHINE)
