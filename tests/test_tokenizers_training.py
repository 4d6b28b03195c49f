"""The two trainings of a latent tokenizer: jointly, and further behind the frozen encoder."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from ecglib.cohorts.records import write_cohort
from ecglib.labels.label_set import LABELS
from ecglib.signals.leads import SAMPLES
from ecglib.tokenizers import train
from ecglib.tokenizers.load import load
from ecglib.training.device import Machine

MACHINE = Machine("cpu", "float32", 1, "test")
JOINT = {"autoencoder": {"widths": [8, 16], "strides": [8, 8], "linear": True}, "batch": 16}
JOINT |= {"steps": 20, "learning_rate": 3e-3, "commitment": 0.25, "revive_every": 0}
SIZES = {"vq": {"codewords": 8}, "rvq": {"codebooks": 2, "codewords": 8}}
FROZEN = {"batch": 16, "steps": 5, "commitment": 0.25, "revive_every": 0}
FROZEN |= {"quantiser_rate": 5e-3, "decoder_rate": 1e-3}
FROZEN |= {"networks": {"hidden": 8, "blocks": 1, "candidates": 4}}
ENCODER = ("autoencoder.down.", "autoencoder.linear_down.")


@pytest.fixture(scope="module")
def cohort(tmp_path_factory) -> Path:
    """Sixty short ECGs of random sines, every fifth of them 4 s long."""
    rng, folder = np.random.default_rng(0), tmp_path_factory.mktemp("cohort")
    t, records = np.arange(SAMPLES) / 250, []
    for i in range(60):
        signal = np.sin(2 * np.pi * (rng.uniform(1, 5, (12, 1)) * t + rng.random((12, 1))))
        record = {"ecg_id": f"e{i}", "patient_id": f"p{i}", "n_valid": SAMPLES if i % 5 else 1000}
        record |= {"signal": signal.astype(np.float32), "age": 50.0, "sex": "F", "site": "A"}
        records.append(record | {"labels": np.full(len(LABELS), -1, np.int8)})
    write_cohort(folder, records, seed=0)
    return folder


@pytest.fixture(scope="module")
def starts(cohort, tmp_path_factory) -> dict[str, Path]:
    """Joint trainings with VQ and with RVQ."""
    folders = {}
    for method in ("vq", "rvq"):
        folders[method] = tmp_path_factory.mktemp(method)
        config = JOINT | {"method": method, "quantiser": SIZES[method]}
        train.train_jointly(folders[method], {"cohort": cohort}, config, 0, MACHINE)
    return folders


def further(method: str, start: Path, cohort: Path, out: Path, **changes: float) -> dict:
    """Weights by name after the further training."""
    config = FROZEN | {"method": method} | changes
    train.train_frozen_encoder(out, {"cohort": cohort, "joint": start}, config, 0, MACHINE)
    return load(out).state_dict()


@pytest.mark.parametrize("method", ["vq", "rvq", "qinco"])
def test_the_encoder_stays_while_quantiser_and_decoder_move(method, starts, cohort, tmp_path):
    start = starts["vq" if method == "vq" else "rvq"]
    before, after = load(start).state_dict(), further(method, start, cohort, tmp_path)
    for name in before:
        assert torch.equal(before[name], after[name]) == name.startswith(ENCODER), name
    history = pd.read_csv(tmp_path / "history.csv")
    assert history["step"].tolist() == list(range(FROZEN["steps"]))


def test_each_part_has_its_own_rate(starts, cohort, tmp_path):
    """A rate of zero holds a part where it is, the other one moves."""
    before = load(starts["rvq"]).state_dict()
    for rate, part in {"quantiser_rate": "quantiser.", "decoder_rate": "autoencoder."}.items():
        after = further("rvq", starts["rvq"], cohort, tmp_path / part, **{rate: 0.0})
        for name in before:
            held = name.startswith((*ENCODER, part))
            assert torch.equal(before[name], after[name]) == held, name


def test_qinco_begins_as_the_rvq_with_its_decoder(starts, cohort, tmp_path):
    further("qinco", starts["rvq"], cohort, tmp_path, steps=0)
    rvq, qinco = load(starts["rvq"]), load(tmp_path)
    x = torch.randn(2, 12, SAMPLES, generator=torch.Generator().manual_seed(1))
    codes = rvq.encode(x)
    assert torch.equal(qinco.encode(x), codes)
    assert torch.equal(qinco.decode(codes), rvq.decode(codes))


def test_a_start_of_another_method_is_named(starts, cohort, tmp_path):
    with pytest.raises(ValueError, match=r"method 'vq' in .* got 'rvq'"):
        further("vq", starts["rvq"], cohort, tmp_path)
