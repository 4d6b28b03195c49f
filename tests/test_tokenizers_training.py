"""The losses of the tokenizers, and the two trainings of a latent tokenizer."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from tokenizer_toys import CODEBOOKS, CODEWORDS, LEARNED, latent, make, noise
from tokenizer_toys import SAMPLES as SHORT

from ecglib.cohorts.records import write_cohort
from ecglib.labels.label_set import LABELS
from ecglib.signals.leads import SAMPLES
from ecglib.tokenizers import train
from ecglib.tokenizers.autoencoder import mean_valid
from ecglib.tokenizers.load import load
from ecglib.tokenizers.rvq import ResidualVQ
from ecglib.training.device import Machine

MACHINE = Machine("cpu", "float32", 1, "test")
JOINT = {"autoencoder": {"widths": [8, 16], "strides": [8, 8], "linear": True}, "batch": 8}
JOINT |= {"steps": 20, "learning_rate": 3e-3, "commitment": 0.25, "revive_every": 0}
SIZES = {"vq": {"codewords": 8}, "rvq": {"codebooks": 2, "codewords": 8}}
FROZEN = {"batch": 8, "steps": 3, "commitment": 0.25, "revive_every": 0}
FROZEN |= {"quantiser_rate": 5e-3, "decoder_rate": 1e-3}
FROZEN |= {"networks": {"hidden": 8, "blocks": 1, "candidates": 4}}
ENCODER = ("autoencoder.down.", "autoencoder.linear_down.")


# ---- losses -------------------------------------------------------------------------------------


def test_the_mean_leaves_padding_out():
    """Errors 1 on 2 valid samples of one ECG and 3 on 4 of the other: (2 + 12) / 6."""
    errors = torch.zeros(2, 12, 4)
    errors[0, :, :2], errors[0, :, 2:], errors[1] = 1.0, 100.0, 3.0
    assert mean_valid(errors, torch.tensor([2, 4])).item() == pytest.approx(14 / 6)


@pytest.mark.parametrize("axis", ["time", "channel"])
@pytest.mark.parametrize("method", LEARNED)
def test_every_codebook_receives_a_gradient(method, axis):
    """The released fault of several libraries: only the last codebook, or none, learns."""
    torch.manual_seed(0)
    quantiser = LEARNED[method](12 if axis == "time" else 13)
    tokenizer = latent(quantiser, axis)
    x = noise(4, 12, SHORT)
    train.latent_loss(tokenizer, x, torch.full((4,), SHORT), 0.25).backward()
    assert (quantiser.codebooks.grad.flatten(1).norm(dim=1) > 0).all()
    for name, parameter in tokenizer.named_parameters():
        assert parameter.grad is not None and parameter.grad.norm() > 0, name


@pytest.mark.parametrize("method", LEARNED)
def test_the_papers_literal_loss_reaches_no_codebook(method):
    tokenizer = latent(LEARNED[method](12))
    x, n_valid = noise(4, 12, SHORT), torch.full((4,), SHORT)
    train.latent_loss(tokenizer, x, n_valid, 0.25, literal=True).backward()
    assert all(p.grad is None for p in tokenizer.quantiser.parameters())
    assert all(p.grad.norm() > 0 for p in tokenizer.autoencoder.parameters())


def test_fsq_has_the_reconstruction_error_alone_and_all_of_it_learns():
    tokenizer = make("fsq_latent")
    x, n_valid = noise(3, 12, SHORT), torch.tensor([70, SHORT, SHORT])
    loss = train.latent_loss(tokenizer, x, n_valid, 0.25)
    lost = (x - tokenizer.decode(tokenizer.encode(x))).abs()
    torch.testing.assert_close(loss, mean_valid(lost, n_valid))
    loss.backward()
    for name, parameter in tokenizer.named_parameters():
        assert parameter.grad is not None and parameter.grad.norm() > 0, name


def test_padding_teaches_no_codebook():
    """Two recordings of 100 of 200 samples, hops of 16: seven positions each teach, six do not."""
    torch.manual_seed(0)
    tokenizer = latent(ResidualVQ(12, CODEBOOKS, CODEWORDS))
    tokenizer.quantiser.codebooks.data = noise(CODEBOOKS, CODEWORDS, 12)
    x, n_valid = noise(2, 12, SHORT), torch.full((2,), 100)
    x[..., 100:] = 0
    loss = train.latent_loss(tokenizer, x, n_valid, 0.25)
    codes, y = tokenizer.encode(x), tokenizer.decode(tokenizer.encode(x))
    z = tokenizer.latents(x)[:, :7].flatten(0, 1)
    sums = tokenizer.quantiser.partial_sums(codes[:, :7].flatten(0, 1))
    terms = (sums - z).square().mean((1, 2)).sum()
    torch.testing.assert_close(loss, (x - y)[..., :100].abs().mean() + 1.25 * terms)


# ---- trainings ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cohort(tmp_path_factory) -> Path:
    """Forty ECGs of random sines, every fifth of them 4 s long."""
    rng, folder = np.random.default_rng(0), tmp_path_factory.mktemp("cohort")
    t, records = np.arange(SAMPLES) / 250, []
    for i in range(40):
        signal = np.sin(2 * np.pi * (rng.uniform(1, 5, (12, 1)) * t + rng.random((12, 1))))
        record = {"ecg_id": f"e{i}", "patient_id": f"p{i}", "n_valid": SAMPLES if i % 5 else 1000}
        record |= {"signal": signal.astype(np.float32), "age": 50.0, "sex": "F", "site": "A"}
        records.append(record | {"labels": np.full(len(LABELS), -1, np.int8)})
    write_cohort(folder, records, seed=0)
    return folder


@pytest.fixture(scope="module")
def joint(cohort, tmp_path_factory) -> dict[str, Path]:
    """Joint trainings with VQ and with RVQ."""
    folders = {}
    for method in ("vq", "rvq"):
        folders[method] = tmp_path_factory.mktemp(method)
        config = JOINT | {"method": method, "quantiser": SIZES[method]}
        train.train_jointly(folders[method], {"cohort": cohort}, config, 0, MACHINE)
    return folders


def train_frozen(method: str, joint: Path, cohort: Path, out: Path, **changes: float) -> dict:
    """Weights by name after the training behind the frozen encoder."""
    config = FROZEN | {"method": method} | changes
    train.train_frozen_encoder(out, {"cohort": cohort, "joint": joint}, config, 0, MACHINE)
    return load(out).state_dict()


@pytest.mark.parametrize("method", ["vq", "rvq", "qinco"])
def test_the_encoder_stays_while_quantiser_and_decoder_move(method, joint, cohort, tmp_path):
    folder = joint["vq" if method == "vq" else "rvq"]
    before, after = load(folder).state_dict(), train_frozen(method, folder, cohort, tmp_path)
    for name in before:
        assert torch.equal(before[name], after[name]) == name.startswith(ENCODER), name
    history = pd.read_csv(tmp_path / "history.csv")
    assert history["step"].tolist() == list(range(FROZEN["steps"]))


def test_each_part_has_its_own_rate(joint, cohort, tmp_path):
    """A rate of zero holds a part where it is, the other one moves."""
    before = load(joint["rvq"]).state_dict()
    for rate, part in {"quantiser_rate": "quantiser.", "decoder_rate": "autoencoder."}.items():
        after = train_frozen("rvq", joint["rvq"], cohort, tmp_path / part, **{rate: 0.0})
        for name in before:
            held = name.startswith((*ENCODER, part))
            assert torch.equal(before[name], after[name]) == held, name


def test_qinco_is_initialised_as_the_rvq_with_its_decoder(joint, cohort, tmp_path):
    train_frozen("qinco", joint["rvq"], cohort, tmp_path, steps=0)
    rvq, qinco = load(joint["rvq"]), load(tmp_path)
    x = torch.randn(2, 12, SAMPLES, generator=torch.Generator().manual_seed(1))
    codes = rvq.encode(x)
    assert torch.equal(qinco.encode(x), codes)
    assert torch.equal(qinco.decode(codes), rvq.decode(codes))


def test_a_joint_training_of_another_method_is_named(joint, cohort, tmp_path):
    with pytest.raises(ValueError, match=r"method 'vq' in .* got 'rvq'"):
        train_frozen("vq", joint["rvq"], cohort, tmp_path)


def test_joint_training_lowers_the_loss(joint):
    loss = pd.read_csv(joint["rvq"] / "history.csv")["loss"]
    assert len(loss) == JOINT["steps"] and loss[15:].mean() < 0.9 * loss[:5].mean()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"method": "qinc"}, "method out of vq, rvq, qinco, fsq, got 'qinc'"),
        ({"init": "zeros"}, "init out of kmeans, uniform, got 'zeros'"),
    ],
)
def test_an_unknown_method_or_initialisation_is_named(changes, message, tmp_path):
    config = JOINT | {"method": "vq", "quantiser": SIZES["vq"]} | changes
    with pytest.raises(ValueError, match=message):
        train.train_jointly(tmp_path, {}, config, 0, MACHINE)
