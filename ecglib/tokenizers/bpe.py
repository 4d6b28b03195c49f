"""ECG-Byte: an ECG as letters, lead after lead, and byte-pair encoding of the letters.

The default is a corrected form: merges cross neither leads nor records, pairs of one letter do not
overlap when counted, and an ECG is encoded in the order in which the merges were learned. The mode
`released` does the same as the released code: one string over all leads and records, overlapping
counts, and the longest symbol that fits. Released vocabularies have symbols but no merges, so they
need the mode `released`.

Nothing here has a gradient: the vocabulary is fixed before any language model is trained.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from ecglib.cohorts.store import Cohort
from ecglib.signals.leads import LEADS, SAMPLES
from ecglib.tokenizers.amplitude_bins import LETTERS, AmplitudeBins, fit_bins
from ecglib.tokenizers.bpe_longest_match import LongestMatchEncoder, flatten_symbols
from ecglib.tokenizers.bpe_merges import BARRIER, apply_merges, learn_merges
from ecglib.tokenizers.contract import Features, Rate, check_codes, check_signals, save_model
from ecglib.tokenizers.pair_grid import CELL, PAIR_NUMBERS, pair_grid
from ecglib.training import seeds
from ecglib.training.device import Machine

PADDING = -1  # after the last token of an ECG
NUMBERS = 17  # per token: see `BPETokenizer.describe`


def join(segments: list[np.ndarray], barriers: bool = True) -> np.ndarray:
    """Concatenate integer arrays of letters into int32 (n,), with a barrier between them.

    Without barriers, merges cross from one segment into the next, as in the release."""
    parts = [np.zeros(0, np.int32)]
    for number, segment in enumerate(segments):
        if number and barriers:
            parts.append(np.array([BARRIER], np.int32))
        parts.append(np.asarray(segment).astype(np.int32))
    return np.concatenate(parts)


def expansions(merges: np.ndarray, alphabet: int) -> list[np.ndarray]:
    """The letters of each symbol, uint8."""
    symbols = [np.array([letter], np.uint8) for letter in range(alphabet)]
    for left, right in merges:
        symbols.append(np.concatenate([symbols[left], symbols[right]]))
    return symbols


class BPETokenizer:
    """Tokens of ECG-Byte: codes (B, T, 1), padded with -1, since their number varies by ECG.

    Args:
        bins: the voltage bins.
        symbols: the letters of each symbol, first the 26 single ones.
        merges: int32 (m, 2) in the order in which they were learned; None for a released file.
        released: encode as the released code does.
        mean_tokens: mean number of tokens per training ECG, for `rate`.
        samples: the length n that `decode` returns.

    Raises ValueError: symbols without merges in the corrected mode.
    """

    method = "bpe"

    def __init__(
        self,
        bins: AmplitudeBins,
        symbols: list[np.ndarray],
        merges: np.ndarray | None = None,
        released: bool = False,
        mean_tokens: float = math.nan,
        samples: int = SAMPLES,
    ):
        if merges is None and not released:
            raise ValueError("expected merges, got symbols alone; encode them with released=True")
        self.bins, self.symbols, self.merges = bins, symbols, merges
        self.released, self.mean_tokens, self.samples = released, mean_tokens, samples
        self._flat, self._ends = flatten_symbols(symbols)
        self._widths = np.diff(self._ends, prepend=0)
        self._longest_match = LongestMatchEncoder(symbols) if released else None

    @classmethod
    def fit(
        cls,
        bins: AmplitudeBins,
        ecgs: Sequence[np.ndarray],
        merges: int,
        released: bool = False,
        samples: int = SAMPLES,
    ) -> "BPETokenizer":
        """Learn merges from training ECGs, each (12, n) in mV, n its valid samples."""
        letters = [bins.encode(ecg) for ecg in ecgs]
        if released:
            corpus = join([ecg.ravel() for ecg in letters], barriers=False)
        else:
            corpus = join([lead for ecg in letters for lead in ecg])
        pairs = learn_merges(corpus, LETTERS, merges, overlapping=released)
        tokenizer = cls(bins, expansions(pairs, LETTERS), pairs, released, samples=samples)
        tokenizer.mean_tokens = float(np.mean([len(tokenizer._tokens(ecg)) for ecg in letters]))
        return tokenizer

    def to(self, device: str) -> "BPETokenizer":
        """Itself: byte pairs are encoded on the CPU, whatever the device."""
        return self

    def encode(self, x: torch.Tensor, n_valid: torch.Tensor | None = None) -> torch.Tensor:
        """(B, 12, n) mV -> codes (B, T, 1) of the valid samples, T that of the longest ECG. Raises
        ValueError: another number of leads, more samples than `samples`, or voltages that are not
        finite."""
        check_signals(x, self.samples)
        ends = [x.shape[2]] * len(x) if n_valid is None else n_valid.tolist()
        signals = x.detach().cpu().numpy()
        pairs = zip(signals, ends, strict=True)
        sequences = [self._tokens(self.bins.encode(signal[:, :end])) for signal, end in pairs]
        codes = np.full((len(signals), max(map(len, sequences), default=0), 1), PADDING, np.int64)
        for padded, tokens in zip(codes, sequences, strict=True):
            padded[: len(tokens), 0] = tokens
        return torch.from_numpy(codes)

    def _tokens(self, letters: np.ndarray) -> np.ndarray:
        """Letters (12, n) -> symbols (t,)."""
        if self._longest_match:
            return self._longest_match(letters.ravel())
        tokens = apply_merges(join(list(letters)), self.merges, LETTERS)
        return tokens[tokens != BARRIER]

    def decode(self, codes: torch.Tensor) -> torch.Tensor:
        """Codes (B, T, 1) -> (B, 12, n) mV, with zeros after the end of a short recording. Raises
        ValueError: a code outside the vocabulary, or tokens that do not fill twelve leads."""
        out = np.zeros((len(codes), len(LEADS), self.samples), np.float32)
        for signal, tokens in zip(out, self._unpadded(codes), strict=True):
            letters = np.concatenate([self.symbols[token] for token in tokens] or [[]])
            if len(letters) % len(LEADS) or len(letters) > signal.size:
                raise ValueError(
                    f"expected tokens that fill {len(LEADS)} leads of at most {self.samples} "
                    f"samples, got {len(letters)} letters; decode all tokens of an ECG"
                )
            leads = letters.reshape(len(LEADS), -1)
            signal[:, : leads.shape[1]] = self.bins.decode(leads)
        return torch.from_numpy(out)

    def _unpadded(self, codes: torch.Tensor) -> list[np.ndarray]:
        """Codes (B, T, 1) -> the tokens of each ECG; raises ValueError outside the vocabulary."""
        check_codes(codes, len(self.symbols), lowest=PADDING)
        return [tokens[tokens != PADDING] for tokens in codes[..., 0].cpu().numpy()]

    def describe(self, codes: torch.Tensor, n_valid: torch.Tensor) -> Features:
        """A fixed description of each token's stretch of signal; no embedding is learned.

        Returns vectors (B, T, 17): first, mean and last voltage (mV), log2 of the length in
        samples, the time of the first sample (0 to 1), and the lead as twelve zeros and ones; and
        the number of tokens (B,). A token across two leads counts to the lead of its first sample.
        """
        sequences, shapes = self._unpadded(codes), self._shapes()
        vectors = np.zeros((*codes.shape[:2], NUMBERS), np.float32)
        for vector, tokens, end in zip(vectors, sequences, n_valid.tolist(), strict=True):
            if not len(tokens):
                continue
            starts = np.concatenate([[0], np.cumsum(self._widths[tokens])[:-1]])
            vector[: len(tokens), :4] = shapes[tokens]
            vector[: len(tokens), 4] = starts % end / self.samples
            vector[np.arange(len(tokens)), 5 + starts // end] = 1.0
        return torch.from_numpy(vectors), torch.tensor([len(tokens) for tokens in sequences])

    def features(self, codes: torch.Tensor, n_valid: torch.Tensor) -> Features:
        """What a classifier reads: the tokens of each ECG on a grid of 64 ms, see `pair_grid`.
        Returns vectors (B, ceil(samples / 16), 48) and the positions with signal (B,)."""
        described, counts = self.describe(codes, n_valid)
        shape = (len(codes), -(-self.samples // CELL), len(LEADS) * PAIR_NUMBERS)
        vectors, widths = np.zeros(shape, np.float32), self.widths(codes)
        ends = n_valid.tolist()
        for i, (tokens, count) in enumerate(zip(described.numpy(), counts.tolist(), strict=True)):
            grid = pair_grid(tokens[:count, :4], widths[i], ends[i])
            vectors[i, : len(grid)] = grid
        return torch.from_numpy(vectors), (n_valid + CELL - 1) // CELL

    def _shapes(self) -> np.ndarray:
        """First, mean and last voltage and log2 width of every symbol: (V, 4)."""
        volts = self.bins.decode(self._flat).astype(np.float64)
        starts = self._ends - self._widths
        mean = np.add.reduceat(volts, starts) / self._widths
        table = [volts[starts], mean, volts[self._ends - 1], np.log2(self._widths)]
        return np.stack(table, 1).astype(np.float32)

    def widths(self, codes: torch.Tensor) -> list[np.ndarray]:
        """Number of samples per token, one array per ECG; each array sums to 12 n."""
        return [self._widths[tokens] for tokens in self._unpadded(codes)]

    def to_ids(self, codes: torch.Tensor) -> torch.Tensor:
        """Codes (B, T, 1) -> the integers that a language model sees (B, T); padding stays -1."""
        return codes[..., 0]

    def from_ids(self, ids: torch.Tensor) -> torch.Tensor:
        """Ids (B, T) -> codes (B, T, 1). Raises ValueError: one beyond the vocabulary."""
        check_codes(ids, len(self.symbols), lowest=PADDING)
        return ids[..., None]

    def rate(self) -> Rate:
        """Vocabulary, and mean tokens and bits per training ECG.
        Each token costs log2 V bits; the side information is the number of tokens, 15 bits."""
        bits = self.mean_tokens * math.log2(len(self.symbols))
        bits += math.log2(len(LEADS) * self.samples)
        return Rate(len(self.symbols), round(self.mean_tokens), bits)

    def save(self, folder: Path) -> None:
        """Write safetensors and JSON into `folder`."""
        tensors = {"symbols": self._flat, "ends": self._ends}
        if self.merges is not None:
            tensors["merges"] = np.ascontiguousarray(self.merges, np.int32)
        config = {"method": self.method, **vars(self.bins), "released": self.released}
        config |= {"mean_tokens": self.mean_tokens, "samples": self.samples}
        save_model({name: torch.from_numpy(t) for name, t in tensors.items()}, config, folder)

    @classmethod
    def from_saved(cls, config: dict, tensors: Mapping[str, torch.Tensor]) -> "BPETokenizer":
        """The tokenizer whose `save` wrote these. Raises KeyError: one of them is missing;
        ValueError: the number of samples is none."""
        arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
        symbols = np.split(arrays["symbols"], arrays["ends"][:-1])
        bins = AmplitudeBins(config["low"], config["high"], config["inverse"])
        options = {key: config[key] for key in ("released", "mean_tokens", "samples")}
        if not isinstance(options["samples"], int) or options["samples"] < 1:
            raise ValueError(f"expected samples from 1 on, got {options['samples']!r}")
        return cls(bins, symbols, arrays.get("merges"), **options)


def fit_bpe(out: Path, inputs: dict[str, Path], config: dict, seed: int, machine: Machine) -> None:
    """Step: bins and merges from ECGs of the role tokenizer_train.

    Inputs: cohort (its role tokenizer_train).

    Config:
        ecgs: number of ECGs, drawn by seed, from which the bins and the merges are learned.
        merges: number of merges.
        released: count, join and encode as the released code does.
        inverse: voltage of a letter, `centre` of its bin or as `released`.
    """
    machine.configure_torch()
    cohort = Cohort.open(inputs["cohort"])
    rows = cohort.rows("tokenizer_train")
    drawn = np.random.default_rng(seeds.sub_seed(seed, "bpe")).permutation(rows)
    drawn = np.sort(drawn[: config["ecgs"]])
    n_valid = cohort.records["n_valid"].to_numpy()[drawn]
    ecgs = [x[:, :n] for x, n in zip(cohort.signals(drawn), n_valid, strict=True)]
    bins = fit_bins(np.concatenate([ecg.ravel() for ecg in ecgs]), config["inverse"])
    BPETokenizer.fit(bins, ecgs, config["merges"], config["released"]).save(out)
