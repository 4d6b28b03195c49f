"""The contract that all tokenizers share, and the quantisers by hand."""

import json
import math
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save

from ecglib.tokenizers import fidelity, train
from ecglib.tokenizers.amplitude_bins import AmplitudeBins
from ecglib.tokenizers.autoencoder import Autoencoder, mean_valid
from ecglib.tokenizers.bpe import BPETokenizer
from ecglib.tokenizers.codebooks import (
    initialise_kmeans,
    initialise_uniform,
    kmeans,
    nearest,
    revive,
)
from ecglib.tokenizers.contract import from_ids, to_ids
from ecglib.tokenizers.encode import encode_rows
from ecglib.tokenizers.fsq import FSQ
from ecglib.tokenizers.latent import LatentTokenizer
from ecglib.tokenizers.leadwise import SHARING, LeadwiseTokenizer
from ecglib.tokenizers.load import load
from ecglib.tokenizers.qinco import QINCo
from ecglib.tokenizers.rvq import ResidualVQ
from ecglib.tokenizers.vq import VQ

SAMPLES, HOP, CODEBOOKS, CODEWORDS = 200, 16, 3, 8


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def latent(quantiser: VQ | ResidualVQ | QINCo, axis: str = "time") -> LatentTokenizer:
    quantiser.codebooks.data = 0.3 * noise(*quantiser.codebooks.shape, seed=1)
    if isinstance(quantiser, QINCo):
        for part in quantiser.adapt:
            part.gate.data = 0.5 + 0.1 * noise(quantiser.dim, seed=2)
    autoencoder = Autoencoder([8, 12], [4, 4], linear=True, samples=SAMPLES)
    return LatentTokenizer(autoencoder, quantiser, axis).eval()


QUANTISERS = {
    "vq": lambda dim: VQ(dim, CODEWORDS),
    "rvq": lambda dim: ResidualVQ(dim, CODEBOOKS, CODEWORDS),
    "qinco": lambda dim: QINCo(dim, CODEBOOKS, CODEWORDS, hidden=8, blocks=2, candidates=4),
}
METHODS = (*QUANTISERS, "fsq", "bpe")
Tokenizer = LatentTokenizer | LeadwiseTokenizer | BPETokenizer


def make(method: str) -> Tokenizer:
    torch.manual_seed(3)
    if method == "fsq":
        return LeadwiseTokenizer(8, [4, 4], [32, 16], samples=SAMPLES).eval()
    if method == "bpe":
        ecgs = list(noise(4, 12, SAMPLES, seed=4).numpy())
        return BPETokenizer.fit(AmplitudeBins(-3.0, 3.0), ecgs, 40, samples=SAMPLES)
    return latent(QUANTISERS[method](12))


@pytest.fixture(params=METHODS)
def tokenizer(request: pytest.FixtureRequest) -> Tokenizer:
    return make(request.param)


@pytest.fixture(params=[m for m in METHODS if m != "bpe"])
def gridded(request: pytest.FixtureRequest) -> LatentTokenizer | LeadwiseTokenizer:
    """A tokenizer with as many codes for every ECG."""
    return make(request.param)


def test_codes_and_reconstruction_have_the_shapes_of_the_contract(tokenizer):
    x = noise(3, 12, SAMPLES)
    codes = tokenizer.encode(x)
    assert codes.dtype == torch.int64 and codes.ndim == 3 and len(codes) == 3
    y = tokenizer.decode(codes)
    assert y.shape == x.shape and y.dtype == torch.float32 and y.isfinite().all()
    assert torch.equal(tokenizer.encode(x), codes) and torch.equal(tokenizer.decode(codes), y)


def test_a_grid_of_positions_and_stages(gridded):
    stages = {"vq": 1, "fsq": 1}.get(gridded.method, CODEBOOKS)
    codes = gridded.encode(noise(3, 12, SAMPLES))
    assert codes.shape == (3, math.ceil(SAMPLES / HOP), stages)
    assert gridded.to_ids(codes).shape == (3, gridded.rate().tokens_per_ecg)


