"""The contract that all tokenizers share, and what is saved, encoded and measured with them."""

import json
from itertools import product
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from builds import raises, refused
from safetensors.torch import save
from tokenizer_toys import (
    CODEBOOKS,
    CODEWORDS,
    LEARNED,
    METHODS,
    SAMPLES,
    latent,
    make,
    noise,
    pca_autoencoder,
)

from ecglib.fidelity import round_trip, wave_error
from ecglib.tokenizers import contract, encode
from ecglib.tokenizers.amplitude_bins import LETTERS, AmplitudeBins
from ecglib.tokenizers.autoencoder import Autoencoder
from ecglib.tokenizers.bpe import BPETokenizer
from ecglib.tokenizers.latent import LatentTokenizer
from ecglib.tokenizers.leadwise import SHARING, LeadwiseTokenizer
from ecglib.tokenizers.load import Tokenizer, load
from ecglib.tokenizers.rvq import ResidualVQ
from ecglib.tokenizers.strided_autoencoder import StridedAutoencoder
from ecglib.tokenizers.vq import VQ
from ecglib.training.device import Machine


@pytest.fixture(scope="module", params=METHODS)
def tokenizer(request: pytest.FixtureRequest) -> Tokenizer:
    return make(request.param)


def small_cohort(x: torch.Tensor, n_valid: list[int]) -> SimpleNamespace:
    """The parts of a cohort that reading codes needs."""
    records = pd.DataFrame({"n_valid": n_valid})
    return SimpleNamespace(records=records, signals=lambda rows: x.numpy()[rows])


def test_codes_signals_and_ids_are_those_of_the_contract(tokenizer, tmp_path):
    """And a tokenizer that was saved and loaded gives the same."""
    x = noise(3, 12, SAMPLES)
    codes = tokenizer.encode(x)
    assert codes.dtype == torch.int64 and codes.ndim == 3 and len(codes) == 3
    y = tokenizer.decode(codes)
    assert y.shape == x.shape and y.dtype == torch.float32 and y.isfinite().all()
    ids = tokenizer.to_ids(codes)
    padding = -1 if tokenizer.method == "bpe" else 0
    assert ids.min() >= padding and ids.max() < tokenizer.rate().vocabulary_size
    assert torch.equal(tokenizer.from_ids(ids), codes)
    for wrong in (tokenizer.rate().vocabulary_size, -5):
        refused(r"expected (token ids|codes) of", tokenizer.from_ids, torch.full_like(ids, wrong))
    tokenizer.save(tmp_path)
    again = load(tmp_path)
    assert type(again) is type(tokenizer) and again.rate() == tokenizer.rate()
    assert again.method == tokenizer.method
    assert torch.equal(again.encode(x), codes) and torch.equal(again.decode(codes), y)
    # bad signals and codes are one sentence
    refused(r"expected an ECG of shape \(B, 12, n\), got \(3, 8, 200", tokenizer.encode, x[:, :8])
    with pytest.raises(ValueError, match=r"at most 200 samples .* at 250 Hz\), got 400; resample"):
        tokenizer.encode(noise(1, 12, 2 * SAMPLES))
    x[1, 4, 7] = float("nan")
    refused("expected finite voltages, got 1 that", tokenizer.encode, x)
    for wrong in (9999, -7):
        codes[0, 0, 0] = wrong
        refused(f"codewords, got code {wrong};", tokenizer.decode, codes)


def test_codes_depend_neither_on_the_batch_nor_on_samples_after_the_end(tokenizer):
    x, n_valid = noise(5, 12, SAMPLES), torch.tensor([70, *[SAMPLES] * 4])
    codes = tokenizer.encode(x, n_valid)
    x[0, :, 70:] = 2.0
    for row, together in enumerate(codes):
        alone = tokenizer.encode(x[row : row + 1], n_valid[row : row + 1])[0]
        assert torch.equal(together[: len(alone)], alone) and (together[len(alone) :] == -1).all()
    # rows are encoded as their lengths say; 130 records are two batches, the first with less codes
    x, lengths = noise(5, 12, SAMPLES), [SAMPLES, 40, 60, SAMPLES, 90]
    rows = np.repeat([1, 4, 3], [65, 30, 35])
    expected = tokenizer.encode(x[rows], torch.tensor(lengths)[rows])
    codes = encode.encode_rows(tokenizer, small_cohort(x, lengths), rows)
    assert np.array_equal(codes, expected.numpy())


