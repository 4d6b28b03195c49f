"""Byte-pair encoding: against a naive recount, by hand, against a library, and as released."""

import pickle
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from builds import missing, refused
from tokenizers.models import BPE

from ecglib.tokenizers import bpe_merges
from ecglib.tokenizers.amplitude_bins import LETTERS, AmplitudeBins, fit_bins
from ecglib.tokenizers.bpe import BPETokenizer, expansions, join
from ecglib.tokenizers.bpe_longest_match import LongestMatchEncoder, flatten_symbols
from ecglib.tokenizers.bpe_merges import BARRIER, apply_merges, learn_merges
from ecglib.tokenizers.bpe_released import read_released, released_ids

sys.path.append(str(Path(__file__).parent / "benchmarks"))
import _released_bpe

BINS = AmplitudeBins(-1.3, 1.3)
SAMPLES = 200


def recount(letters: list[int], alphabet: int, merges: int, overlapping: bool):
    """The naive trainer: count all pairs, merge the commonest from the left, start again."""
    learned = []
    while len(learned) < merges:
        times, place = Counter(), 0
        while place < len(letters) - 1:
            pair = tuple(letters[place : place + 2])
            times[pair] += BARRIER not in pair
            run = pair[0] == pair[1] and letters[place + 1 : place + 3] == list(pair)
            place += 2 if run and not overlapping else 1
        best = min(times, key=lambda pair: (-times[pair], pair), default=None)
        if best is None or times[best] < 2:
            break
        whole, place, letters = letters, 0, []
        while place < len(whole):
            is_pair = tuple(whole[place : place + 2]) == best
            letters.append(alphabet + len(learned) if is_pair else whole[place])
            place += 2 if is_pair else 1
        learned.append(best)
    return learned, letters


def corpus(seed: int) -> list[np.ndarray]:
    """Three short sequences, of few letters and long runs for some seeds."""
    rng = np.random.default_rng(seed)
    letters = int(rng.integers(1, 6))
    return [rng.integers(0, letters, 50).repeat(rng.integers(1, 5, 50)) for _ in range(3)]


def beats(n: int, seed: int = 0) -> torch.Tensor:
    """Smooth signals (n, 12, 200) in mV."""
    rng = np.random.default_rng(seed)
    phase = rng.uniform(0, 6, (n, 12, 1)) + np.linspace(0, 20, SAMPLES) * rng.uniform(0.5, 2)
    x = np.sin(phase) ** 3 + 0.02 * rng.normal(size=(n, 12, SAMPLES))
    return torch.from_numpy(x.astype(np.float32))


@pytest.fixture(scope="module", params=[False, True], ids=["corrected", "released"])
def tokenizer(request) -> BPETokenizer:
    return BPETokenizer.fit(BINS, list(beats(6).numpy()), 60, request.param, SAMPLES)


@pytest.mark.parametrize("overlapping", [False, True])
@pytest.mark.parametrize("barriers", [True, False])
@pytest.mark.parametrize("seed", range(25))
def test_training_and_encoding_agree_with_a_full_recount(seed, barriers, overlapping):
    letters = join(corpus(seed), barriers)
    merges = learn_merges(letters, 6, 30, overlapping)
    expected, left = recount(letters.tolist(), 6, 30, overlapping)
    assert [tuple(pair) for pair in merges.tolist()] == expected
    assert apply_merges(letters, merges, 6).tolist() == left


def test_long_texts_have_64_bit_positions_and_the_same_merges(monkeypatch):
    letters = join(corpus(3))
    merges = learn_merges(letters, 6, 30)
    monkeypatch.setattr(bpe_merges, "LONG", 0)
    assert learn_merges(letters, 6, 30).tolist() == merges.tolist()