def test_ids_come_back_as_the_codes_they_were(tokenizer):
    codes = tokenizer.encode(noise(3, 12, SAMPLES))
    ids = tokenizer.to_ids(codes)
    padding = -1 if tokenizer.method == "bpe" else 0
    assert ids.min() >= padding and ids.max() < tokenizer.rate().vocabulary_size
    assert torch.equal(tokenizer.from_ids(ids), codes)
    with pytest.raises(ValueError, match=r"expected (token ids|codes) of"):
        tokenizer.from_ids(torch.full_like(ids, tokenizer.rate().vocabulary_size))


def test_silence_behind_a_short_recording_changes_nothing(tokenizer):
    x, n_valid = noise(2, 12, SAMPLES), torch.tensor([70, SAMPLES])
    other = x.clone()
    other[0, :, 70:] = 2.0
    assert torch.equal(tokenizer.encode(x, n_valid), tokenizer.encode(other, n_valid))


def test_bad_signals_and_codes_are_one_sentence(tokenizer):
    x = noise(2, 12, SAMPLES)
    with pytest.raises(
        ValueError, match=r"expected an ECG of shape \(B, 12, n\), got \(2, 8, 200\)"
    ):
        tokenizer.encode(x[:, :8])
    with pytest.raises(ValueError, match=r"at most 200 samples .* at 250 Hz\), got 400; resample"):
        tokenizer.encode(noise(1, 12, 2 * SAMPLES))
    codes = tokenizer.encode(x)
    x[1, 4, 7] = float("nan")
    with pytest.raises(ValueError, match="expected finite voltages, got 1 that"):
        tokenizer.encode(x)
    for wrong in (9999, -7):
        codes[0, 0, 0] = wrong
        with pytest.raises(ValueError, match=f"codewords, got code {wrong};"):
            tokenizer.decode(codes)


@pytest.mark.parametrize("damage", ["cut", "empty", "sizes", "text", "gone", "config", "list"])
def test_a_damaged_folder_is_one_sentence(tokenizer, damage, tmp_path):
    tokenizer.save(tmp_path)
    weights, config = tmp_path / "model.safetensors", tmp_path / "config.json"
    settings = json.loads(config.read_text())
    if damage == "cut":
        weights.write_bytes(weights.read_bytes()[:100])
    elif damage == "empty":
        weights.write_bytes(b"")
    elif damage == "sizes":
        weights.write_bytes(save({"symbols_": torch.zeros(3)}))
    elif damage == "text":
        config.write_text("{")
    elif damage == "list":
        config.write_text("[]")
    elif damage == "gone":
        weights.unlink()
    else:
        config.write_text(json.dumps({"method": settings["method"]}))
    with pytest.raises((ValueError, FileNotFoundError), match=r"damaged|missing|describe"):
        load(tmp_path)


def test_saved_and_loaded_is_the_same_tokenizer(tokenizer, tmp_path):
    tokenizer.save(tmp_path / "model")
    again = load(tmp_path / "model")
    x = noise(2, 12, SAMPLES)
    codes = tokenizer.encode(x)
    assert again.method == tokenizer.method and again.rate() == tokenizer.rate()
    assert torch.equal(again.encode(x), codes)
    assert torch.equal(again.decode(codes), tokenizer.decode(codes))


def test_embedding_lengths_cover_the_valid_samples(gridded):
    """A hop is 16 samples: 1 and 16 samples need one position, 17 need two, 200 need thirteen."""
    codes = gridded.encode(noise(4, 12, SAMPLES))
    vectors, lengths = gridded.embed(codes, torch.tensor([1, 16, 17, SAMPLES]))
    assert lengths.tolist() == [1, 1, 2, 13]
    assert vectors.shape[:2] == codes.shape[:2]


