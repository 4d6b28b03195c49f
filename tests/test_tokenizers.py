"""The contract that all tokenizers share, and the quantisers by hand."""

import math

import pytest
import torch

from ecglib.tokenizers import train
from ecglib.tokenizers.autoencoder import Autoencoder, masked_l1
from ecglib.tokenizers.contract import flat_ids, unflat_ids
from ecglib.tokenizers.fsq import FSQ
from ecglib.tokenizers.latent import LatentTokenizer
from ecglib.tokenizers.leadwise import LeadwiseTokenizer
from ecglib.tokenizers.load import load
from ecglib.tokenizers.qinco import QINCo
from ecglib.tokenizers.rvq import ResidualVQ, initialise, kmeans, nearest, revive

SAMPLES, HOP, STAGES, CODEWORDS = 200, 16, 3, 8


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def latent(quantiser: ResidualVQ | QINCo) -> LatentTokenizer:
    quantiser.codebooks.data = 0.3 * noise(*quantiser.codebooks.shape, seed=1)
    if isinstance(quantiser, QINCo):
        for part in quantiser.adapt:
            part.gate.data = 0.5 + 0.1 * noise(quantiser.dim, seed=2)
    return LatentTokenizer(
        Autoencoder([8, 12], [4, 4], linear=True, samples=SAMPLES), quantiser
    ).eval()


@pytest.fixture(params=["rvq", "qinco", "fsq"])
def tokenizer(request: pytest.FixtureRequest) -> LatentTokenizer | LeadwiseTokenizer:
    torch.manual_seed(3)
    if request.param == "rvq":
        return latent(ResidualVQ(12, STAGES, CODEWORDS))
    if request.param == "qinco":
        return latent(QINCo(12, STAGES, CODEWORDS, hidden=8, blocks=2, candidates=4))
    return LeadwiseTokenizer(8, [4, 4], [32, 16], samples=SAMPLES).eval()


def test_codes_and_reconstruction_have_the_shapes_of_the_contract(tokenizer):
    x = noise(3, 12, SAMPLES)
    codes = tokenizer.encode(x)
    stages = 1 if tokenizer.method == "fsq" else STAGES
    assert codes.dtype == torch.int64 and codes.shape == (3, math.ceil(SAMPLES / HOP), stages)
    y = tokenizer.decode(codes)
    assert y.shape == x.shape and y.dtype == torch.float32 and y.isfinite().all()


def test_ids_come_back_as_the_codes_they_were(tokenizer):
    codes = tokenizer.encode(noise(3, 12, SAMPLES))
    ids = tokenizer.ids(codes)
    rate = tokenizer.rate()
    assert ids.shape == (3, rate.tokens_per_ecg)
    assert ids.min() >= 0 and ids.max() < rate.vocabulary_size
    assert torch.equal(tokenizer.codes_of(ids), codes)


def test_saved_and_loaded_is_the_same_tokenizer(tokenizer, tmp_path):
    tokenizer.save(tmp_path / "model")
    again = load(tmp_path / "model")
    x = noise(2, 12, SAMPLES)
    codes = tokenizer.encode(x)
    assert again.method == tokenizer.method and again.rate() == tokenizer.rate()
    assert torch.equal(again.encode(x), codes)
    assert torch.equal(again.decode(codes), tokenizer.decode(codes))
    for name, value in tokenizer.state_dict().items():
        assert torch.equal(again.state_dict()[name], value), name


def test_embedding_lengths_cover_the_valid_samples(tokenizer):
    """A hop is 16 samples: 1 and 16 samples need one position, 17 need two, 200 need thirteen."""
    codes = tokenizer.encode(noise(4, 12, SAMPLES))
    vectors, lengths = tokenizer.embed(codes, torch.tensor([1, 16, 17, SAMPLES]))
    assert lengths.tolist() == [1, 1, 2, 13]
    assert vectors.shape[:2] == codes.shape[:2]


def test_rate_by_hand(tokenizer):
    """13 positions; 3 stages of 8 codewords are 13 * 3 * 3 bits, one of 1,296 13 * log2 1296."""
    rate = tokenizer.rate()
    if tokenizer.method == "fsq":
        assert (rate.vocabulary_size, rate.tokens_per_ecg) == (1296, 13)
        assert rate.bits_per_ecg == pytest.approx(13 * 10.33985, abs=1e-3)
    else:
        assert (rate.vocabulary_size, rate.tokens_per_ecg) == (24, 39)
        assert rate.bits_per_ecg == 117


def test_codes_of_a_record_do_not_depend_on_its_batch(tokenizer):
    x = noise(5, 12, SAMPLES)
    together = tokenizer.encode(x)
    alone = torch.cat([tokenizer.encode(one[None]) for one in x])
    assert torch.equal(together, alone)


