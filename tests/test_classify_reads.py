"""What a classifier reads: signals, decoded signals, vectors of codes, and stored features."""

import numpy as np
import pandas as pd
import pytest
import torch
from builds import refused
from frozen_cohort import LBBB, MACHINE
from safetensors.torch import load_file

from ecglib.classify import train_classifier
from ecglib.classify.latent_features import write_latents
from ecglib.classify.reads import reader
from ecglib.cohorts.store import Cohort
from ecglib.tokenizers import contract, encode
from ecglib.tokenizers.load import load

ROWS = np.array([0, 5, 7])
RAW = {"network": "raw", "reads": "signals", "widths": [8, 8, 8, 16], "blocks": 1, "dropout": 0.1}
RAW |= {"epochs": 6, "batch": 32, "learning_rate": 2e-2, "min_positives": 5}


@pytest.fixture(scope="module")
def raw(frozen, tmp_path_factory):
    folder = tmp_path_factory.mktemp("raw")
    train_classifier.train(folder, {"cohort": frozen["cohort"]}, RAW, 0, MACHINE)
    return folder


def of_rows(frozen) -> tuple[Cohort, torch.Tensor, torch.Tensor]:
    """The cohort, and signals and valid samples of ROWS."""
    cohort = Cohort.open(frozen["cohort"])
    n_valid = torch.tensor(cohort.records["n_valid"].to_numpy()[ROWS])
    return cohort, torch.from_numpy(cohort.signals(ROWS)), n_valid


@pytest.mark.parametrize("method", ["tokenizer", "bpe"])
def test_every_kind_is_what_its_source_gives(frozen, method):
    cohort, signals, n_valid = of_rows(frozen)
    tokenizer = load(frozen[method])
    folder = frozen["codes" if method == "tokenizer" else "bpe_codes"]
    inputs = frozen | {"tokenizer": frozen[method], "codes": folder}
    codes = encode.read_codes(folder, ROWS)

    def read(kind: str, wanted: np.ndarray = ROWS) -> tuple[torch.Tensor, torch.Tensor]:
        values, lengths = reader(kind, inputs, cohort, ROWS)(wanted)
        assert values.dtype == torch.float32 and lengths.dtype == torch.int64
        return values, lengths

    values, lengths = read("signals")
    assert values.equal(signals) and lengths.equal(n_valid)
    values, lengths = read("decoded")
    expected = contract.mask_padding(tokenizer.decode(codes), n_valid)
    torch.testing.assert_close(values, expected, atol=5.1e-4, rtol=0)  # stored in microvolts
    assert lengths.equal(n_valid) and read("decoded", ROWS[[2, 0]])[0].equal(values[[2, 0]])
    values, lengths = read("vectors")
    wanted = tokenizer.features(codes, n_valid)
    torch.testing.assert_close(values, wanted[0].detach())
    assert lengths.equal(wanted[1]) and read("vectors", ROWS[[1]])[0].equal(values[[1]])
    stored = np.load(frozen["features"] / "features.npy")[ROWS].astype(np.float32)
    assert (read("features")[0].numpy() == stored).all()


@pytest.mark.parametrize("kind", ["decoded", "vectors"])
def test_what_is_too_large_for_the_memory_lies_on_the_disk(frozen, kind, monkeypatch):
    """The file has no name, and the folder looks as before."""
    cohort, files = Cohort.open(frozen["cohort"]), sorted(frozen["codes"].iterdir())
    expected = reader(kind, frozen, cohort, ROWS)(ROWS)
    monkeypatch.setattr(encode, "LARGE", 0)
    for one, other in zip(reader(kind, frozen, cohort, ROWS)(ROWS), expected, strict=True):
        assert one.equal(other)
    assert sorted(frozen["codes"].iterdir()) == files


def test_what_cannot_be_read_is_refused(frozen):
    cohort = Cohort.open(frozen["cohort"])
    refused("expected reads out of", reader, "tokens", frozen, cohort, ROWS)
    refused("got no features", reader, "features", {}, cohort, ROWS)
    refused("got no codes", reader, "decoded", {"tokenizer": frozen["bpe"]}, cohort, ROWS)
    refused("of raw, deep_sl for reads", train_classifier.build, RAW | {"network": "linear"}, 2)
    refused("of efficientnet, linear", train_classifier.build, RAW | {"reads": "vectors"}, 2, 4)


def test_latents_are_features_and_an_untrained_encoder_is_drawn_by_its_seed(frozen, tmp_path):
    cohort, signals, n_valid = of_rows(frozen)
    inputs = {name: frozen[name] for name in ("cohort", "tokenizer")}

    def written(name: str, untrained: bool, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
        out = tmp_path / name
        out.mkdir()
        write_latents(out, inputs, {"untrained": untrained}, seed, MACHINE)
        assert len(np.load(out / "lengths.npy")) == len(cohort)
        return reader("features", {"features": out}, cohort, ROWS)(ROWS)

    values, lengths = written("trained", False, 0)
    with torch.no_grad():
        expected = load(frozen["tokenizer"]).latents(contract.mask_padding(signals, n_valid))
    torch.testing.assert_close(values, expected, atol=2e-3, rtol=2e-3)  # float16
    assert lengths.tolist() == [16, 16, 40]
    drawn = [written(f"drawn_{i}", True, seed)[0] for i, seed in enumerate((0, 0, 1))]
    assert drawn[0].equal(drawn[1]) and not drawn[0].allclose(drawn[2])
    assert not drawn[0].allclose(values) and drawn[0].shape == (3, 40, 16)


@pytest.mark.parametrize("codes", ["", "bpe_codes"])
def test_a_training_goes_on_from_another_one(frozen, raw, tmp_path, codes):
    """Without an update it is the network before; a first update depends on what is read."""
    inputs = {"cohort": frozen["cohort"], "start": raw}
    if codes:
        inputs |= {"tokenizer": frozen["bpe"], "codes": frozen[codes]}
    config = RAW | {"epochs": 1, "learning_rate": 0.0, "reads": "decoded" if codes else "signals"}
    (tmp_path / "same").mkdir()
    train_classifier.train(tmp_path / "same", inputs, config, 0, MACHINE)
    old, new = (load_file(f / "model.safetensors") for f in (raw, tmp_path / "same"))
    weights = [name for name in old if "running" not in name and "num_batches" not in name]
    assert all(old[name].equal(new[name]) for name in weights)
    (tmp_path / "further").mkdir()
    further = config | {"epochs": 4, "learning_rate": 1e-2}
    train_classifier.train(tmp_path / "further", inputs, further, 0, MACHINE)
    curve = pd.read_csv(tmp_path / "further" / "validation.csv")
    assert curve["macro_auc"].iloc[-1] > 0.7  # LBBB lifts all leads by 1 mV, which both show
    other = config | {"widths": [8, 8, 8, 8]}
    refused("of the same labels", train_classifier.train, tmp_path, inputs, other, 0, MACHINE)
    many = config | {"min_positives": 40}  # one label less
    assert LBBB in pd.read_csv(raw / "labels.csv")["label"].tolist()
    refused("of the same labels", train_classifier.train, tmp_path, inputs, many, 0, MACHINE)