def test_rate_by_hand(gridded):
    """13 positions; 3 stages of 8 codewords are 13 * 3 * 3 bits, one of 1,296 13 * log2 1296."""
    rate = gridded.rate()
    if gridded.method == "fsq":
        assert (rate.vocabulary_size, rate.tokens_per_ecg) == (1296, 13)
        assert rate.bits_per_ecg == pytest.approx(13 * 10.33985, abs=1e-3)
    elif gridded.method == "vq":
        assert (rate.vocabulary_size, rate.tokens_per_ecg, rate.bits_per_ecg) == (8, 13, 39)
    else:
        assert (rate.vocabulary_size, rate.tokens_per_ecg) == (24, 39)
        assert rate.bits_per_ecg == 117


def test_codes_of_a_record_do_not_depend_on_its_batch(tokenizer):
    x = noise(5, 12, SAMPLES)
    for row, one in zip(tokenizer.encode(x), x, strict=True):
        alone = tokenizer.encode(one[None])[0]
        assert torch.equal(row[: len(alone)], alone) and (row[len(alone) :] == -1).all()


def test_paper_scale_rate():
    """10 s at 250 Hz, hop 64: 40 positions; 8 stages of 64 codewords: 320 codes of 6 bits."""
    tokenizer = LatentTokenizer(Autoencoder([4, 4, 4], [4, 4, 4]), ResidualVQ(4, 8, 64))
    rate = tokenizer.rate()
    assert (rate.vocabulary_size, rate.tokens_per_ecg, rate.bits_per_ecg) == (512, 320, 1920)


def test_loading_names_what_is_wrong(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"config\.json is missing"):
        load(tmp_path)
    (tmp_path / "config.json").write_text('{"method": "bpe2"}')
    (tmp_path / "model.safetensors").write_bytes(save({}))
    with pytest.raises(ValueError, match="out of vq, rvq, qinco, fsq, bpe, got 'bpe2'"):
        load(tmp_path)


def test_ids_by_hand_and_out_of_range():
    codes = torch.tensor([[[5, 2], [0, 63]]])
    ids = to_ids(codes, 64)
    assert ids.tolist() == [[5, 66, 0, 127]]
    assert torch.equal(from_ids(ids, 2, 64), codes)
    with pytest.raises(ValueError, match="2 codebooks x 64 codewords"):
        from_ids(torch.tensor([[66, 5]]), 2, 64)


def test_masked_l1_leaves_padding_out():
    """Errors 1 on 2 valid samples of one ECG and 3 on 4 of the other: (2 + 12) / 6."""
    x, y = torch.zeros(2, 12, 4), torch.zeros(2, 12, 4)
    y[0, :, :2], y[0, :, 2:], y[1] = 1.0, 100.0, 3.0
    assert mean_valid((x - y).abs(), torch.tensor([2, 4])).item() == pytest.approx(14 / 6)


# ---- residual vector quantisation ---------------------------------------------------------------


def test_nearest_equals_brute_force():
    x, book = noise(200, 7), noise(33, 7, seed=1)
    brute = (x[:, None] - book[None]).square().sum(-1).argmin(1)
    assert torch.equal(nearest(x, book), brute)


def test_rvq_by_hand():
    """(4.2, 0.9): stage 1 takes (4, 0); left over (0.2, 0.9), stage 2 takes (0, 1)."""
    rvq = ResidualVQ(2, 2, 2)
    rvq.codebooks.data = torch.tensor([[[0.0, 0], [4, 0]], [[0.0, 0], [0, 1]]])
    codes = rvq.encode(torch.tensor([[4.2, 0.9], [0.1, 0.2]]))
    assert codes.tolist() == [[1, 1], [0, 0]]
    assert rvq.partial_sums(codes).tolist() == [[[4, 0], [0, 0]], [[4, 1], [0, 0]]]
    assert rvq.decode(codes).tolist() == [[4, 1], [0, 0]]


def test_each_stage_of_rvq_lowers_the_error_after_k_means():
    z = noise(600, 6)
    rvq = ResidualVQ(6, 4, 16)
    initialise_kmeans(rvq, z, torch.Generator().manual_seed(0))
    error = (rvq.partial_sums(rvq.encode(z)) - z).square().mean((1, 2))
    assert (error.diff() < 0).all() and error[0] < z.square().mean()