DAMAGES = {
    "cut": lambda weights, config: weights.write_bytes(weights.read_bytes()[:100]),
    "empty": lambda weights, config: weights.write_bytes(b""),
    "sizes": lambda weights, config: weights.write_bytes(save({"symbols_": torch.zeros(3)})),
    "gone": lambda weights, config: weights.unlink(),
    "bare": lambda weights, config: config.unlink(),
    "text": lambda weights, config: config.write_text("{"),
    "list": lambda weights, config: config.write_text("[]"),
    "keys": lambda weights, config: config.write_text(
        json.dumps({"method": json.loads(config.read_text())["method"]})
    ),
    "method": lambda weights, config: config.write_text('{"method": "bpe2"}'),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_folder_is_one_sentence(tokenizer, damage, tmp_path):
    tokenizer.save(tmp_path)
    DAMAGES[damage](tmp_path / "model.safetensors", tmp_path / "config.json")
    known = "damaged|missing|describe|out of vq, rvq, qinco, pca_rvq, fsq, bpe, got 'bpe2'"
    raises((ValueError, FileNotFoundError), known, load, tmp_path)


@pytest.mark.parametrize("method", [m for m in METHODS if not m.startswith("bpe")])
def test_rates_and_embedding_lengths_by_hand(method):
    """13 positions; 3 codebooks of 8 codewords: 13 * 3 * 3 bits; 1,296 codes: 13 * log2 1296.

    A hop is 16 samples: 1 and 16 samples need one position, 17 need two, 200 need thirteen.
    """
    gridded = make(method)
    rate, codes = gridded.rate(), gridded.encode(noise(4, 12, SAMPLES))
    expected = {"fsq": (1296, 13, 13 * 10.33985), "vq": (8, 13, 39)}
    size, tokens, bits = expected.get(gridded.method, (24, 39, 117))
    assert (rate.vocabulary_size, rate.tokens_per_ecg) == (size, tokens)
    assert rate.bits_per_ecg == pytest.approx(bits, abs=1e-3)
    assert codes.shape == (4, 13, tokens // 13)
    assert gridded.to_ids(codes).shape == (4, tokens)
    vectors, lengths = gridded.features(codes, torch.tensor([1, 16, 17, SAMPLES]))
    assert lengths.tolist() == [1, 1, 2, 13] and vectors.shape[:2] == codes.shape[:2]


def test_tokens_along_channels_as_released(tmp_path):
    """12 channels of 13 positions: 12 vectors of 13 numbers, all of them valid."""
    tokenizer = latent(ResidualVQ(13, CODEBOOKS, CODEWORDS), "channel")
    x = noise(2, 12, SAMPLES)
    codes = tokenizer.encode(x)
    assert codes.shape == (2, 12, CODEBOOKS) and tokenizer.decode(codes).shape == x.shape
    vectors, lengths = tokenizer.features(codes, torch.tensor([1, SAMPLES]))
    assert vectors.shape == (2, 12, 13) and lengths.tolist() == [12, 12]
    assert tokenizer.rate().tokens_per_ecg == 12 * CODEBOOKS
    tokenizer.save(tmp_path)
    assert load(tmp_path).axis == "channel" and torch.equal(load(tmp_path).encode(x), codes)
    with pytest.raises(ValueError, match="vectors of 12 numbers with axis 'time', got one of 13"):
        LatentTokenizer(tokenizer.autoencoder, ResidualVQ(13, CODEBOOKS, CODEWORDS))
    refused("axis out of time, channel, got 'leads'", latent, VQ(12, 4), "leads")
    codes = torch.tensor([[[5, 2], [0, 63]]])
    ids = contract.to_ids(codes, 64)
    assert ids.tolist() == [[5, 66, 0, 127]]
    assert torch.equal(contract.from_ids(ids, 2, 64), codes)
    refused("2 codebooks x 64 codewords", contract.from_ids, torch.tensor([[66, 5]]), 2, 64)


@pytest.mark.parametrize("sharing", SHARING)
def test_lead_encoders_shared_separate_or_joint(sharing, tmp_path):
    """A change of V6 changes the features of lead I only where the encoder sees all leads."""
    torch.manual_seed(0)
    tokenizer = LeadwiseTokenizer(8, [4, 4], [32, 16], samples=SAMPLES, sharing=sharing).eval()
    features = []
    tokenizer.fsq.project.register_forward_pre_hook(lambda _, args: features.append(args[0]))
    x = noise(1, 12, SAMPLES)
    codes = tokenizer.encode(x)
    tokenizer.save(tmp_path)
    assert torch.equal(load(tmp_path).encode(x), codes)
    x[:, 11] += 1.0
    tokenizer.encode(x)
    same = torch.equal(features[0][..., :8], features[1][..., :8])
    assert features[0].shape == (1, 13, 96) and same == (sharing != "joint")
    count = sum(p.numel() for p in tokenizer.encoder.parameters())
    once = sum(p.numel() for p in make("fsq").encoder.parameters())
    assert (count == once, count == 12 * once) == (sharing == "shared", sharing == "twelve")


def last_codeword(method: str, size: int) -> tuple[Tokenizer, torch.Tensor]:
    """A tokenizer of `size` codes, and ECGs of which each code is the last one."""
    if method == "vq":
        tokenizer, x = latent(VQ(12, size)), noise(3, 12, SAMPLES)
        tokenizer.quantiser.codebooks.data[0, :-1] += 1e3  # only the last codeword is near
        return tokenizer, x
    words = [*product(range(LETTERS), repeat=4)][: size - LETTERS]
    symbols = [np.array(word, np.uint8) for word in [*((k,) for k in range(LETTERS)), *words]]
    bins = AmplitudeBins(-3.0, 3.0)
    lead = bins.decode(np.tile(symbols[-1], SAMPLES // 4)).astype(np.float32)
    tokenizer = BPETokenizer(bins, symbols, released=True, mean_tokens=1.0, samples=SAMPLES)
    return tokenizer, torch.from_numpy(np.tile(lead, (3, 12, 1)))


@pytest.mark.parametrize("method", ["vq", "bpe"])
@pytest.mark.parametrize(("codewords", "dtype"), [(2**15, np.int16), (2**15 + 1, np.int32)])
def test_codes_of_a_large_vocabulary_do_not_wrap(method, codewords, dtype, monkeypatch, tmp_path):
    """Code 32,767 is the largest of int16; one codeword more needs int32."""
    tokenizer, x = last_codeword(method, codewords)
    cohort = small_cohort(x, [SAMPLES] * 3)
    monkeypatch.setattr(encode, "load", lambda folder: tokenizer)
    monkeypatch.setattr(encode.Cohort, "open", lambda folder: cohort)
    machine = Machine("cpu", "float32", 1, "a test")
    encode.encode(tmp_path, {"cohort": "", "tokenizer": ""}, {"batch": 2}, 0, machine)
    codes = np.load(tmp_path / "codes.npy")
    assert codes.dtype == dtype and (codes == codewords - 1).all()
    read = encode.read_codes(tmp_path, np.array([2, 0]))
    assert (read == codewords - 1).all() and torch.equal(read, tokenizer.encode(x[[2, 0]]))
    assert torch.equal(tokenizer.from_ids(tokenizer.to_ids(read)), read)
    assert len(tokenizer.features(read, torch.tensor([SAMPLES] * 2))[0]) == 2


def test_hops_are_whole_and_the_latent_error_counts_valid_positions_only():
    """The second ECG has 20 samples, two hops of 16: its other eleven positions do not count."""
    for autoencoder in (StridedAutoencoder([6, 10], [4, 4], SAMPLES), pca_autoencoder()):
        x = noise(2, 12, SAMPLES)  # sample 199 reaches the last of 13 positions
        z = autoencoder.encode(x)
        assert z.shape == (2, 13, autoencoder.dim) and autoencoder.decode(z).shape == x.shape
        x[..., -1] += 1
        assert not torch.equal(autoencoder.encode(x)[:, -1], z[:, -1])
    tokenizer, x = make("rvq"), noise(3, 12, SAMPLES)
    x[1, :, 20:] = 0
    cohort, rows = small_cohort(x, [SAMPLES, 20, SAMPLES]), np.array([1, 2])
    errors = round_trip.latent_error(tokenizer, cohort, rows)
    with torch.no_grad():
        z = tokenizer.latents(x[1:])
        lost = (z - tokenizer.vectors(tokenizer.encode(x[1:]))).square().sum(-1)
    sums = [float(lost[0, :2].sum()), float(lost[1].sum())]
    assert errors["error"].tolist() == pytest.approx(sums)
    energy = [float(part.square().sum()) for part in (z[0, :2], z[1])]
    assert errors["energy"].tolist() == pytest.approx(energy)
    first = round_trip.latent_error(tokenizer, cohort, rows, 1)["error"]
    with torch.no_grad():
        lost = (z - tokenizer.vectors(tokenizer.encode(x[1:]), 1)).square().sum(-1)
    assert first.tolist() == pytest.approx([float(lost[0, :2].sum()), float(lost[1].sum())])


def test_the_change_of_r_is_a_median_over_beats_and_leads():
    """Four beats in twelve leads, R of 1 mV, a tenth of it lost; one lead is too low to count."""
    x = np.zeros((2, 12, 1000), np.float32)
    wave = np.hanning(21)[1:-1].astype(np.float32)  # broader than a pacing spike
    for beat in (150, 350, 550, 750):
        part = slice(beat, beat + len(wave))
        x[0, :11, part], x[0, 11, part] = wave, 0.1 * wave
    y = 0.9 * x
    y[:, 11] = 5.0
    y[0, 0, 900:] = 9.0  # far from any beat
    lengths = np.array([1000, 1000])
    change = wave_error.r_amplitude_change(lambda part: x[part], lambda part: y[part], lengths)
    assert change[0] == pytest.approx(0.1, abs=1e-6) and np.isnan(change[1])


@pytest.mark.parametrize("encoder", ["strided", "pca", *SHARING])
def test_a_late_disturbance_leaves_early_vectors_alone(encoder):
    """1 mV for 0.4 s in the last second moves no vector of the first 7.5 s, at full length."""
    torch.manual_seed(0)
    if encoder in ("strided", "pca"):
        autoencoder = StridedAutoencoder([48, 96, 128], [4, 4, 4])
        if encoder == "pca":
            autoencoder = Autoencoder(32, 16, 8)
            autoencoder.encoder[-1].weight.data.normal_()
        vectors, hop = autoencoder.encode, autoencoder.hop
    else:
        model = LeadwiseTokenizer(8, [4, 2, 2], [32, 16, 16], sharing=encoder)
        vectors, hop = (lambda x: model.fsq.project(model._features(x))), model.hop
    x = noise(2, 12, 2500)
    early, z = slice(0, int(7.5 * 250) // hop), vectors(x)
    x[..., 2300:2400] += 1.0
    disturbed = vectors(x)
    torch.testing.assert_close(disturbed[:, early], z[:, early], atol=1e-6, rtol=0)
    assert not torch.allclose(disturbed, z, atol=1e-2)
    # an ECG that is still being recorded already has its early vectors
    recorded = vectors(x[..., : int(8.6 * 250)])
    torch.testing.assert_close(recorded[:, early], z[:, early], atol=1e-6, rtol=0)


def test_reconstructions_of_all_codes_of_the_first_and_of_none(tokenizer):
    x, rows, part = noise(3, 12, SAMPLES), np.array([1, 2, 0]), slice(1, 3)
    cohort = small_cohort(x, [60, 90, SAMPLES])
    whole = round_trip.reconstructions(tokenizer, cohort, rows)(part)
    codes = tokenizer.encode(x[[2, 0]], torch.tensor([SAMPLES, 60]))
    assert np.array_equal(whole, tokenizer.decode(codes).numpy())
    if tokenizer.method in LEARNED:
        count = tokenizer.quantiser.codes_per_vector
        again = round_trip.reconstructions(tokenizer, cohort, rows, count)(part)
        assert np.allclose(again, whole, atol=1e-6)
        free = round_trip.reconstructions(tokenizer, cohort, rows, 0)(slice(2, 3))
        with torch.no_grad():
            expected = tokenizer.signals(tokenizer.latents(x[:1]))
        assert np.array_equal(free, expected.numpy())
