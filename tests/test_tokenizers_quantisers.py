"""The quantisers by hand, beside brute force, and beside vector-quantize-pytorch."""

import pytest
import torch
import vector_quantize_pytorch as library
from tokenizer_toys import CODEBOOKS, CODEWORDS, LEARNED, latent, noise

from ecglib.tokenizers.codebooks import (
    initialise_kmeans,
    initialise_uniform,
    kmeans,
    nearest,
    revive,
)
from ecglib.tokenizers.fsq import FSQ
from ecglib.tokenizers.qinco import GATE_RATE, QINCo
from ecglib.tokenizers.rvq import ResidualVQ

DIM, VECTORS = 12, 200


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_nearest_equals_brute_force():
    x, book = noise(200, 7), noise(33, 7, seed=1)
    brute = (x[:, None] - book[None]).square().sum(-1).argmin(1)
    assert torch.equal(nearest(x, book), brute)


# ---- residual vector quantisation ---------------------------------------------------------------


def test_rvq_by_hand():
    """(4.2, 0.9): codebook 1 takes (4, 0); of the residual (0.2, 0.9), codebook 2 takes (0, 1)."""
    rvq = ResidualVQ(2, 2, 2)
    rvq.codebooks.data = torch.tensor([[[0.0, 0], [4, 0]], [[0.0, 0], [0, 1]]])
    codes = rvq.encode(torch.tensor([[4.2, 0.9], [0.1, 0.2]]))
    assert codes.tolist() == [[1, 1], [0, 0]]
    assert rvq.partial_sums(codes).tolist() == [[[4, 0], [0, 0]], [[4, 1], [0, 0]]]
    assert rvq.decode(codes).tolist() == [[4, 1], [0, 0]]


@pytest.mark.parametrize("codebooks", [1, 4])
def test_rvq_chooses_the_codewords_of_the_library(codebooks):
    books, z = noise(codebooks, 16, DIM, seed=1), noise(VECTORS, DIM, seed=2)
    ours = ResidualVQ(DIM, codebooks, 16)
    ours.codebooks.data = books
    theirs = library.ResidualVQ(dim=DIM, num_quantizers=codebooks, codebook_size=16).eval()
    for layer, book in zip(theirs.layers, books, strict=True):
        layer._codebook.embed.data.copy_(book[None])
    quantised, codes, _ = theirs(z[None])
    assert torch.equal(ours.encode(z), codes[0])
    assert torch.allclose(ours.decode(codes[0]), quantised[0], atol=1e-5)


def test_each_codebook_of_rvq_lowers_the_error_after_k_means():
    z = noise(600, 6)
    rvq = ResidualVQ(6, 4, 16)
    initialise_kmeans(rvq, z, generator())
    error = (rvq.partial_sums(rvq.encode(z)) - z).square().mean((1, 2))
    assert (error.diff() < 0).all() and error[0] < z.square().mean()


def test_k_means_ends_with_the_means_of_its_clusters():
    x = noise(300, 2)
    centres = kmeans(x, 5, 100, generator(4))
    index = nearest(x, centres)
    means = torch.stack([x[index == k].mean(0) for k in range(5)])
    torch.testing.assert_close(centres, means, atol=1e-5, rtol=0)
    with pytest.raises(ValueError, match="at least 16 latent vectors for k-means, got 5"):
        initialise_kmeans(ResidualVQ(2, 1, 16), noise(5, 2), generator())


def test_the_released_initialisation_is_uniform():
    rvq = ResidualVQ(82, 2, 512)
    initialise_uniform(rvq, generator())
    bound = (6 / (512 * 82)) ** 0.5
    assert rvq.codebooks.abs().max() <= bound and rvq.codebooks.abs().max() > 0.99 * bound


def test_dead_codewords_are_moved_onto_the_data():
    rvq = ResidualVQ(2, 1, 4)
    rvq.codebooks.data = torch.tensor([[[0.0, 0], [1, 1], [99, 99], [-99, 99]]])
    assert revive(rvq, noise(50, 2), generator()) == 2
    assert rvq.codebooks.detach()[0, 2:].abs().max() < 10
    assert rvq.codebooks.detach()[0, :2].tolist() == [[0, 0], [1, 1]]