def test_k_means_ends_with_the_means_of_its_clusters():
    x = noise(300, 2)
    centres = kmeans(x, 5, 100, torch.Generator().manual_seed(4))
    index = nearest(x, centres)
    means = torch.stack([x[index == k].mean(0) for k in range(5)])
    torch.testing.assert_close(centres, means, atol=1e-5, rtol=0)


def test_too_few_vectors_for_k_means_are_named():
    with pytest.raises(ValueError, match="at least 16 latent vectors for k-means, got 5"):
        initialise_kmeans(ResidualVQ(2, 1, 16), noise(5, 2), torch.Generator())


def test_dead_codewords_are_moved_onto_the_data():
    rvq = ResidualVQ(2, 1, 4)
    rvq.codebooks.data = torch.tensor([[[0.0, 0], [1, 1], [99, 99], [-99, 99]]])
    z = noise(50, 2)
    assert revive(rvq, z, torch.Generator().manual_seed(0)) == 2
    assert rvq.codebooks.detach()[0, 2:].abs().max() < 10
    assert rvq.codebooks.detach()[0, :2].tolist() == [[0, 0], [1, 1]]


def test_a_later_stage_is_revived_onto_what_the_stages_before_it_leave():
    """QINCo's moved codewords count: stage 2 gets one of the residuals of its own stage 1."""
    quantiser = QUANTISERS["qinco"](12)
    latent(quantiser)
    z = noise(400, 12)
    quantiser.codebooks.data[1, 3] = 99.0
    left = z - quantiser.partial_sums(quantiser.encode(z))[0]
    assert revive(quantiser, z, torch.Generator().manual_seed(0)) >= 1
    assert ((quantiser.codebooks[1, 3] - left).abs().sum(1) == 0).any()


@pytest.mark.parametrize("axis", ["time", "channel"])
@pytest.mark.parametrize("method", QUANTISERS)
def test_every_stage_receives_a_gradient(method, axis):
    """The released fault of several libraries: only the last, or no, stage learns."""
    torch.manual_seed(0)
    length, dim = (13, 12) if axis == "time" else (12, 13)
    quantiser = QUANTISERS[method](dim)
    tokenizer = latent(quantiser, axis)
    x = noise(4, 12, SAMPLES)
    assert tokenizer.encode(x).shape == (4, length, quantiser.codes_per_vector)
    train.latent_loss(tokenizer, x, torch.full((4,), SAMPLES), 0.25).backward()
    assert (quantiser.codebooks.grad.flatten(1).norm(dim=1) > 0).all()
    for name, parameter in tokenizer.named_parameters():
        assert parameter.grad is not None and parameter.grad.norm() > 0, name


def test_tokens_along_channels_as_released(tmp_path):
    """12 channels of 13 positions: 12 vectors of 13 numbers, all of them valid."""
    tokenizer = latent(ResidualVQ(13, CODEBOOKS, CODEWORDS), "channel")
    x = noise(2, 12, SAMPLES)
    codes = tokenizer.encode(x)
    assert codes.shape == (2, 12, CODEBOOKS) and tokenizer.decode(codes).shape == x.shape
    vectors, lengths = tokenizer.embed(codes, torch.tensor([1, SAMPLES]))
    assert vectors.shape == (2, 12, 13) and lengths.tolist() == [12, 12]
    assert tokenizer.rate().tokens_per_ecg == 12 * CODEBOOKS
    tokenizer.save(tmp_path)
    assert load(tmp_path).axis == "channel" and torch.equal(load(tmp_path).encode(x), codes)
    with pytest.raises(ValueError, match="vectors of 12 numbers with axis 'time', got one of 13"):
        LatentTokenizer(tokenizer.autoencoder, ResidualVQ(13, CODEBOOKS, CODEWORDS))
    with pytest.raises(ValueError, match="axis out of time, channel, got 'leads'"):
        latent(VQ(12, 4), "leads")