def test_overlaps_and_borders_change_what_is_learned():
    """By hand. An example without either is worked out in notebook 02."""
    threes = [[0, 0, 0], [0, 0, 0], [1, 2], [1, 2], [1, 2]]  # aa twice, overlapping four times
    borders = [[0, 1], [2, 0], [1, 2]]  # ab and bc once each, and again across the borders

    def first(parts: list[list[int]], barriers: bool, overlapping: bool) -> list:
        return learn_merges(join(list(map(np.array, parts)), barriers), 3, 1, overlapping).tolist()

    assert (first(threes, True, False), first(threes, True, True)) == ([[1, 2]], [[0, 0]])
    assert (first(borders, True, False), first(borders, False, False)) == ([], [[0, 1]])


@pytest.mark.parametrize("seed", range(5))
def test_encoding_agrees_with_the_tokenizers_library_and_the_longest_match_with_a_search(seed):
    """The same merges in the library's model, which sees one sequence at a time."""
    sequences = corpus(seed)
    merges = learn_merges(join(sequences), 6, 40)
    letters = expansions(merges, 6)
    texts = ["".join("abcdef"[letter] for letter in symbol) for symbol in letters]
    assert len(set(texts)) == len(texts)
    pairs = [(texts[a], texts[b]) for a, b in merges.tolist()]
    library = BPE(vocab={text: i for i, text in enumerate(texts)}, merges=pairs)
    for sequence in sequences:
        theirs = [token.id for token in library.tokenize("".join("abcdef"[k] for k in sequence))]
        assert apply_merges(join([sequence]), merges, 6).tolist() == theirs
    # and the longest match agrees with a search
    sequence = np.concatenate(corpus(seed)).astype(np.uint8)
    symbols = expansions(learn_merges(join([sequence]), LETTERS, 30, overlapping=True), LETTERS)
    spelled = {bytes(symbol): i for i, symbol in enumerate(symbols)}  # the later of two equals
    expected, place, text = [], 0, bytes(sequence)
    while place < len(text):
        end = max(e for e in range(place + 1, len(text) + 1) if text[place:e] in spelled)
        expected.append(spelled[text[place:end]])
        place = end
    assert LongestMatchEncoder(symbols)(sequence).tolist() == expected
    with pytest.raises(ValueError, match="none of its symbols at letter 2"):
        LongestMatchEncoder([np.array([0, 1], np.uint8)])(np.array([0, 1, 1], np.uint8))


def test_letters_by_hand():
    """26 bins of 0.1 mV from -1.3: -1.3 is a, 0 begins n, 1.299 is z; the centre misses by 0.05."""
    x = np.array([-9.0, -1.3, -1.19, 0.0001, 1.299, 9.0])
    letters = BINS.encode(x)
    assert letters.tolist() == [0, 0, 1, 13, 25, 25]
    assert BINS.decode(letters)[1:5] == pytest.approx([-1.25, -1.15, 0.05, 1.25], abs=1e-6)
    released = AmplitudeBins(-1.3, 1.3, "released")
    assert released.decode(letters)[[1, 3, 4]] == pytest.approx([-1.3, 0.052, 1.3], abs=1e-6)
    fitted = fit_bins(np.linspace(-1, 1, 201))
    assert (fitted.low, fitted.high) == pytest.approx((-1.48, 1.48))
    refused("expected low < high", AmplitudeBins, 1.0, 1.0)
    refused("inverse out of centre, released, got 'floor'", AmplitudeBins, 0.0, 1.0, "floor")