def test_paper_scale_rate():
    """10 s at 250 Hz, hop 64: 40 positions; 8 stages of 64 codewords: 320 codes of 6 bits."""
    tokenizer = LatentTokenizer(Autoencoder([4, 4, 4], [4, 4, 4]), ResidualVQ(4, 8, 64))
    rate = tokenizer.rate()
    assert (rate.vocabulary_size, rate.tokens_per_ecg, rate.bits_per_ecg) == (512, 320, 1920)


def test_loading_names_what_is_wrong(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"config\.json is missing"):
        load(tmp_path)
    (tmp_path / "config.json").write_text('{"method": "bpe2"}')
    with pytest.raises(ValueError, match="'bpe2' is none of"):
        load(tmp_path)


def test_ids_by_hand_and_out_of_range():
    codes = torch.tensor([[[5, 2], [0, 63]]])
    ids = flat_ids(codes, 64)
    assert ids.tolist() == [[5, 66, 0, 127]]
    assert torch.equal(unflat_ids(ids, 2, 64), codes)
    with pytest.raises(ValueError, match="2 stages x 64 codewords"):
        unflat_ids(torch.tensor([[66, 5]]), 2, 64)


def test_masked_l1_leaves_padding_out():
    """Errors 1 on 2 valid samples of one ECG and 3 on 4 of the other: (2 + 12) / 6."""
    x, y = torch.zeros(2, 12, 4), torch.zeros(2, 12, 4)
    y[0, :, :2], y[0, :, 2:], y[1] = 1.0, 100.0, 3.0
    assert masked_l1(x, y, torch.tensor([2, 4])).item() == pytest.approx(14 / 6)


# ---- residual vector quantisation ---------------------------------------------------------------


def test_nearest_equals_brute_force():
    x, book = noise(200, 7), noise(33, 7, seed=1)
    brute = (x[:, None] - book[None]).square().sum(-1).argmin(1)
    assert torch.equal(nearest(x, book), brute)


def test_rvq_by_hand():
    """(4.2, 0.9): stage 1 takes (4, 0); left over (0.2, 0.9), stage 2 takes (0, 1)."""
    rvq = ResidualVQ(2, 2, 2)
    rvq.codebooks.data = torch.tensor([[[0.0, 0], [4, 0]], [[0.0, 0], [0, 1]]])
    codes = rvq.assign(torch.tensor([[4.2, 0.9], [0.1, 0.2]]))
    assert codes.tolist() == [[1, 1], [0, 0]]
    assert rvq.partial_sums(codes).tolist() == [[[4, 0], [0, 0]], [[4, 1], [0, 0]]]
    assert rvq.decode(codes).tolist() == [[4, 1], [0, 0]]


def test_each_stage_of_rvq_lowers_the_error_after_k_means():
    z = noise(600, 6)
    rvq = ResidualVQ(6, 4, 16)
    initialise(rvq, z, torch.Generator().manual_seed(0))
    error = (rvq.partial_sums(rvq.assign(z)) - z).square().mean((1, 2))
    assert (error.diff() < 0).all() and error[0] < z.square().mean()


def test_k_means_ends_with_the_means_of_its_clusters():
    x = noise(300, 2)
    found = kmeans(x, 5, 100, torch.Generator().manual_seed(4))
    index = nearest(x, found)
    means = torch.stack([x[index == k].mean(0) for k in range(5)])
    torch.testing.assert_close(found, means, atol=1e-5, rtol=0)


def test_too_few_vectors_for_k_means_are_named():
    with pytest.raises(ValueError, match="at least 16 latent vectors, got 5"):
        initialise(ResidualVQ(2, 1, 16), noise(5, 2), torch.Generator())


def test_dead_codewords_are_moved_onto_the_data():
    rvq = ResidualVQ(2, 1, 4)
    rvq.codebooks.data = torch.tensor([[[0.0, 0], [1, 1], [99, 99], [-99, 99]]])
    z = noise(50, 2)
    codes = rvq.assign(z)
    assert revive(rvq, z, codes, torch.Generator().manual_seed(0)) == 2
    assert rvq.codebooks.detach()[0, 2:].abs().max() < 10
    assert rvq.codebooks.detach()[0, :2].tolist() == [[0, 0], [1, 1]]


@pytest.mark.parametrize("method", ["rvq", "qinco"])
def test_every_stage_receives_a_gradient(method):
    """The released fault of several libraries: only the last, or no, stage learns."""
    torch.manual_seed(0)
    quantiser = {
        "rvq": lambda: ResidualVQ(12, STAGES, CODEWORDS),
        "qinco": lambda: QINCo(12, STAGES, CODEWORDS, hidden=8, blocks=1, candidates=4),
    }[method]()
    tokenizer = latent(quantiser)
    x = noise(4, 12, SAMPLES)
    loss, z, codes = train.latent_loss(tokenizer, x, torch.full((4,), SAMPLES), 0.25)
    loss.backward()
    assert z.shape == (4 * 13, 12) and codes.shape == (4 * 13, STAGES)
    assert (quantiser.codebooks.grad.flatten(1).norm(dim=1) > 0).all()
    for name, parameter in tokenizer.named_parameters():
        assert parameter.grad is not None and parameter.grad.norm() > 0, name