def test_fsq_between_the_common_encoder_and_decoder(tmp_path):
    """6 levels in 4 dimensions, one code a position; all but the fixed grid learns."""
    torch.manual_seed(0)
    autoencoder = Autoencoder([8, 12], [4, 4], linear=True, samples=SAMPLES)
    tokenizer = LatentTokenizer(autoencoder, FSQ(12)).eval()
    x, n_valid = noise(3, 12, SAMPLES), torch.tensor([70, SAMPLES, SAMPLES])
    loss = train.latent_loss(tokenizer, x, n_valid, 0.25)
    torch.testing.assert_close(
        loss, mean_valid((x - tokenizer.decode(tokenizer.encode(x))).abs(), n_valid)
    )
    loss.backward()
    for name, parameter in tokenizer.named_parameters():
        assert parameter.grad is not None and parameter.grad.norm() > 0, name
    tokenizer.save(tmp_path)
    again, codes = load(tmp_path), tokenizer.encode(x, n_valid)
    assert isinstance(again, LatentTokenizer) and again.method == "fsq"
    assert torch.equal(again.encode(x, n_valid), codes)
    assert torch.equal(again.decode(codes), tokenizer.decode(codes))
    assert again.rate().bits_per_ecg == pytest.approx(13 * math.log2(6**4))


@pytest.mark.parametrize("sharing", SHARING)
def test_lead_encoders_shared_separate_or_joint(sharing, tmp_path):
    """Noise in V6 changes what the encoder says of lead I only where it sees the leads at once."""
    torch.manual_seed(0)
    tokenizer = LeadwiseTokenizer(8, [4, 4], [32, 16], samples=SAMPLES, sharing=sharing).eval()
    features = []
    tokenizer.fsq.project.register_forward_pre_hook(lambda _, given: features.append(given[0]))
    x = noise(1, 12, SAMPLES)
    codes = tokenizer.encode(x)
    x[:, 11] += 1.0
    tokenizer.encode(x)
    same = torch.equal(features[0][..., :8], features[1][..., :8])
    assert features[0].shape == (1, 13, 96) and same == (sharing != "joint")
    tokenizer.save(tmp_path)
    x[:, 11] -= 1.0
    assert load(tmp_path).encode(x).shape == codes.shape
    count = sum(p.numel() for p in tokenizer.encoder.parameters())
    shared = LeadwiseTokenizer(8, [4, 4], [32, 16], samples=SAMPLES)
    once = sum(p.numel() for p in shared.encoder.parameters())
    assert (count == once, count == 12 * once) == (sharing == "shared", sharing == "twelve")


def test_the_released_start_is_uniform():
    rvq = ResidualVQ(82, 2, 512)
    initialise_uniform(rvq, torch.Generator().manual_seed(0))
    bound = (6 / (512 * 82)) ** 0.5
    assert rvq.codebooks.abs().max() <= bound and rvq.codebooks.abs().max() > 0.99 * bound


def test_padding_teaches_no_codebook():
    """Two recordings of 100 of 200 samples, hops of 16: seven positions each teach, six do not."""
    torch.manual_seed(0)
    tokenizer = latent(ResidualVQ(12, CODEBOOKS, CODEWORDS))
    tokenizer.quantiser.codebooks.data = noise(CODEBOOKS, CODEWORDS, 12)
    x, n_valid = noise(2, 12, SAMPLES), torch.full((2,), 100)
    x[..., 100:] = 0
    loss = train.latent_loss(tokenizer, x, n_valid, 0.25)
    codes, y = tokenizer.encode(x), tokenizer.decode(tokenizer.encode(x))
    z = tokenizer.latents(x)[:, :7].flatten(0, 1)
    sums = tokenizer.quantiser.partial_sums(codes[:, :7].flatten(0, 1))
    terms = (sums - z).square().mean((1, 2)).sum()
    torch.testing.assert_close(loss, (x - y)[..., :100].abs().mean() + 1.25 * terms)


@pytest.mark.parametrize("method", QUANTISERS)
def test_the_papers_literal_loss_reaches_no_codebook(method):
    tokenizer = latent(QUANTISERS[method](12))
    x, n_valid = noise(4, 12, SAMPLES), torch.full((4,), SAMPLES)
    train.latent_loss(tokenizer, x, n_valid, 0.25, literal=True).backward()
    assert all(p.grad is None for p in tokenizer.quantiser.parameters())
    assert all(p.grad.norm() > 0 for p in tokenizer.autoencoder.parameters())


