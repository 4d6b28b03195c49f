"""The no-ECG control: a learned constant in the ECG's place, the same for all."""

from pathlib import Path

import numpy as np
import torch
from torch import nn

from ecglib.language import base as base_model
from ecglib.language.system import Shapes, draw_prefix, full_lengths, save_prefix
from ecglib.training.device import Machine


class LearnedPrefix(nn.Module):
    """`vectors` embeddings of the size `scale`, for every ECG the same."""

    kind = "no_ecg"

    def __init__(self, vectors: int, width: int, scale: float):
        super().__init__()
        self.config = {"vectors": vectors, "width": width, "scale": scale}
        self.positions = vectors
        self.vectors = nn.Parameter(scale * torch.randn(vectors, width))

    @classmethod
    def build(cls, config: dict, shapes: Shapes) -> "LearnedPrefix":
        """An untrained one; `config` as of `initialise`."""
        return cls(config["vectors"], shapes.width, shapes.scale)

    def read_ecgs(self, inputs: dict[str, Path], rows: np.ndarray) -> tuple[torch.Tensor]:
        """Nothing but the number of records."""
        return (torch.zeros(len(rows), 1),)

    def forward(self, ecgs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Ignores its input (B, ...) but for the batch size: (B, vectors, d_llm), (B,)."""
        embeddings = self.vectors.expand(len(ecgs), -1, -1)
        return embeddings, full_lengths(embeddings)


Prefix = LearnedPrefix


def initialise(
    out: Path, inputs: dict[str, Path], config: dict, seed: int, machine: Machine
) -> None:
    """Step: the constant as it is drawn.

    Config:
        vectors: how many embeddings the constant has.

    Inputs: cohort (optional), base.
    """
    machine.configure_torch()
    base = base_model.load(inputs["base"], machine)
    save_prefix(draw_prefix(LearnedPrefix, base, None, config, seed), out)
