"""RVQ and FSQ beside vector-quantize-pytorch on the same weights, and a QINCo step by hand."""

import pytest
import torch
import vector_quantize_pytorch as library

from ecglib.tokenizers.fsq import FSQ
from ecglib.tokenizers.qinco import GATE_RATE, QINCo
from ecglib.tokenizers.rvq import ResidualVQ

DIM, VECTORS = 12, 200


def noise(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("stages", [1, 4])
def test_rvq_chooses_the_codewords_of_the_library(stages):
    books, z = noise(stages, 16, DIM, seed=1), noise(VECTORS, DIM, seed=2)
    ours = ResidualVQ(DIM, stages, 16)
    ours.codebooks.data = books
    theirs = library.ResidualVQ(dim=DIM, num_quantizers=stages, codebook_size=16).eval()
    for layer, book in zip(theirs.layers, books, strict=True):
        layer._codebook.embed.data.copy_(book[None])
    quantised, codes, _ = theirs(z[None])
    assert torch.equal(ours.encode(z), codes[0])
    assert torch.allclose(ours.decode(codes[0]), quantised[0], atol=1e-5)


@pytest.mark.parametrize(("levels", "dims"), [(6, 4), (5, 3), (2, 6)])
def test_fsq_is_the_symmetric_one_of_the_library_on_another_scale(levels, dims):
    """sigmoid(x) = (tanh(x / 2) + 1) / 2: theirs with x halved and its output moved to [0, 1]."""
    ours = FSQ(DIM, levels, dims)
    theirs = library.FSQ([levels] * dims, preserve_symmetry=True)
    h = 2 * noise(VECTORS, DIM, seed=3)
    x = ours.project(h)
    points, codes = theirs(x[None] / 2)
    assert torch.allclose(ours.to_grid(h), (points[0] + 1) / 2, atol=1e-6)
    assert torch.equal(ours.grid_to_codes(ours.to_grid(h)), codes[0].long())
    everything = torch.arange(levels**dims)
    assert torch.allclose(
        ours.codes_to_grid(everything), (theirs.implicit_codebook + 1) / 2, atol=1e-6
    )


def test_fsq_has_the_gradient_of_the_library():
    ours, theirs = FSQ(DIM), library.FSQ([6] * 4, preserve_symmetry=True)
    h, towards = noise(VECTORS, DIM, seed=4), noise(VECTORS, 4, seed=5)
    x = ours.project(h).detach()
    own, other = x.clone().requires_grad_(), x.clone().requires_grad_()
    z = torch.sigmoid(own)  # what FSQ.to_grid does behind its projector
    grid = torch.round(5 * z) / 5
    ((z + (grid - z).detach()) * towards).sum().backward()
    (theirs(other[None] / 2)[0] * towards / 2).sum().backward()
    assert torch.allclose(own.grad, other.grad, atol=1e-6)


def test_a_qinco_step_agrees_with_the_formula():
    """c_k = base_k + g * (h + W2 relu(W1 h + b1) + b2), h = A base_k + a + B zhat, by loops."""
    torch.manual_seed(0)
    quantiser = QINCo(DIM, codebooks=2, codewords=5, hidden=7, blocks=1, candidates=5)
    quantiser.codebooks.data = noise(2, 5, DIM, seed=6)
    part = quantiser.adapt[0]
    part.gate.data = 0.05 * noise(DIM, seed=7)
    first, _, second = part.blocks[0]
    for z in noise(20, DIM, seed=8):
        near = [(z - word).square().sum() for word in quantiser.codebooks[0]]
        s1 = int(torch.stack(near).argmin())
        zhat = quantiser.codebooks[0][s1]
        words = []
        for base in quantiser.codebooks[1]:
            h = part.from_base.weight @ base + part.from_base.bias + part.from_sum.weight @ zhat
            inner = torch.relu(first.weight @ h + first.bias)
            h = h + second.weight @ inner + second.bias
            words.append(base + GATE_RATE * part.gate * h)
        s2 = int(torch.stack([(z - zhat - word).square().sum() for word in words]).argmin())
        assert quantiser.encode(z[None]).tolist() == [[s1, s2]]
        decoded = quantiser.decode(torch.tensor([[s1, s2]]))[0]
        assert torch.allclose(decoded, zhat + words[s2], atol=1e-5)


def test_a_loss_behind_the_quantiser_alone_trains_one_stage_in_the_library():
    """The known defect: through straight-through estimates no stage's codebook has a gradient.

    The sum of the stages' own losses reaches each of them; here the library's learnable codebooks
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
    for stage, grad in enumerate(torch.autograd.grad(losses.sum(), books, allow_unused=True)):
        assert grad is not None and grad.any(), stage


def test_the_commitment_of_later_stages_reaches_the_latents():
    """EnCodec's defect: what is left over is taken from the straight-through value, undetached.

    r - (r + sg(c - r)) has no gradient, so from the second stage on nothing pulls the encoder.
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
