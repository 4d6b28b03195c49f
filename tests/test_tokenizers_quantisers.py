"""The quantisers by hand and against libraries; their losses and the trainings of a tokenizer."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import vector_quantize_pytorch as library
from builds import refused
from tokenizer_toys import CODEBOOKS, CODEWORDS, LEARNED, latent, noise, unlabelled_cohort
from tokenizer_toys import SAMPLES as SHORT

from ecglib.cohorts.store import Cohort
from ecglib.signals.leads import SAMPLES
from ecglib.tokenizers import train
from ecglib.tokenizers.autoencoder import mean_valid
from ecglib.tokenizers.codebooks import initialise_kmeans, initialise_uniform, kmeans, revive
from ecglib.tokenizers.fsq import FSQ
from ecglib.tokenizers.load import load
from ecglib.tokenizers.qinco import QINCo
from ecglib.tokenizers.rvq import ResidualVQ
from ecglib.tokenizers.vq import VQ
from ecglib.training.device import Machine

DIM, VECTORS = 12, 200
MACHINE = Machine("cpu", "float32", 1, "test")
JOINT = {
    "autoencoder": {"kind": "strided", "widths": [8, 16], "strides": [8, 8]},
    "batch": 8,
}
JOINT |= {"steps": 20, "learning_rate": 3e-3, "commitment": 0.25, "revive_every": 0}
SIZES = {"vq": {"codewords": 8}, "rvq": {"codebooks": 2, "codewords": 8}}


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_rvq_by_hand_and_against_the_library():
    """(4.2, 0.9): codebook 1 takes (4, 0); of the residual (0.2, 0.9), codebook 2 takes (0, 1)."""
    rvq = ResidualVQ(2, 2, 2)
    rvq.codebooks.data = torch.tensor([[[0.0, 0], [4, 0]], [[0.0, 0], [0, 1]]])
    codes = rvq.encode(torch.tensor([[4.2, 0.9], [0.1, 0.2]]))
    assert codes.tolist() == [[1, 1], [0, 0]]
    assert rvq.partial_sums(codes).tolist() == [[[4, 0], [0, 0]], [[4, 1], [0, 0]]]
    assert rvq.decode(codes).tolist() == [[4, 1], [0, 0]]
    for codebooks in (1, 4):  # and the codewords are those of the library
        books, z = noise(codebooks, 16, DIM, seed=1), noise(VECTORS, DIM, seed=2)
        ours = ResidualVQ(DIM, codebooks, 16)
        ours.codebooks.data = books
        theirs = library.ResidualVQ(dim=DIM, num_quantizers=codebooks, codebook_size=16).eval()
        for layer, book in zip(theirs.layers, books, strict=True):
            layer._codebook.embed.data.copy_(book[None])
        quantised, codes, _ = theirs(z[None])
        assert torch.equal(ours.encode(z), codes[0])
        assert torch.allclose(ours.decode(codes[0]), quantised[0], atol=1e-5)


def test_codebooks_start_by_k_means_or_uniform_and_dead_codewords_are_revived():
    x = noise(300, 2)
    centres = kmeans(x, 5, 100, generator(4))
    index = torch.cdist(x, centres).argmin(1)
    means = torch.stack([x[index == k].mean(0) for k in range(5)])
    torch.testing.assert_close(centres, means, atol=1e-5, rtol=0)
    with pytest.raises(ValueError, match="at least 16 latent vectors for k-means, got 5"):
        initialise_kmeans(ResidualVQ(2, 1, 16), noise(5, 2), generator())
    # the released initialisation is uniform
    rvq = ResidualVQ(82, 2, 512)
    initialise_uniform(rvq, generator())
    bound = (6 / (512 * 82)) ** 0.5
    assert rvq.codebooks.abs().max() <= bound and rvq.codebooks.abs().max() > 0.99 * bound
    # codeword 0 is chosen; the others are dead once no vector has chosen them for three updates
    rvq, z = ResidualVQ(2, 1, 8).train(), noise(2, 2)
    rvq.codebooks.data = torch.tensor([[[0.0, 0]] + [[99.0, 99]] * 7])
    for updates in range(3):
        assert rvq.idle.tolist() == [[0] + 7 * [updates]]
        assert revive(rvq, z, 3, generator()) == 0
        rvq(z)
    rvq.eval()(z)
    assert rvq.idle.tolist() == [[0] + 7 * [3]]
    # two vectors revive two of them
    assert revive(rvq, z, 3, generator()) == 2
    book = rvq.codebooks[0].tolist()
    assert sorted(book[1:3]) == sorted(z.tolist()) and book[3:] == [[99, 99]] * 5
    assert book[0] == [0, 0] and rvq.idle.tolist() == [[0, 0, 0] + 5 * [3]]
    # QINCo's adapted codewords count: codebook 2 gets a residual of its own codebook 1
    quantiser = latent(LEARNED["qinco"](12)).quantiser.train()
    z = noise(400, 12)
    quantiser.codebooks.data[1, 3] = 99.0
    quantiser(z, torch.arange(400) < 200)
    residual = z - quantiser.partial_sums(quantiser.encode(z))[0]
    assert revive(quantiser, z, 1, generator()) >= 1
    assert ((quantiser.codebooks[1, 3] - residual).abs().sum(1) == 0).any()


def test_a_fresh_qinco_is_the_rvq_that_it_copies():
    """After k-means each codebook lowers the error, and QINCo chooses the same codewords."""
    rvq, z = ResidualVQ(6, 4, 16), noise(600, 6)
    initialise_kmeans(rvq, z, generator())
    codes = rvq.encode(z)
    sums = rvq.partial_sums(codes)
    errors = torch.stack([z, *(sums - z)]).square().mean((1, 2))
    assert (errors.diff() < 0).all()
    qinco = QINCo(6, 4, 16, width=3, hidden=8, blocks=2, candidates=5)
    qinco.codebooks.data = rvq.codebooks.data.clone()
    assert torch.equal(qinco.encode(z), codes) and torch.equal(qinco.encode(z, chunk=7), codes)
    torch.testing.assert_close(qinco.partial_sums(codes), sums)
    again = QINCo(**qinco.config())
    again.load_state_dict(qinco.state_dict())
    assert torch.equal(again.encode(z), codes)
    wrong = {"width": 6, "hidden": 6, "blocks": 2, "candidates": 9}
    refused(r"1 to 8 candidates, .*, got 9", QINCo, 5, 3, 8, **wrong)


@pytest.mark.parametrize("method", ["rvq", "qinco"])
def test_the_first_codebooks_are_a_quantiser_of_a_lower_rate(method):
    """It gives the first codes of the whole one, and their sums."""
    quantiser, z = latent(LEARNED[method](DIM)).quantiser, noise(VECTORS, DIM)
    codes = quantiser.encode(z)
    for count in range(1, CODEBOOKS):
        fewer = quantiser.first(count)
        assert fewer.codes_per_vector == count and torch.equal(fewer.encode(z), codes[:, :count])
        torch.testing.assert_close(
            fewer.decode(codes[:, :count]), quantiser.partial_sums(codes)[count - 1]
        )
    assert quantiser.first(CODEBOOKS) is quantiser


def test_fsq_codes_by_hand_and_back():
    """Levels (1, 0, 0, 5) in base 6, lowest first: 1 + 5 * 6^3 = 1081."""
    fsq, codes = FSQ(8), torch.arange(1296)
    assert fsq.grid_to_codes(torch.tensor([0.2, 0.0, 0.0, 1.0])).item() == 1081
    grid = fsq.codes_to_grid(codes)
    torch.testing.assert_close(grid[1081], torch.tensor([0.2, 0.0, 0.0, 1.0]))
    assert fsq.codewords == 1296 and torch.equal(fsq.grid_to_codes(grid), codes)


def test_fsq_starts_with_all_levels_in_use():
    """Close vectors that are far from zero fill the grid once the projection is scaled to them."""
    torch.manual_seed(0)
    fsq, z = FSQ(DIM), 5 + 0.01 * noise(2000, DIM)
    assert len(fsq.encode(z).unique()) < 20
    fsq.initialise(z)
    before = fsq.project(z)
    torch.testing.assert_close(before.T.cov(), 1.5**2 * torch.eye(4), atol=1e-2, rtol=0)
    assert before.mean(0).abs().max() < 1e-2 and len(fsq.encode(z).unique()) > 500


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
    assert torch.equal(ours.encode(h)[:, 0], codes[0].long())
    everything = torch.arange(levels**dims)
    implicit = (theirs.implicit_codebook + 1) / 2
    assert torch.allclose(ours.codes_to_grid(everything), implicit, atol=1e-6)
    # and it has the library's gradient, through the projection to its bias
    (points[0] * towards / 2).sum().backward()
    (grid * towards).sum().backward()
    assert torch.allclose(ours.project.bias.grad, x.grad.sum(0), atol=1e-4)


@pytest.mark.parametrize("axis", ["time", "channel"])
@pytest.mark.parametrize("method", LEARNED)
def test_the_loss_reaches_every_codebook_and_the_papers_literal_loss_none(method, axis):
    """The released fault of several libraries: only the last codebook, or none, learns."""
    torch.manual_seed(0)
    quantiser = LEARNED[method](12 if axis == "time" else 13)
    tokenizer = latent(quantiser, axis)
    x, n_valid = noise(4, 12, SHORT), torch.full((4,), SHORT)
    train.latent_loss(tokenizer, x, n_valid, 0.25, literal=True).backward()
    assert all(p.grad is None for p in quantiser.parameters())
    assert all(p.grad.norm() > 0 for p in tokenizer.autoencoder.parameters())
    train.latent_loss(tokenizer, x, n_valid, 0.25).backward()
    assert (quantiser.codebooks.grad.flatten(1).norm(dim=1) > 0).all()
    assert all(p.grad is not None and p.grad.norm() > 0 for p in quantiser.parameters())


def test_losses_are_means_over_codebooks_and_later_terms_move_earlier_codebooks():
    """EnCodec's defect is avoided: residuals have the gradient of z, not of the rounded value. The
    codebook loss leaves the encoder alone, which the commitment would else teach twice."""
    z = noise(VECTORS, DIM, seed=10).requires_grad_()
    quantiser = ResidualVQ(DIM, 3, 8)
    quantiser.codebooks.data = noise(3, 8, DIM, seed=11)
    codes = quantiser.encode(z.detach())
    terms = (quantiser.partial_sums(codes).detach() - z).square().mean((1, 2))
    _, codebook_loss, commitment_loss = quantiser(z)
    for loss in (codebook_loss, commitment_loss):
        torch.testing.assert_close(loss, terms.mean())
    expected = torch.autograd.grad(terms.mean(), z)[0]
    torch.testing.assert_close(torch.autograd.grad(commitment_loss, z)[0], expected)
    options = {"allow_unused": True, "retain_graph": True}
    assert torch.autograd.grad(codebook_loss, z, **options)[0] is None
    # the codeword of codebook 1 feels its own term and those of codebooks 2 and 3
    gradient = torch.autograd.grad(codebook_loss, quantiser.codebooks)[0][0, codes[0, 0]]
    same = codes[:, 0] == codes[0, 0]
    errors = quantiser.partial_sums(codes).detach()[:, same] - z.detach()[same]
    torch.testing.assert_close(gradient, 2 * errors.sum((0, 1)) / (3 * VECTORS * DIM))


def test_released_training_has_the_librarys_running_means_and_rotated_gradient():
    """Three updates of VQ, decay 0.8; the codeword that nothing chooses shrinks with theirs."""
    ours, theirs = VQ(DIM, 8, released=True).train(), library.VectorQuantize(DIM, 8, decay=0.8)
    book = noise(8, DIM, seed=1)
    book[7] = 50.0
    ours.codebooks.data = book[None].clone()
    theirs._codebook.embed.data.copy_(book[None])
    theirs._codebook.embed_avg.data.copy_(book[None])
    for step in range(3):
        z, towards = noise(VECTORS, DIM, seed=20 + step), noise(VECTORS, DIM, seed=30 + step)
        gradients = []
        for model, shape in ((ours, (-1, DIM)), (theirs, (1, -1, DIM))):
            leaf = z.clone().requires_grad_()
            out = model(leaf.view(shape))
            assert out[0].shape == leaf.view(shape).shape
            (out[0].view(-1, DIM) * towards).sum().backward()
            gradients.append(leaf.grad)
        torch.testing.assert_close(*gradients, atol=1e-4, rtol=1e-3)
        torch.testing.assert_close(ours.codebooks, theirs._codebook.embed, atol=1e-4, rtol=1e-3)
    assert ours.codebooks.grad is None
    # QINCo's codebooks keep their gradient
    qinco = QINCo(DIM, 3, 8, width=6, hidden=8, blocks=1, candidates=8, released=True).train()
    qinco.codebooks.data = noise(3, 8, DIM)
    qinco(noise(VECTORS, DIM))[1].backward()
    assert (qinco.codebooks.grad.flatten(1).norm(dim=1) > 0).all()
    assert QINCo(**qinco.config()).released


def test_errors_are_of_valid_samples_and_padding_teaches_nothing():
    # errors 1 on 2 valid samples of one ECG and 3 on 4 of the other: (2 + 12) / 6
    errors = torch.zeros(2, 12, 4)
    errors[0, :, :2], errors[0, :, 2:], errors[1] = 1.0, 100.0, 3.0
    assert mean_valid(errors, torch.tensor([2, 4])).item() == pytest.approx(14 / 6)
    # with twice the squared error beside it: (2 * (1 + 2) + 4 * (3 + 18)) / 6
    error = train.signal_error(errors, torch.zeros_like(errors), torch.tensor([2, 4]), 2.0)
    assert error.item() == pytest.approx(15)
    # two recordings of 100 of 200 samples, hops of 16: seven positions each teach, six do not
    torch.manual_seed(0)
    tokenizer = latent(ResidualVQ(12, CODEBOOKS, CODEWORDS))
    tokenizer.quantiser.codebooks.data = noise(CODEBOOKS, CODEWORDS, 12)
    x, n_valid = noise(2, 12, SHORT), torch.full((2,), 100)
    x[..., 100:] = 0
    loss = train.latent_loss(tokenizer, x, n_valid, 0.25)
    codes, y = tokenizer.encode(x), tokenizer.decode(tokenizer.encode(x))
    z = tokenizer.latents(x)[:, :7].flatten(0, 1)
    sums = tokenizer.quantiser.partial_sums(codes[:, :7].flatten(0, 1))
    terms = (sums - z).square().mean()
    torch.testing.assert_close(loss, (x - y)[..., :100].abs().mean() + 1.25 * terms)


@pytest.fixture(scope="module")
def cohort(tmp_path_factory) -> Path:
    """Forty ECGs of random sines, every fifth of them 4 s long."""
    rng, t = np.random.default_rng(0), np.arange(SAMPLES) / 250
    ecgs = []
    for i in range(40):
        signal = np.sin(2 * np.pi * (rng.uniform(1, 5, (12, 1)) * t + rng.random((12, 1))))
        ecgs.append((signal, SAMPLES if i % 5 else 1000))
    return unlabelled_cohort(tmp_path_factory.mktemp("cohort"), ecgs)


@pytest.fixture(scope="module")
def joint(cohort, tmp_path_factory) -> dict[str, Path]:
    """Joint trainings with VQ and with RVQ."""
    folders = {}
    for method in ("vq", "rvq"):
        folders[method] = tmp_path_factory.mktemp(method)
        config = JOINT | {"method": method, "quantiser": SIZES[method]}
        train.train_jointly(folders[method], {"cohort": cohort}, config, 0, MACHINE)
    return folders


def test_the_joint_training_lowers_the_loss_and_refuses_unknown_names(joint, tmp_path):
    loss = pd.read_csv(joint["rvq"] / "history.csv")["loss"]
    assert len(loss) == JOINT["steps"] and loss[15:].mean() < loss[:5].mean()
    for key, value in (("method", "qinc"), ("init", "zeros")):
        config = JOINT | {"method": "vq", "quantiser": SIZES["vq"], key: value}
        valid = "vq, rvq|kmeans, uniform"
        with pytest.raises(ValueError, match=f"{key} out of ({valid}).*, got '{value}'"):
            train.train_jointly(tmp_path, {}, config, 0, MACHINE)


ONCE = {"steps": 1, "batch": 99, "learning_rate": 0.0}
LEADWISE = {"model": {"channels": 4, "strides": [8, 8], "widths": [8, 8]}}
WEIGHTS = {"commitment": 0.5, "squared_weight": 2.0, "method": "rvq", "quantiser": SIZES["rvq"]}


@pytest.mark.parametrize(
    ("step", "config", "loss"),
    [
        (
            train.train_jointly,
            JOINT | WEIGHTS,
            lambda of, x, n: train.latent_loss(of, x, n, 0.5, squared_weight=2.0),
        ),
        (train.train_leadwise, LEADWISE, lambda of, x, n: mean_valid((x - of(x)[0]).square(), n)),
    ],
    ids=["jointly", "leadwise"],
)
def test_an_update_has_the_loss_of_the_valid_samples_with_the_weights_of_the_config(
    step, config, loss, cohort, tmp_path
):
    """Of all training ECGs at rate 0, by the saved tokenizer. With padding or with other weights
    it would be another tokenizer than the page names."""
    step(tmp_path, {"cohort": cohort}, config | ONCE, 0, MACHINE)
    data, tokenizer = Cohort.open(cohort), load(tmp_path)
    rows = data.rows("tokenizer_train")
    x, n = torch.tensor(data.signals(rows)), torch.tensor(data.records["n_valid"].to_numpy()[rows])
    with torch.no_grad():
        expected = loss(tokenizer, x, n).item()
    written = pd.read_csv(tmp_path / "history.csv")["loss"]
    assert written.tolist() == pytest.approx([expected], rel=1e-5)


def test_the_quantiser_can_come_later_and_train_as_released(cohort, tmp_path):
    """Four updates of the autoencoder alone have the reconstruction as their loss."""
    config = JOINT | {"method": "rvq", "quantiser": SIZES["rvq"], "released": True, "steps": 6}
    config |= {"unquantised_steps": 4, "revive_every": 1}
    train.train_jointly(tmp_path / "late", {"cohort": cohort}, config, 0, MACHINE)
    loss = pd.read_csv(tmp_path / "late" / "history.csv")["loss"]
    assert len(loss) == 6 and loss[4:].min() > loss[1:4].max()  # the quantiser's terms are added
    quantiser = load(tmp_path / "late").quantiser
    assert quantiser.released and quantiser.codebooks.std() > 0 and (quantiser.uses != 1).any()
    assert (quantiser.idle <= 2).all()
    never = config | {"unquantised_steps": 6}
    folders = {"cohort": cohort}
    refused("fewer steps without", train.train_jointly, tmp_path, folders, never, 0, MACHINE)


def test_no_vectors_have_no_codes():
    """A batch may have none, for instance where all of its positions are padding."""
    networks = {"width": 6, "hidden": 8, "blocks": 1, "candidates": 4}
    for quantiser in (VQ(DIM, 8), ResidualVQ(DIM, 3, 8), QINCo(DIM, 3, 8, **networks)):
        codes = quantiser.encode(torch.zeros(0, DIM))
        assert codes.shape == (0, quantiser.codes_per_vector)