def test_fewer_vectors_than_dead_codewords_revive_one_each():
    """Two vectors choose one or two of eight codewords: two of the dead ones are moved."""
    rvq, z = ResidualVQ(2, 1, 8), noise(2, 2)
    rvq.codebooks.data = torch.tensor([[[0.0, 0]] + [[99.0, 99]] * 7])
    assert revive(rvq, z, generator()) == 2
    moved = (rvq.codebooks.detach()[0] - 99).abs().sum(1) > 1
    assert moved.tolist() == [True] * 3 + [False] * 5
    assert sorted(rvq.codebooks[0, 1:3].tolist()) == sorted(z.tolist())


def test_a_later_codebook_is_revived_onto_the_residuals_of_those_before_it():
    """QINCo's adapted codewords count: codebook 2 gets a residual of its own codebook 1."""
    quantiser = LEARNED["qinco"](12)
    latent(quantiser)
    z = noise(400, 12)
    quantiser.codebooks.data[1, 3] = 99.0
    residual = z - quantiser.partial_sums(quantiser.encode(z))[0]
    assert revive(quantiser, z, generator()) >= 1
    assert ((quantiser.codebooks[1, 3] - residual).abs().sum(1) == 0).any()


def test_a_loss_behind_the_quantiser_alone_trains_no_codebook_of_the_library():
    """The known defect: through straight-through estimates no codebook has a gradient.

    The sum of the codebooks' own losses reaches each of them; the library's learnable codebooks
    show both.
    """
    theirs = library.ResidualVQ(
        dim=DIM,
        num_quantizers=3,
        codebook_size=8,
        learnable_codebook=True,
        ema_update=False,
        rotation_trick=False,
    ).train()
    books = [layer._codebook.embed for layer in theirs.layers]
    quantised, _, losses = theirs(noise(1, VECTORS, DIM, seed=9).requires_grad_())
    reached = torch.autograd.grad(
        quantised.square().sum(), books, retain_graph=True, allow_unused=True
    )
    assert all(grad is None or not grad.any() for grad in reached)
    for i, grad in enumerate(torch.autograd.grad(losses.sum(), books, allow_unused=True)):
        assert grad is not None and grad.any(), i


def test_the_commitment_to_later_codebooks_reaches_the_latents():
    """EnCodec's defect: the residual is taken from the straight-through value, undetached.

    r - (r + sg(c - r)) has no gradient, so from the second codebook on nothing pulls the encoder.
    """
    z = noise(VECTORS, DIM, seed=10).requires_grad_()
    quantiser = ResidualVQ(DIM, 3, 8)
    quantiser.codebooks.data = noise(3, 8, DIM, seed=11)
    residual, defective = z, []
    for book, index in zip(quantiser.codebooks, quantiser.encode(z.detach()).T, strict=True):
        word = book[index].detach()
        defective.append((residual - word).square().mean())
        residual = residual - (residual + (word - residual).detach())
    strength = [torch.autograd.grad(term, z, retain_graph=True)[0].norm() for term in defective]
    assert strength[0] > 0 and strength[1] == strength[2] == 0

    sums = quantiser.partial_sums(quantiser.encode(z.detach())).detach()
    terms = (sums - z).square().mean((1, 2))
    torch.testing.assert_close(quantiser(z)[2], terms.sum())
    for term in terms:
        assert torch.autograd.grad(term, z, retain_graph=True)[0].norm() > 0


# ---- QINCo --------------------------------------------------------------------------------------


def test_a_fresh_qinco_is_the_rvq_that_it_copies():
    rvq, z = ResidualVQ(6, 4, 16), noise(300, 6)
    initialise_kmeans(rvq, z, generator())
    qinco = QINCo(6, 4, 16, hidden=8, blocks=2, candidates=5)
    qinco.codebooks.data = rvq.codebooks.data.clone()
    codes = rvq.encode(z)
    assert torch.equal(qinco.encode(z), codes)
    torch.testing.assert_close(qinco.partial_sums(codes), rvq.partial_sums(codes))


