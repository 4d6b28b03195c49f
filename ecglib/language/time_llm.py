"""Time-LLM: patches of a signal as mixtures of word embeddings (Jin et al. 2024).

Each lead is standardised, and patches of all leads become queries. The keys and values of an
attention are *text prototypes*: learned mixtures of all word embeddings of the model. A patch thus
enters as a mixture of mixtures of words ("reprogramming"). In front stands a line of words about
the signal: its range, its trend and its lags. Everything learns together with the model.

Ours: patches hold all leads, since one sequence per lead would have twelve times the positions. The
line describes lead II. Its lags are those of the three highest peaks of the autocorrelation of 0.3
s and more; the release has the five highest values, which are lags of 0 and 1 sample among others.
Patches do not overlap, where the released ones of 16 samples move by 8. Patches and prototypes
are normalised before the attention. The embeddings of a language model are small, so without this
all keys are alike, and all patches enter as nearly the same vector.
"""

from pathlib import Path

import numpy as np
import torch
from scipy.signal import correlate, find_peaks
from torch import nn
from transformers import AutoTokenizer

from ecglib.cohorts.store import Cohort
from ecglib.language import base as base_model
from ecglib.language import signal_patches
from ecglib.language.system import Shapes, draw_prefix, save_prefix
from ecglib.signals.leads import LEADS, RATE
from ecglib.tokenizers.window_pca import windows
from ecglib.training.device import Machine

DROPOUT = 0.1
LAGS = 3  # at most, in the line
SHORTEST = round(0.3 * RATE)  # lag, in samples
EPSILON = 1e-5


