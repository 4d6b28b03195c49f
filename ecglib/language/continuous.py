"""HeartLLM without discrete tokens: the encoder's vectors enter through a linear layer.

HeartLLM, Fig. 3, "w/o DISC". The encoder of the tokenizer is frozen, as in HeartLLM. Its vector of
a position is taken before FSQ rounds it, so nothing is lost there. Such vectors have no vocabulary
and cannot be predicted as tokens, so there is no pretraining.
"""

from pathlib import Path

import numpy as np
import torch
from torch import nn

from ecglib.cohorts.store import Cohort
from ecglib.language import base as base_model
from ecglib.language.signal_patches import Signals, read_signals
from ecglib.language.system import Shapes, draw_prefix, save_prefix
from ecglib.tokenizers.contract import mask_padding
from ecglib.tokenizers.leadwise import LeadwiseTokenizer
from ecglib.tokenizers.load import load as load_tokenizer
from ecglib.training.device import Machine


class EncodedSignals:
    """Vectors of the encoder (B, T, D), computed when they are indexed."""

    def __init__(self, tokenizer: LeadwiseTokenizer, signals: Signals, n_valid: torch.Tensor):
        self.tokenizer, self.signals, self.n_valid = tokenizer, signals, n_valid

    def __len__(self) -> int:
        """Count the records."""
        return len(self.signals)

    @torch.no_grad()
    def __getitem__(self, indices: object) -> torch.Tensor:
        """Those at a list or a slice of positions among the records."""
        x = mask_padding(self.signals[indices], self.n_valid[indices])
        with torch.autocast("cpu", enabled=False):  # in float32, as the codes were made
            return self.tokenizer._features(x)


class ContinuousPrefix(nn.Module):
    """Vectors (B, T, D) -> (B, T, d_llm).

    Args:
        dim: D; tokens: T of a full ECG.
        width: d_llm; scale: root mean square of the model's own token embeddings.
    """

    kind = "continuous"
    front = 0  # positions that stand for no part of the ECG

    def __init__(self, dim: int, tokens: int, width: int, scale: float):
        super().__init__()
        self.config = {"dim": dim, "tokens": tokens, "width": width, "scale": scale}
        self.positions = tokens
        self.into_model = nn.Sequential(nn.Linear(dim, width), nn.LayerNorm(width))
        self.gain = nn.Parameter(torch.tensor(float(scale)))

    @classmethod
    def build(cls, config: dict, shapes: Shapes) -> "ContinuousPrefix":
        """An untrained one; `config`: with `dim` of the tokenizer's encoder."""
        return cls(config["dim"], shapes.positions, shapes.width, shapes.scale)

    def read_ecgs(self, inputs: dict[str, Path], rows: np.ndarray) -> tuple:
        """Vectors of the encoder, and valid positions (N,), of these records."""
        cohort, tokenizer = Cohort.open(inputs["cohort"]), load_tokenizer(inputs["tokenizer"])
        signals, lengths = read_signals(cohort, rows, tokenizer.hop)
        n_valid = torch.tensor(cohort.records["n_valid"].to_numpy()[rows])
        return EncodedSignals(tokenizer, signals, n_valid), lengths

    def forward(self, z: torch.Tensor, lengths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """z (B, T, D), lengths (B,) -> embeddings (B, T, d_llm) and lengths."""
        return self.gain * self.into_model(z), lengths


Prefix = ContinuousPrefix


def initialise(
    out: Path, inputs: dict[str, Path], config: dict, seed: int, machine: Machine
) -> None:
    """Step: the linear layer as it is drawn, without LoRA.

    Inputs: cohort, base, tokenizer (lead-wise), codes.
    """
    machine.configure_torch()
    base, tokenizer = base_model.load(inputs["base"], machine), load_tokenizer(inputs["tokenizer"])
    sizes = {"dim": tokenizer.fsq.dim}
    save_prefix(draw_prefix(ContinuousPrefix, base, tokenizer, sizes, seed), out)