def test_a_qinco_step_agrees_with_the_formula():
    """c_k = base_k + g * (h + W2 relu(W1 h + b1) + b2), h = A base_k + a + B zhat, by loops.

    With as many candidates as codewords the search is exact.
    """
    torch.manual_seed(0)
    quantiser = QINCo(DIM, codebooks=3, codewords=5, hidden=7, blocks=1, candidates=5)
    quantiser.codebooks.data = noise(3, 5, DIM, seed=6)
    for i, part in enumerate(quantiser.adapt):
        part.gate.data = 0.05 * noise(DIM, seed=7 + i)
    for z in noise(20, DIM, seed=9):
        zhat, codes = torch.zeros(DIM), []
        for part, codebook in zip((None, *quantiser.adapt), quantiser.codebooks, strict=True):
            words = []
            for base in codebook:
                if part is not None:
                    first, _, second = part.blocks[0]
                    h = part.from_base.weight @ base + part.from_base.bias
                    h = h + part.from_sum.weight @ zhat
                    inner = torch.relu(first.weight @ h + first.bias)
                    h = h + second.weight @ inner + second.bias
                    base = base + GATE_RATE * part.gate * h
                words.append(base)
            codes.append(int(torch.stack([(z - zhat - w).square().sum() for w in words]).argmin()))
            zhat = zhat + words[codes[-1]]
        assert quantiser.encode(z[None]).tolist() == [codes]
        decoded = quantiser.decode(torch.tensor([codes]))[0]
        assert torch.allclose(decoded, zhat, atol=1e-5)


def test_qinco_refuses_an_impossible_number_of_candidates():
    with pytest.raises(ValueError, match=r"1 to 8 candidates, .*, got 9"):
        QINCo(5, 3, 8, hidden=6, blocks=2, candidates=9)


def test_chunks_do_not_change_the_codes():
    qinco = latent(QINCo(12, CODEBOOKS, CODEWORDS, hidden=8, blocks=1, candidates=4)).quantiser
    z = noise(50, 12)
    assert torch.equal(qinco.encode(z, chunk=7), qinco.encode(z))


# ---- finite scalar quantisation -----------------------------------------------------------------


def test_fsq_codes_by_hand_and_back():
    """Levels (1, 0, 0, 5) in base 6, lowest first: 1 + 5 * 6^3 = 1081."""
    fsq, codes = FSQ(8), torch.arange(1296)
    assert fsq.grid_to_codes(torch.tensor([0.2, 0.0, 0.0, 1.0])).item() == 1081
    torch.testing.assert_close(fsq.codes_to_grid(codes[1081]), torch.tensor([0.2, 0.0, 0.0, 1.0]))
    grid = fsq.codes_to_grid(codes)
    assert fsq.codewords == 1296 and len(grid.unique(dim=0)) == 1296
    assert torch.equal(fsq.grid_to_codes(grid), codes)


@pytest.mark.parametrize(("levels", "dims"), [(6, 4), (5, 3), (2, 6)])
def test_fsq_is_the_symmetric_one_of_the_library_on_another_scale(levels, dims):
    """sigmoid(x) = (tanh(x / 2) + 1) / 2: theirs with x halved and its output moved to [0, 1]."""
    ours = FSQ(DIM, levels, dims)
    theirs = library.FSQ([levels] * dims, preserve_symmetry=True)
    h, towards = 2 * noise(VECTORS, DIM, seed=3), noise(VECTORS, dims, seed=5)
    x = ours.project(h).detach().requires_grad_()
    points, codes = theirs(x[None] / 2)
    grid = ours.to_grid(h)
    assert torch.allclose(grid, (points[0] + 1) / 2, atol=1e-6)
    assert torch.allclose(grid * (levels - 1), (grid * (levels - 1)).round(), atol=1e-5)
    assert torch.equal(ours.encode(h)[:, 0], codes[0].long())
    everything = torch.arange(levels**dims)
    implicit = (theirs.implicit_codebook + 1) / 2
    assert torch.allclose(ours.codes_to_grid(everything), implicit, atol=1e-6)
    # and it has the library's gradient, through the projection to its bias
    (points[0] * towards / 2).sum().backward()
    (grid * towards).sum().backward()
    assert torch.allclose(ours.project.bias.grad, x.grad.sum(0), atol=1e-4)