def test_an_unknown_method_or_start_is_named(tmp_path):
    sizes = {"widths": [8, 12], "strides": [4, 4], "linear": False}
    config = {"autoencoder": sizes, "method": "qinc", "quantiser": {"codewords": 4}, "batch": 4}
    machine = SimpleNamespace(configure_torch=lambda: None)
    with pytest.raises(ValueError, match="method out of vq, rvq, qinco, fsq, got 'qinc'"):
        train.train_jointly(tmp_path, {}, config, 0, machine)
    with pytest.raises(ValueError, match="init out of kmeans, uniform, got 'zeros'"):
        train.train_jointly(tmp_path, {}, config | {"method": "vq", "init": "zeros"}, 0, machine)


# ---- what is lost -------------------------------------------------------------------------------


def small_cohort(x: torch.Tensor, n_valid: list[int]) -> SimpleNamespace:
    """What `fidelity` needs of a cohort."""
    records = pd.DataFrame({"n_valid": n_valid})
    return SimpleNamespace(records=records, signals=lambda rows: x.numpy()[rows])


def test_latent_error_counts_valid_positions_only():
    """The second ECG has 20 samples, two hops of 16: its other eleven positions do not count."""
    tokenizer, x = latent(ResidualVQ(12, CODEBOOKS, CODEWORDS)), noise(3, 12, SAMPLES)
    x[1, :, 20:] = 0
    cohort, rows = small_cohort(x, [SAMPLES, 20, SAMPLES]), np.array([1, 2])
    errors = fidelity.latent_error(tokenizer, cohort, rows)
    with torch.no_grad():
        z = tokenizer.latents(x[1:])
        lost = (z - tokenizer.vectors(tokenizer.encode(x[1:]))).square().sum(-1)
    kept = [z[0, :2], z[1]]
    mean = torch.cat(kept).mean(0)
    expected = [float(lost[0, :2].sum()), float(lost[1].sum())]
    assert errors["error"].tolist() == pytest.approx(expected)
    spread = [float((part - mean).square().sum()) for part in kept]
    assert errors["spread"].tolist() == pytest.approx(spread)


def test_reconstructions_of_all_codes_of_the_first_and_of_none(tokenizer):
    x = noise(3, 12, SAMPLES)
    cohort, rows = small_cohort(x, [SAMPLES] * 3), np.array([2, 0])
    whole = fidelity.reconstructions(tokenizer, cohort, rows)(slice(0, 1))
    assert np.array_equal(whole, tokenizer.decode(tokenizer.encode(x[2:])).numpy())
    if tokenizer.method in QUANTISERS:
        count = tokenizer.quantiser.codes_per_vector
        again = fidelity.reconstructions(tokenizer, cohort, rows, count)(slice(0, 1))
        assert np.allclose(again, whole, atol=1e-6)
        free = fidelity.reconstructions(tokenizer, cohort, rows, 0)(slice(1, 2))
        with torch.no_grad():
            expected = tokenizer.signals(tokenizer.latents(x[:1]))
        assert np.array_equal(free, expected.numpy())


def test_rows_are_encoded_as_their_lengths_say():
    tokenizer, x = make("rvq"), noise(5, 12, SAMPLES)
    cohort = small_cohort(x, [SAMPLES, 40, 60, SAMPLES, 90])
    rows = np.array([4, 1, 3])
    expected = tokenizer.encode(x[rows], torch.tensor([90, 40, SAMPLES]))
    assert np.array_equal(encode_rows(tokenizer, cohort, rows, batch=2), expected.numpy())


@pytest.mark.parametrize("linear", [False, True])
def test_autoencoder_pads_and_crops_to_whole_hops(linear):
    """200 samples in hops of 16 are 13 positions; sample 199 reaches the last of them."""
    autoencoder = Autoencoder([6, 10], [4, 4], linear, SAMPLES)
    x = noise(2, 12, SAMPLES)
    z = autoencoder.encode(x)
    assert z.shape == (2, 13, 10) and autoencoder.decode(z).shape == x.shape
    x[..., -1] += 1
    assert not torch.equal(autoencoder.encode(x)[:, -1], z[:, -1])