def test_decoding_misses_by_half_a_bin_and_rates_count_the_mean(tokenizer):
    x = beats(3, seed=5)
    codes = tokenizer.encode(x)
    assert codes.shape[1] < 12 * SAMPLES  # it compresses
    assert (tokenizer.decode(codes) - x.clamp(BINS.low, BINS.high)).abs().max() <= 0.05 + 1e-5
    assert [int(width.sum()) for width in tokenizer.widths(codes)] == [12 * SAMPLES] * 3
    rate = tokenizer.rate()
    assert rate.vocabulary_size == 26 + 60 > codes.max()
    expected = tokenizer.mean_tokens * np.log2(86) + np.log2(12 * SAMPLES)
    assert rate.bits_per_ecg == pytest.approx(expected)
    refused("fill 12 leads", tokenizer.decode, torch.tensor([[[3]]]))
    # short recordings are filled with zeros, and embedded by lead
    x, n_valid = beats(2, seed=8), torch.tensor([80, SAMPLES])
    codes = tokenizer.encode(x, n_valid)
    y = tokenizer.decode(codes)
    assert (y[0, :, 80:] == 0).all() and (y[0, :, :80] - x[0, :, :80]).abs().max() < 0.06
    vectors, lengths = tokenizer.describe(codes, n_valid)
    assert lengths.tolist() == (codes[..., 0] >= 0).sum(1).tolist()
    assert vectors.shape == (*codes.shape[:2], 17)
    leads = vectors[..., 5:].sum(1)  # tokens by lead
    assert (leads >= 1).all() and leads.sum(1).tolist() == lengths.tolist()


def test_merges_and_ids_are_those_of_the_released_code():
    """Its plain form in the benchmarks, which compare 3,500 merges of 25 and ids of 50 ECGs."""
    letters = [ecg.ravel() for ecg in BINS.encode(beats(6).numpy())]
    whole = join(letters[:4], barriers=False)
    merges = learn_merges(whole, LETTERS, 150, overlapping=True)
    assert np.array_equal(merges, _released_bpe.train(whole, LETTERS, 150)) and len(merges) == 150
    symbols = expansions(merges, LETTERS)
    flat, ends = flatten_symbols(symbols)
    ours = LongestMatchEncoder(symbols)
    for ecg in letters[4:]:
        assert np.array_equal(ours(ecg), _released_bpe.encode(ecg, flat, ends))


def test_a_released_file_encodes_and_decodes(tmp_path):
    words = [b"mm", b"nn", b"mmnn", b"mmm"]
    vocabulary = {i: chr(i) for i in range(256)}
    vocabulary |= {256 + i: word.decode() for i, word in enumerate(words)}
    merges = [(list(word), 256 + i) for i, word in enumerate(words)]
    (tmp_path / "tokenizer.pkl").write_bytes(pickle.dumps((vocabulary, merges)))
    symbols = read_released(tmp_path / "tokenizer.pkl")
    assert [bytes(symbol + 97) for symbol in symbols[26:]] == words
    tokens = LongestMatchEncoder(symbols)(np.frombuffer(b"mmmnnmmnna", np.uint8) - 97)
    assert released_ids(tokens).tolist() == [259, 257, 258, ord("a")]
    tokenizer = BPETokenizer(BINS, symbols, released=True, samples=SAMPLES)
    written = torch.from_numpy(BINS.decode(BINS.encode(beats(2).numpy())))
    assert torch.equal(tokenizer.decode(tokenizer.encode(beats(2))), written)
    refused("expected merges, got symbols alone", BPETokenizer, BINS, symbols)


class Harmful:
    """A pickle that would write a file when it is loaded."""

    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return (open, (str(self.target), "w"))


def test_files_that_are_missing_cut_harmful_or_others_are_refused(tmp_path):
    path, word = tmp_path / "tokenizer.pkl", [([97, 98], 256)]
    missing("give a tokenizer file of ECG-Byte", read_released, path)
    whole = pickle.dumps(({256: "ab"}, word))
    bad = [(whole[:cut], "expected a released tokenizer") for cut in range(len(whole))]
    for content in (7, ({}, {}), ([], []), ({}, [3]), ({}, word), ({256: "a"}, [("a", 1)])):
        bad.append((pickle.dumps(content), r"\(vocab, merges\)|expected id 256"))
    bad.append((pickle.dumps(({256: "A"}, [([65], 256)])), "letters from a to z in merge 0"))
    harmful = pickle.dumps(({}, Harmful(tmp_path / "written")))
    bad.append((harmful, r"tokenizer\.pkl: expected a released tokenizer .*\(it names"))
    for content, message in bad:
        path.write_bytes(content)
        refused(message, read_released, path)
    assert not (tmp_path / "written").exists()
