"""What the studies of rates and codebook use add: watched trainings, errors of waves."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from tokenizer_toys import latent, noise, unlabelled_cohort

from ecglib.cohorts.store import Cohort
from ecglib.fidelity import round_trip, wave_error
from ecglib.signals.leads import SAMPLES
from ecglib.tokenizers import train, watch
from ecglib.tokenizers.load import load
from ecglib.tokenizers.rvq import ResidualVQ
from ecglib.training.device import Machine

MACHINE = Machine("cpu", "float32", 1, "a test")
SHAPE = {"kind": "strided", "widths": [8, 12], "strides": [8, 8]}
LOSS = {"commitment": 0.25, "learning_rate": 5e-3, "batch": 4}


@pytest.fixture(scope="module")
def cohort(tmp_path_factory) -> Path:
    """Forty ECGs with a spike per second, each as high as a tenth of its number."""
    spike = np.exp(-0.5 * ((np.arange(SAMPLES) % 250 - 125) / 5) ** 2)
    sizes = np.linspace(0.5, 1.5, 12)[:, None]
    ecgs = [((0.5 + i / 40) * spike * sizes, SAMPLES) for i in range(40)]
    return unlabelled_cohort(tmp_path_factory.mktemp("cohort"), ecgs)


def test_use_of_the_codebooks_by_hand():
    """The second ECG has three positions with signal, of thirteen; the others are no codes."""
    tokenizer, x = latent(ResidualVQ(12, 3, 8)), noise(3, 12, 200)
    n_valid = torch.tensor([200, 40, 200])
    use = watch.use_and_error(tokenizer, x, n_valid)
    inside = tokenizer.encode(x, n_valid)[tokenizer.valid(n_valid)]
    shares = np.stack([np.bincount(codes, minlength=8) / 29 for codes in inside.T.numpy()])
    perplexity = [np.prod([p**-p for p in share if p]) for share in shares]
    assert use["perplexity_share"] == pytest.approx(min(perplexity) / 8)
    assert use["used_percent"] == pytest.approx(100 * (shares > 0).mean())


@pytest.mark.parametrize(("method", "released"), [("vq", True), ("qinco", False)])
def test_a_watched_training_notes_use_and_error(method, released, cohort, tmp_path):
    sizes = {
        "vq": {},
        "qinco": {"codebooks": 2, "width": 4, "hidden": 4, "blocks": 1, "candidates": 2},
    }
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
    """One is 0.1 mV too high everywhere. Of the others one is 0.1 mV too high 20 ms before the QRS
    and 0.3 mV 60 to 80 ms after the J point, one rises within 60 ms of R, and all is wrong beside.
    """
    data = Cohort.open(cohort)
    rows = data.rows("train")[:2]
    n_valid, recorded = np.full(2, SAMPLES), round_trip.originals(data, rows)
    marks = wave_error.landmarks(recorded, n_valid)
    mark = marks[0]
    assert np.allclose(mark.peaks % 250, 125, atol=8) and mark.onset < 0 < mark.j_point
    high = wave_error.wave_errors(recorded, lambda p: recorded(p) + 0.1, n_valid, marks)
    assert np.allclose(high["qrs_mv"], 0.1, atol=1e-6)
    assert np.allclose(high["st_mv"], 0.0, atol=1e-6), "an offset moves no level over the baseline"
    late, steep = np.full((2, 1, 12, SAMPLES), 9.0, np.float32)
    ramp = np.linspace(0, 0.3, 31)
    for peak in mark.peaks:
        late[..., peak + mark.onset - 5 : peak + mark.onset] = 0.1
        late[..., peak + mark.j_point + 15 : peak + mark.j_point + 21] = 0.3
        steep[..., peak - 15 : peak + 16] = ramp
    late[:, 6:] *= -1  # what sinks in six leads does not make up for what rises in six
    moved, bent = (
        wave_error.wave_errors(recorded, lambda p, e=e: recorded(p) + e, n_valid, [None, mark])
        for e in (late, steep)
    )
    assert moved["st_mv"][1] == pytest.approx(0.2, abs=1e-5)
    assert bent["qrs_mv"][1] == pytest.approx(np.sqrt(np.square(ramp).mean()))
    assert math.isnan(moved["qrs_mv"][0]) and math.isnan(moved["st_mv"][0])