def test_padding_teaches_no_codebook():
    """Two recordings of 100 of 200 samples, hops of 16: seven positions each teach, six do not."""
    torch.manual_seed(0)
    tokenizer = latent(ResidualVQ(12, STAGES, CODEWORDS))
    tokenizer.quantiser.codebooks.data = noise(STAGES, CODEWORDS, 12)
    x, n_valid = noise(2, 12, SAMPLES), torch.full((2,), 100)
    x[..., 100:] = 0
    _, z, codes = train.latent_loss(tokenizer, x, n_valid, 0.25)
    assert z.shape == (2 * 7, 12) and codes.shape == (2 * 7, STAGES)
    loss, _, _ = train.latent_loss(tokenizer, x, n_valid, 0.25)
    y = tokenizer.decode(tokenizer.encode(x))
    sums = tokenizer.quantiser.partial_sums(codes)
    terms = (sums - z).square().mean((1, 2)).sum()
    torch.testing.assert_close(loss, (x - y)[..., :100].abs().mean() + 1.25 * terms)


def test_the_papers_literal_loss_reaches_no_codebook():
    rvq = ResidualVQ(4, 2, 4)
    rvq.codebooks.data = noise(2, 4, 4)
    z = noise(10, 4, seed=1).requires_grad_()
    zhat = rvq.decode(rvq.assign(z))
    through = z + (zhat - z).detach()
    (through.abs().mean() + 0.25 * (z - zhat.detach()).square().mean()).backward()
    assert rvq.codebooks.grad is None and z.grad.norm() > 0


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
    tokenizer = latent(ResidualVQ(12, STAGES, CODEWORDS))
    t = torch.linspace(0, 6.28, SAMPLES)
    x = torch.sin(t * torch.arange(1, 5)[:, None, None] + torch.arange(12)[:, None] / 4)
    optimizer = torch.optim.Adam(tokenizer.parameters(), 3e-3)
    losses = []
    for _ in range(30):
        optimizer.zero_grad()
        loss, _, _ = train.latent_loss(tokenizer, x, torch.full((4,), SAMPLES), 0.25)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.6 * losses[0]


# ---- QINCo --------------------------------------------------------------------------------------


def test_a_fresh_qinco_is_the_rvq_that_it_copies():
    rvq = ResidualVQ(6, 4, 16)
    z = noise(300, 6)
    initialise(rvq, z, torch.Generator().manual_seed(0))
    qinco = QINCo(6, 4, 16, hidden=8, blocks=2, candidates=5)
    qinco.codebooks.data = rvq.codebooks.data.clone()
    assert torch.equal(qinco.assign(z), rvq.assign(z))
    codes = rvq.assign(z)
    torch.testing.assert_close(qinco.partial_sums(codes), rvq.partial_sums(codes))


def test_qinco_with_all_candidates_is_the_exact_search():
    torch.manual_seed(1)
    qinco = QINCo(5, 3, 8, hidden=6, blocks=2, candidates=8)
    qinco.codebooks.data = noise(3, 8, 5)
    for part in qinco.adapt:
        part.gate.data.fill_(0.7)
    z = noise(40, 5, seed=9)
    for i, codes in enumerate(qinco.assign(z)):
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
    with pytest.raises(ValueError, match="1 to 8, got 9"):
        QINCo(5, 3, 8, hidden=6, blocks=2, candidates=9)


def test_chunks_do_not_change_the_assignment():
    qinco = latent(QINCo(12, STAGES, CODEWORDS, hidden=8, blocks=1, candidates=4)).quantiser
    z = noise(50, 12)
    assert torch.equal(qinco.assign(z, chunk=7), qinco.assign(z))


# ---- finite scalar quantisation -----------------------------------------------------------------


def test_fsq_code_by_hand():
    """Levels (1, 0, 0, 5) in base 6, lowest first: 1 + 5 * 6^3 = 1081."""
    grid = torch.tensor([0.2, 0.0, 0.0, 1.0])
    assert FSQ(8).codes(grid).item() == 1081
    torch.testing.assert_close(FSQ(8).grid(torch.tensor(1081)), grid)


def test_all_1296_fsq_codes_come_back():
    fsq = FSQ(8)
    codes = torch.arange(1296)
    grid = fsq.grid(codes)
    assert fsq.codewords == 1296 and len(grid.unique(dim=0)) == 1296
    assert torch.equal(fsq.codes(grid), codes)


def test_fsq_lands_on_the_grid_and_passes_the_gradient():
    torch.manual_seed(0)
    fsq = FSQ(8)
    h = noise(20, 8).requires_grad_()
    grid = fsq.quantise(h)
    torch.testing.assert_close(grid * 5, (grid * 5).round())
    grid.sum().backward()
    assert h.grad.norm() > 0 and fsq.project.weight.grad.norm() > 0
