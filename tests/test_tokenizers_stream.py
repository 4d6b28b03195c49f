"""Streams: the codes of a signal in pieces, and the windows of a heart whose rhythm changes."""

import numpy as np
import pandas as pd
import pytest
import torch
from builds import refused
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizer_toys import LEARNED, latent, make, noise

from ecglib.cohorts import changing_rhythm
from ecglib.cohorts.store import Cohort
from ecglib.tokenizers import stream, stream_windows
from ecglib.tokenizers.leadwise import LeadwiseTokenizer
from ecglib.training.device import Machine

MACHINE = Machine("cpu", "float32", 1, "test")
CONVOLUTIONAL = ("vq", "rvq", "qinco", "strided", "pca_rvq", "fsq", "fsq_pca")


def fed(coder: stream.CodeStream, signal: torch.Tensor, lengths: list[int]) -> torch.Tensor:
    """All codes of a signal that arrives in pieces of these lengths, again and again."""
    codes, start, number = [], 0, 0
    while start < signal.shape[1]:
        piece = lengths[number % len(lengths)]
        codes.append(coder.feed(signal[:, start : start + piece]))
        start, number = start + piece, number + 1
    return torch.cat([*codes, coder.close()])


@pytest.mark.parametrize("method", CONVOLUTIONAL)
@given(
    samples=st.integers(1, 600),
    lengths=st.lists(st.integers(5, 300), min_size=1, max_size=4),
    block=st.integers(1, 12),
)
@settings(max_examples=10)
def test_pieces_of_any_length_have_the_codes_of_the_whole(method, samples, lengths, block):
    tokenizer = make(method).double()  # so that no rounding decides between two codewords
    signal = noise(12, samples, seed=samples).double()
    whole = stream.of_length(tokenizer, samples).encode(signal[None])[0]
    assert torch.equal(fed(stream.CodeStream(tokenizer, block), signal, lengths), whole)


def test_reach_is_what_the_layers_say():
    assert stream.reach(make("pca_rvq")) == 0  # a window alone
    assert stream.reach(make("rvq")) == 3  # kernels of 5 and 3
    assert make("rvq").autoencoder.samples == 200  # the tokenizer itself keeps its length
    coder = stream.CodeStream(make("rvq"))
    assert (coder.hop, coder.look_ahead, coder.delay) == (16, 48, 160)


def test_what_is_kept_does_not_grow():
    coder = stream.CodeStream(make("fsq"), block=4)
    most = (2 * coder.reach + coder.block) * coder.hop
    for number in range(60):
        coder.feed(noise(12, 100, seed=number))
        assert coder._kept.shape[1] <= most
        assert coder._kept.untyped_storage().nbytes() <= 12 * 4 * (most + 100)


def test_what_cannot_be_a_stream_is_refused():
    refused("expected VQ, RVQ, QINCo or FSQ", stream.CodeStream, make("bpe"))
    channels = latent(LEARNED["rvq"](13), "channel")
    refused("expected VQ, RVQ, QINCo or FSQ", stream.CodeStream, channels)
    coder = stream.CodeStream(make("fsq"))
    refused("arrange the leads by name", coder.feed, torch.zeros(11, 50))
    refused("clean the ECG first", coder.feed, torch.full((12, 50), torch.nan))
    refused("expected a signal of torch.float32", coder.feed, torch.zeros(12, 50).double())
    refused("at least one position, got 0", stream.CodeStream, make("fsq"), 0)
    assert coder.close().shape == (0, 1)  # nothing arrived
    refused("the stream was closed", coder.feed, torch.zeros(12, 50))


def test_windows_of_a_changing_rhythm_have_the_codes_of_their_stream(tmp_path):
    folders = {name: tmp_path / name for name in ("cohort", "tokenizer", "codes")}
    for folder in folders.values():
        folder.mkdir()
    config = {"conditions": ["ventricular tachycardia", "atrial flutter"], "streams": 2}
    config |= {"parts": [1, 1, 1], "step": 256}
    changing_rhythm.simulate_streams(folders["cohort"], {}, config, 0, MACHINE)
    cohort = Cohort.open(folders["cohort"])
    windows = pd.read_parquet(folders["cohort"] / "windows.parquet")
    streams = np.load(folders["cohort"] / "streams.npy")
    assert streams.shape == (4, 12, 7480)  # three times ten seconds, less two cross-fades
    assert len(cohort) == len(windows) == 4 * (1 + (7480 - 2500) // 256)
    assert windows[["from", "to"]].drop_duplicates().to_numpy().tolist() == [[2490, 4980]]
    assert cohort.records["unit"].nunique() == 2  # the same persons for both conditions
    one = windows.iloc[30]
    piece = streams[one["stream"], :, one["start"] : one["end"]]
    np.testing.assert_allclose(cohort.signals([30])[0], piece, atol=6e-4)
    torch.manual_seed(0)
    tokenizer = LeadwiseTokenizer(8, [4, 4], [32, 16])
    tokenizer.save(folders["tokenizer"])
    stream_windows.encode_windows(folders["codes"], folders, {"piece": 90}, 0, MACHINE)
    codes = np.load(folders["codes"] / "codes.npy")
    assert codes.shape == (len(windows), 157, 1)
    agreement = pd.read_csv(folders["codes"] / "agreement.csv")
    assert (agreement["equal_whole"] == agreement["codes"]).all()
    within = agreement["equal_alone"] / agreement["codes_in_windows"]
    assert ((within > 0.9) & (within < 1)).all()  # but for the ends of the windows
    later = windows[windows["start"] == 256].index[0]
    first = windows[windows["stream"] == windows.loc[later, "stream"]].index[0]
    np.testing.assert_array_equal(codes[first][16:], codes[later][:-16])
    odd = config | {"step": 250}
    refused("multiple of 16 samples", _encode_again, tmp_path, odd, folders["tokenizer"])


def _encode_again(place, config, tokenizer):
    (place / "odd").mkdir()
    changing_rhythm.simulate_streams(place / "odd", {}, config, 0, MACHINE)
    inputs = {"cohort": place / "odd", "tokenizer": tokenizer}
    stream_windows.encode_windows(place, inputs, {"piece": 90}, 0, MACHINE)
