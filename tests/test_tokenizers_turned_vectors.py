"""Quantised latents in the order of time, along whichever axis they were quantised."""

import numpy as np
import pytest
import torch

from ecglib.cohorts.store import Cohort
from ecglib.tokenizers import encode, turned_vectors
from ecglib.tokenizers.autoencoder import Autoencoder
from ecglib.tokenizers.latent import LatentTokenizer
from ecglib.tokenizers.load import load
from ecglib.tokenizers.rvq import ResidualVQ
from ecglib.training.device import Machine

MACHINE = Machine("cpu", "float32", 1, "test")


@pytest.mark.parametrize("axis", ["time", "channel"])
def test_a_reader_sees_what_the_decoder_sees(axis, frozen, tmp_path):
    autoencoder = Autoencoder(hop=100, dim=4, width=0)
    dim = autoencoder.dim if axis == "time" else autoencoder.positions
    torch.manual_seed(0)
    quantiser = ResidualVQ(dim, 2, 8)
    torch.nn.init.normal_(quantiser.codebooks, std=0.3)
    for name in ("tokenizer", "codes", "turned", "means"):
        (tmp_path / name).mkdir()
    LatentTokenizer(autoencoder, quantiser, axis).save(tmp_path / "tokenizer")
    inputs = {"cohort": frozen["cohort"], "tokenizer": tmp_path / "tokenizer"}
    encode.encode(tmp_path / "codes", inputs, {"batch": 16}, 0, MACHINE)
    inputs |= {"codes": tmp_path / "codes"}
    turned_vectors.write(tmp_path / "turned", inputs, {}, 0, MACHINE)
    cohort, tokenizer = Cohort.open(frozen["cohort"]), load(tmp_path / "tokenizer")
    vectors = np.load(tmp_path / "turned" / "features.npy")
    assert vectors.shape == (len(cohort), autoencoder.positions, autoencoder.dim)
    rows = np.array([2, 0])
    decoded = tokenizer.decode(encode.read_codes(tmp_path / "codes", rows))
    seen = autoencoder.decode(torch.from_numpy(vectors[rows].astype(np.float32)))
    torch.testing.assert_close(seen, decoded, atol=5e-3, rtol=5e-3)
    lengths = np.load(tmp_path / "turned" / "lengths.npy")
    hops = np.ceil(cohort.records["n_valid"].to_numpy() / autoencoder.hop)
    np.testing.assert_array_equal(lengths, hops)
    turned_vectors.means(tmp_path / "means", inputs, {}, 0, MACHINE)
    over = {name: np.load(tmp_path / "means" / f"over_{name}.npy") for name in ("time", "channels")}
    for row in rows:
        inside = vectors[row, : lengths[row]].astype(np.float32)  # (positions, channels)
        np.testing.assert_allclose(over["time"][row], inside.mean(0), atol=2e-3)
        np.testing.assert_allclose(over["channels"][row, : len(inside)], inside.mean(1), atol=2e-3)
        assert not over["channels"][row, len(inside) :].any()
