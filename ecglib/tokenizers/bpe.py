"""ECG-Byte: an ECG as letters, lead after lead, and byte-pair encoding of the letters.

Corrected (the default): merges cross neither leads nor records, pairs of one letter do not overlap
when counted, and an ECG is encoded in the order in which the merges were learned. `published` does
what the release does: one string over all leads and records, overlapping counts, and the longest
symbol that fits. A released vocabulary has no merges, only symbols, so it is always `published`.

Nothing here has a gradient: the vocabulary is fixed before any language model is trained.
"""

import json
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from ecglib.tokenizers.amplitude_bins import LETTERS, Letters
from ecglib.tokenizers.bpe_encode import Encoder
from ecglib.tokenizers.bpe_longest_match import LongestMatch, flatten
from ecglib.tokenizers.bpe_runs import BARRIER, expansions, join
from ecglib.tokenizers.bpe_train import learn
from ecglib.tokenizers.contract import LEADS, Rate, check_signals, read_config

PADDING = -1  # behind the last token of an ECG
FEATURES = 17  # of a token: see `BPETokenizer.embed`


class BPETokenizer:
    """Tokens of ECG-Byte: codes (B, T, 1), padded with -1; how many there are depends on the ECG.

    Args:
        letters: the voltage bins.
        symbols: the letters of each symbol, first the 26 single ones.
        merges: int32 (m, 2) in the order in which they were learned; None for a released file.
        published: encode as the release does.
        mean_tokens: tokens of an average training ECG, for `rate`.
        samples: the length n that `decode` returns.
    """

    method = "bpe"

    def __init__(
        self,
        letters: Letters,
        symbols: list[np.ndarray],
        merges: np.ndarray | None = None,
        published: bool = False,
        mean_tokens: float = math.nan,
        samples: int = 2500,
    ):
        if merges is None and not published:
            raise ValueError("symbols without merges can be encoded as published only")
        self.letters, self.symbols, self.merges = letters, symbols, merges
        self.published, self.mean_tokens, self.samples = published, mean_tokens, samples
        self._flat, self._ends = flatten(symbols)
        self._widths = np.diff(self._ends, prepend=0)
        self._encode = LongestMatch(symbols) if published else Encoder(merges, LETTERS)

    @classmethod
    def fit(
        cls,
        letters: Letters,
        ecgs: Sequence[np.ndarray],
        merges: int,
        published: bool = False,
        samples: int = 2500,
    ) -> "BPETokenizer":
        """Learn merges from training ECGs, each (12, n) in mV, n its valid samples."""
        written = [letters.write(ecg) for ecg in ecgs]
        if published:
            corpus = join([ecg.ravel() for ecg in written], barriers=False)
        else:
            corpus = join([lead for ecg in written for lead in ecg])
        learned = learn(corpus, LETTERS, merges, overlapping=published)
        made = cls(letters, expansions(learned, LETTERS), learned, published, samples=samples)
        made.mean_tokens = float(np.mean([len(made._tokens(ecg)) for ecg in written]))
        return made

    def to(self, device: str) -> "BPETokenizer":
        """Itself: byte pairs are made on the CPU, whatever the device."""
        return self

    def encode(self, x: torch.Tensor, n_valid: torch.Tensor | None = None) -> torch.Tensor:
        """(B, 12, n) mV -> codes (B, T, 1) of the valid samples, T that of the longest ECG.

        Raises:
            ValueError: for another number of leads, more samples than `samples`, or voltages that
                are not finite.
        """
        check_signals(x, self.samples)
        ends = [x.shape[2]] * len(x) if n_valid is None else n_valid.tolist()
        signals = x.detach().cpu().numpy()
        found = [
            self._tokens(self.letters.write(signal[:, :end]))
            for signal, end in zip(signals, ends, strict=True)
        ]
        codes = np.full((len(found), max(map(len, found), default=0), 1), PADDING, np.int64)
        for row, tokens in zip(codes, found, strict=True):
            row[: len(tokens), 0] = tokens
        return torch.from_numpy(codes)

    def _tokens(self, written: np.ndarray) -> np.ndarray:
        """Letters (12, n) -> symbols (t,)."""
        if self.published:
            return self._encode(written.ravel())
        tokens = self._encode(join(list(written)))
        return tokens[tokens != BARRIER]

    def decode(self, codes: torch.Tensor) -> torch.Tensor:
        """Codes (B, T, 1) -> (B, 12, n) mV; behind a short recording stand zeros.

        Raises:
            ValueError: for a code outside the vocabulary, or tokens that do not fill twelve leads.
        """
        out = np.zeros((len(codes), LEADS, self.samples), np.float32)
        for signal, tokens in zip(out, self._unpadded(codes), strict=True):
            written = np.concatenate([self.symbols[token] for token in tokens] or [[]])
            if len(written) % LEADS or len(written) > LEADS * self.samples:
                raise ValueError(
                    f"the tokens spell {len(written)} letters, which do not fill {LEADS} leads of "
                    f"at most {self.samples} samples"
                )
            leads = written.reshape(LEADS, -1)
            signal[:, : leads.shape[1]] = self.letters.read(leads)
        return torch.from_numpy(out)

    def _unpadded(self, codes: torch.Tensor) -> list[np.ndarray]:
        rows = codes[..., 0].cpu().numpy()
        outside = rows[(rows < PADDING) | (rows >= len(self.symbols))]
        if len(outside):
            raise ValueError(
                f"code {outside[0]} is outside the codebook of {len(self.symbols)} codewords"
            )
        return [row[row != PADDING] for row in rows]

    def embed(
        self, codes: torch.Tensor, n_valid: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """What each token says of the signal, since none of it is learned.

        Returns:
            vectors (B, T, 17): first, mean and last voltage (mV), log2 of the length in samples,
            the time of its beginning (0 to 1), and its lead as twelve zeros and ones; and the
            number of tokens (B,). A token across two leads counts to the one where it begins.
        """
        rows, shapes = self._unpadded(codes), self._shapes()
        vectors = np.zeros((*codes.shape[:2], FEATURES), np.float32)
        for vector, tokens, end in zip(vectors, rows, n_valid.tolist(), strict=True):
            if not len(tokens):
                continue
            starts = np.concatenate([[0], np.cumsum(self._widths[tokens])[:-1]])
            vector[: len(tokens), :4] = shapes[tokens]
            vector[: len(tokens), 4] = starts % end / self.samples
            vector[np.arange(len(tokens)), 5 + starts // end] = 1.0
        return torch.from_numpy(vectors), torch.tensor([len(tokens) for tokens in rows])

    def _shapes(self) -> np.ndarray:
        """First, mean and last voltage and log2 width of every symbol: (V, 4)."""
        volts = self.letters.read(self._flat).astype(np.float64)
        begins = self._ends - self._widths
        mean = np.add.reduceat(volts, begins) / self._widths
        table = [volts[begins], mean, volts[self._ends - 1], np.log2(self._widths)]
        return np.stack(table, 1).astype(np.float32)

    def widths(self, codes: torch.Tensor) -> list[np.ndarray]:
        """How many samples each token spans, an array an ECG; they sum to 12 n."""
        return [self._widths[tokens] for tokens in self._unpadded(codes)]

    def ids(self, codes: torch.Tensor) -> torch.Tensor:
        """Codes (B, T, 1) -> the integers that a language model sees (B, T); padding stays -1."""
        return codes[..., 0]

    def codes_of(self, ids: torch.Tensor) -> torch.Tensor:
        """Integers (B, T) -> codes (B, T, 1).

        Raises:
            ValueError: for an integer outside the vocabulary.
        """
        self._unpadded(ids[..., None])
        return ids[..., None]

    def rate(self) -> Rate:
        """Vocabulary, and tokens and bits of an average training ECG.

        Each token costs log2 V bits; the side information is the number of tokens, 15 bits.
        """
        bits = self.mean_tokens * math.log2(len(self.symbols)) + math.log2(LEADS * self.samples)
        return Rate(len(self.symbols), round(self.mean_tokens), bits)

    def save(self, folder: Path) -> None:
        """Write safetensors and JSON into `folder`."""
        folder.mkdir(parents=True, exist_ok=True)
        tensors = {"symbols": self._flat, "ends": self._ends}
        if self.merges is not None:
            tensors["merges"] = np.ascontiguousarray(self.merges, np.int32)
        config = {
            "method": self.method,
            "low": self.letters.low,
            "high": self.letters.high,
            "inverse": self.letters.inverse,
            "published": self.published,
            "mean_tokens": self.mean_tokens,
            "samples": self.samples,
        }
        save_file(tensors, folder / "model.safetensors")
        (folder / "config.json").write_text(json.dumps(config, indent=1, sort_keys=True))

    @classmethod
    def open(cls, folder: Path) -> "BPETokenizer":
        """What `save` wrote.

        Raises:
            FileNotFoundError: where the folder holds no saved tokenizer.
            ValueError: where its files are damaged.
        """
        config, path = read_config(folder), folder / "model.safetensors"
        if not path.exists():
            raise FileNotFoundError(f"{path} is missing; give a folder that a training step wrote")
        try:
            tensors = load_file(path)
            symbols = np.split(tensors["symbols"], tensors["ends"][:-1])
            letters = Letters(config["low"], config["high"], config["inverse"])
            options = {key: config[key] for key in ("published", "mean_tokens", "samples")}
        except (SafetensorError, KeyError) as error:
            raise ValueError(f"{folder} is damaged ({error}); fit the tokenizer again") from error
        return cls(letters, symbols, tensors.get("merges"), **options)