def test_training_lowers_the_loss():
    torch.manual_seed(0)
    tokenizer = latent(ResidualVQ(12, CODEBOOKS, CODEWORDS))
    t = torch.linspace(0, 6.28, SAMPLES)
    x = torch.sin(t * torch.arange(1, 5)[:, None, None] + torch.arange(12)[:, None] / 4)
    optimizer = torch.optim.Adam(tokenizer.parameters(), 3e-3)
    losses = []
    for _ in range(30):
        optimizer.zero_grad()
        loss = train.latent_loss(tokenizer, x, torch.full((4,), SAMPLES), 0.25)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.6 * losses[0]


# ---- QINCo --------------------------------------------------------------------------------------


def test_a_fresh_qinco_is_the_rvq_that_it_copies():
    rvq = ResidualVQ(6, 4, 16)
    z = noise(300, 6)
    initialise_kmeans(rvq, z, torch.Generator().manual_seed(0))
    qinco = QINCo(6, 4, 16, hidden=8, blocks=2, candidates=5)
    qinco.codebooks.data = rvq.codebooks.data.clone()
    assert torch.equal(qinco.encode(z), rvq.encode(z))
    codes = rvq.encode(z)
    torch.testing.assert_close(qinco.partial_sums(codes), rvq.partial_sums(codes))


def test_qinco_with_all_candidates_is_the_exact_search():
    torch.manual_seed(1)
    qinco = QINCo(5, 3, 8, hidden=6, blocks=2, candidates=8)
    qinco.codebooks.data = noise(3, 8, 5)
    for part in qinco.adapt:
        part.gate.data.fill_(0.7)
    z = noise(40, 5, seed=9)
    for i, codes in enumerate(qinco.encode(z)):
        partial = torch.zeros(5)
        for stage in range(3):
            base = qinco.codebooks[stage].detach()
            words = base
            if stage:
                words = qinco.adapt[stage - 1](base, partial.expand(8, 5)).detach()
            best = int((z[i] - partial - words).square().sum(1).argmin())
            assert best == codes[stage]
            partial = partial + words[best]


def test_qinco_refuses_an_impossible_number_of_candidates():
    with pytest.raises(ValueError, match=r"1 to 8 candidates, .*, got 9"):
        QINCo(5, 3, 8, hidden=6, blocks=2, candidates=9)


def test_chunks_do_not_change_the_assignment():
    qinco = latent(QINCo(12, CODEBOOKS, CODEWORDS, hidden=8, blocks=1, candidates=4)).quantiser
    z = noise(50, 12)
    assert torch.equal(qinco.encode(z, chunk=7), qinco.encode(z))


# ---- finite scalar quantisation -----------------------------------------------------------------


def test_fsq_code_by_hand():
    """Levels (1, 0, 0, 5) in base 6, lowest first: 1 + 5 * 6^3 = 1081."""
    grid = torch.tensor([0.2, 0.0, 0.0, 1.0])
    assert FSQ(8).grid_to_codes(grid).item() == 1081
    torch.testing.assert_close(FSQ(8).codes_to_grid(torch.tensor(1081)), grid)


def test_all_1296_fsq_codes_come_back():
    fsq = FSQ(8)
    codes = torch.arange(1296)
    grid = fsq.codes_to_grid(codes)
    assert fsq.codewords == 1296 and len(grid.unique(dim=0)) == 1296
    assert torch.equal(fsq.grid_to_codes(grid), codes)


def test_fsq_lands_on_the_grid_and_passes_the_gradient():
    torch.manual_seed(0)
    fsq = FSQ(8)
    h = noise(20, 8).requires_grad_()
    grid = fsq.to_grid(h)
    torch.testing.assert_close(grid * 5, (grid * 5).round())
    grid.sum().backward()
    assert h.grad.norm() > 0 and fsq.project.weight.grad.norm() > 0