class TimeLLMPrefix(nn.Module):
    """(B, 12, n) mV and a line of words -> (B, line + T, d_llm).

    Args:
        hop: samples of a patch.
        hidden: numbers of an embedded patch.
        heads, key: of the attention, and numbers of a key per head.
        prototypes: mixtures of words.
        line: word pieces of the line about the signal, at most.
        words: of the base's vocabulary; width: d_llm.
    """

    kind = "time_llm"

    def __init__(
        self,
        hop: int,
        hidden: int,
        heads: int,
        key: int,
        prototypes: int,
        line: int,
        words: int,
        width: int,
    ):
        super().__init__()
        self.config = {"hop": hop, "hidden": hidden, "heads": heads, "key": key}
        self.config |= {"prototypes": prototypes, "line": line, "words": words, "width": width}
        self.hop, self.heads = hop, heads
        self.front = line  # positions that stand for no part of the ECG
        self.positions = line + signal_patches.positions(hop)
        self.register_buffer("vocabulary", torch.zeros(words, width))
        around = {"kernel_size": 3, "padding": 1, "padding_mode": "circular", "bias": False}
        self.patch = nn.Conv1d(len(LEADS) * hop, hidden, **around)
        self.dropout = nn.Dropout(DROPOUT)
        self.mixtures = nn.Linear(words, prototypes)
        self.patch_norm, self.prototype_norm = nn.LayerNorm(hidden), nn.LayerNorm(width)
        self.query = nn.Linear(hidden, heads * key)
        self.key, self.value = nn.Linear(width, heads * key), nn.Linear(width, heads * key)
        self.into_model = nn.Linear(heads * key, width)

    @classmethod
    def build(cls, config: dict, shapes: Shapes) -> "TimeLLMPrefix":
        """An untrained one; `config` as of `initialise`, with `words` of the base."""
        sizes = {key: config[key] for key in ("hop", "hidden", "heads", "key", "prototypes")}
        return cls(**sizes, line=config["line"], words=config["words"], width=shapes.width)

    def read_ecgs(self, inputs: dict[str, Path], rows: np.ndarray) -> tuple:
        """Signals, valid positions (N,), and the pieces of the line of these records (N, line)."""
        cohort = Cohort.open(inputs["cohort"])
        tokenizer = AutoTokenizer.from_pretrained(inputs["base"])
        signals, lengths = signal_patches.read_signals(cohort, rows, self.hop)
        ends = cohort.records["n_valid"].to_numpy()[rows]
        lines = []
        for index, end in enumerate(ends):
            text = describe(signals[[index]][0, LEADS.index("II"), :end].numpy())
            pieces = tokenizer(text, add_special_tokens=False).input_ids[: self.front]
            lines.append([tokenizer.eos_token_id] * (self.front - len(pieces)) + pieces)
        return signals, lengths, torch.tensor(lines)

    def forward(
        self, x: torch.Tensor, lengths: torch.Tensor, line: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """x (B, 12, n), lengths (B,), line (B, pieces) -> embeddings, and valid lengths (B,)."""
        patches = windows(standardise(x, lengths * self.hop), self.hop)  # (B, 12 hop, T)
        embedded = self.dropout(self.patch(patches).transpose(1, 2))  # (B, T, hidden)
        words = nn.functional.embedding(line, self.vocabulary)
        embeddings = torch.cat([words, self.reprogram(embedded)], 1)
        return embeddings, lengths + line.shape[1]

    def reprogram(self, embedded: torch.Tensor) -> torch.Tensor:
        """Cross-attention from patches (B, T, hidden) to the text prototypes: (B, T, d_llm)."""
        prototypes = self.prototype_norm(self.mixtures(self.vocabulary.T).T)  # (prototypes, d_llm)
        query, key, value = (
            layer(of).unflatten(-1, (self.heads, -1)).transpose(-3, -2)  # (..., heads, L, key)
            for layer, of in (
                (self.query, self.patch_norm(embedded)),
                (self.key, prototypes),
                (self.value, prototypes),
            )
        )
        weights = (query @ key.mT / key.shape[-1] ** 0.5).softmax(-1)
        mixed = self.dropout(weights) @ value
        return self.into_model(mixed.transpose(1, 2).flatten(2))


Prefix = TimeLLMPrefix


def standardise(x: torch.Tensor, n_valid: torch.Tensor) -> torch.Tensor:
    """Each lead of x (B, 12, n) with mean 0 and variance 1 over its first n_valid (B,) samples, and
    zeros behind them."""
    valid = signal_patches.inside(n_valid, x.shape[-1])[:, None]
    count = valid.sum(-1, keepdim=True)
    mean = (x * valid).sum(-1, keepdim=True) / count
    centred = (x - mean) * valid
    return centred / (centred.square().sum(-1, keepdim=True) / count + EPSILON).sqrt()


def describe(x: np.ndarray) -> str:
    """The line about a signal (n,) in mV.

    >>> describe(np.sin(np.arange(1000) * 2 * np.pi / 200))
    'min -1.00 mV, max 1.00 mV, median 0.00 mV, trend downward, lags 0.80 1.60 2.40 s. '
    """
    centred = x - x.mean()
    alike = correlate(centred, centred, method="fft")[len(x) - 1 :]
    peaks, _ = find_peaks(alike[SHORTEST:])
    highest = peaks[np.argsort(-alike[SHORTEST:][peaks], kind="stable")][:LAGS] + SHORTEST
    lags = " ".join(f"{lag / RATE:.2f}" for lag in highest) or "unknown"
    trend = "upward" if x[-1] > x[0] else "downward"
    low, high, middle = (f"{value:.2f} mV" for value in (x.min(), x.max(), np.median(x) + 0.0))
    return f"min {low}, max {high}, median {middle}, trend {trend}, lags {lags} s. "


def initialise(
    out: Path, inputs: dict[str, Path], config: dict, seed: int, machine: Machine
) -> None:
    """Step: the layers as they are drawn, without LoRA.

    Config:
        hop: samples of a patch, without overlap; as released 16, which move by 8.
        hidden: numbers of an embedded patch.
        heads: of the attention; 8 as released.
        key: numbers of a key per head.
        prototypes: mixtures of words; 1,000 as released, of 32,000 words.
        line: word pieces of the line about the signal, at most.

    Inputs: cohort, base.
    """
    machine.configure_torch()
    base = base_model.load(inputs["base"], machine)
    words = base.model.get_input_embeddings().weight
    prefix = draw_prefix(TimeLLMPrefix, base, None, config | {"words": len(words)}, seed)
    prefix.vocabulary.copy_(words.float())
    save_prefix(prefix, out)
