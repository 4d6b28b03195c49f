"""What the studies of rates and codebook use add: other rates, watched trainings, errors of waves,
operations of a step."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from builds import refused
from tokenizer_toys import noise, unlabelled_cohort

from ecglib.cohorts.store import Cohort
from ecglib.fidelity import round_trip, wave_error
from ecglib.signals.leads import SAMPLES
from ecglib.tokenizers import train
from ecglib.tokenizers.change_rate import change_rate
from ecglib.tokenizers.load import load
from ecglib.tokenizers.training_flops import OperationCount, frozen_encoder_step
from ecglib.training.device import Machine

MACHINE = Machine("cpu", "float32", 1, "a test")
SHAPE = {"widths": [8, 12], "strides": [8, 8], "linear": True}
LOSS = {"commitment": 0.25, "learning_rate": 5e-3, "batch": 4}


@pytest.fixture(scope="module")
def cohort(tmp_path_factory) -> Path:
    """Forty ECGs with a spike per second, each as high as a tenth of its number."""
    spike = np.exp(-0.5 * ((np.arange(SAMPLES) % 250 - 125) / 5) ** 2)
    sizes = np.linspace(0.5, 1.5, 12)[:, None]
    ecgs = [((0.5 + i / 40) * spike * sizes, SAMPLES) for i in range(40)]
    return unlabelled_cohort(tmp_path_factory.mktemp("cohort"), ecgs)


@pytest.fixture(scope="module")
def joint(cohort, tmp_path_factory) -> dict[str, Path]:
    """Joint trainings with VQ and with RVQ."""
    folders = {}
    for method, sizes in {"vq": {}, "rvq": {"codebooks": 3}}.items():
        folders[method] = tmp_path_factory.mktemp(method)
        config = LOSS | {"method": method, "quantiser": sizes | {"codewords": 8}, "steps": 2}
        config |= {"autoencoder": SHAPE, "revive_every": 0}
        train.train_jointly(folders[method], {"cohort": cohort}, config, 0, MACHINE)
    return folders


def test_fewer_codebooks_are_the_first_and_new_ones_fit_the_latents(cohort, joint, tmp_path):
    inputs = {"cohort": cohort, "joint": joint["rvq"]}
    change_rate(tmp_path / "two", inputs, {"codebooks": 2, "ecgs": 8}, 0, MACHINE)
    whole, two, x = load(joint["rvq"]), load(tmp_path / "two"), noise(2, 12, SAMPLES)
    assert torch.equal(two.encode(x), whole.encode(x)[..., :2])
    assert torch.equal(two.decode(two.encode(x)), whole.decode(whole.encode(x), codebooks=2))
    refused("at most the 3 codebooks", change_rate, tmp_path, inputs, {"codebooks": 4}, 0, MACHINE)
    # a larger codebook leaves less error, before any further training
    inputs["joint"], data = joint["vq"], Cohort.open(cohort)
    change_rate(tmp_path / "many", inputs, {"codewords": 64, "ecgs": 20}, 0, MACHINE)
    rows = data.rows("validation")
    errors = [
        round_trip.latent_error(load(f), data, rows) for f in (joint["vq"], tmp_path / "many")
    ]
    assert errors[1]["error"].sum() < errors[0]["error"].sum()
    assert load(tmp_path / "many").rate().vocabulary_size == 64


@pytest.mark.parametrize(("method", "released"), [("vq", True), ("qinco", False)])
def test_a_watched_training_notes_use_and_error(method, released, cohort, tmp_path):
    sizes = {"vq": {}, "qinco": {"codebooks": 2, "hidden": 4, "blocks": 1, "candidates": 2}}
    config = LOSS | {"method": method, "quantiser": sizes[method] | {"codewords": 8}, "steps": 5}
    config |= {"autoencoder": SHAPE, "released": released, "init": "uniform", "revive_every": 1}
    config |= {"watch": {"every": 2, "ecgs": 4}, "squared_weight": 5.0}
    train.train_jointly(tmp_path, {"cohort": cohort}, config, 0, MACHINE)
    use = pd.read_csv(tmp_path / "use.csv")
    assert use["step"].tolist() == [0, 2, 4, 5]
    assert use[["pooled_percent", "used_percent"]].stack().between(0, 100).all()
    tokenizer, data = load(tmp_path), Cohort.open(cohort)
    rows = data.rows("validation")[:4]
    x = torch.from_numpy(data.signals(rows))
    codes = tokenizer.encode(x)
    pooled = 100 * len(codes.unique()) / 8  # four ECGs are one batch of the released metric
    assert use["pooled_percent"].iloc[-1] == pytest.approx(pooled)
    error = (tokenizer.decode(codes) - x).abs().mean().item()
    assert use["error"].iloc[-1] == pytest.approx(error, rel=1e-5)


def test_wave_errors_by_hand(cohort):
    """One is 0.1 mV too high everywhere, the other 0.2 mV too low after the J point."""
    data = Cohort.open(cohort)
    rows = data.rows("train")[:2]
    n_valid, recorded = np.full(2, SAMPLES), round_trip.originals(data, rows)
    marks = wave_error.landmarks(recorded, n_valid)
    mark = marks[0]
    assert np.allclose(mark.peaks % 250, 125, atol=8) and mark.onset < 0 < mark.j_point
    high = wave_error.wave_errors(recorded, lambda p: recorded(p) + 0.1, n_valid, marks)
    assert np.allclose(high["qrs_mv"], 0.1, atol=1e-6)
    assert np.allclose(high["st_mv"], 0.0, atol=1e-6), "an offset moves no level over the baseline"
    late = np.zeros((1, 1, SAMPLES), np.float32)
    for peak in mark.peaks:
        late[..., peak + mark.j_point + 10 : peak + mark.j_point + 30] = -0.2
    sunk = wave_error.wave_errors(recorded, lambda p: recorded(p) + late, n_valid, marks)
    assert sunk["st_mv"][0] == pytest.approx(0.2, abs=1e-6)
    lost = wave_error.wave_errors(recorded, lambda p: recorded(p) + late, n_valid, [None, marks[1]])
    assert math.isnan(lost["qrs_mv"][0]) and math.isnan(lost["st_mv"][0])


def test_operations_of_products_and_of_a_step(cohort, joint):
    """(3, 4) times (4, 5), forwards and for both gradients: three times 2 x 3 x 4 x 5."""
    a, b = torch.ones(3, 4, requires_grad=True), torch.ones(4, 5, requires_grad=True)
    with OperationCount() as counter:
        (a @ b).sum().backward()
    assert counter.total == 3 * 120
    data = Cohort.open(cohort)
    few, more = (frozen_encoder_step(load(joint["rvq"]), data, batch) for batch in (4, 8))
    assert more == 2 * few
    assert frozen_encoder_step(load(joint["vq"]), data, 4) < few
