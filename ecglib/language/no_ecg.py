"""The no-ECG control: a learned constant in the ECG's place, the same for all."""

from pathlib import Path

import numpy as np
import torch
from torch import nn

from ecglib.language import base as base_model
from ecglib.language.system import full_lengths, save_prefix
from ecglib.training.device import Machine
from ecglib.training.seeds import sub_seed

# seeds the generator: kept from the first version, so that results stay the same
SEED_NAMES = {"ecg_tok": "ear", "heartllm": "constant", "report_style": "wording"}


class LearnedPrefix(nn.Module):
    """`vectors` embeddings of the size `scale`, for every ECG the same."""

    kind = "no_ecg"

    def __init__(self, vectors: int, width: int, scale: float):
        super().__init__()
        self.config = {"vectors": vectors, "width": width, "scale": scale}
        self.vectors = nn.Parameter(scale * torch.randn(vectors, width))

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
    """Step: the constant as it is drawn, without LoRA.

    Config:
        vectors: how many embeddings the constant has.
        control_of: the system whose prefix it replaces, or report_style; seeds the draw.

    Inputs: base.
    """
    machine.configure_torch()
    base = base_model.load(inputs["base"], machine)
    name = config["control_of"]
    torch.manual_seed(sub_seed(seed, SEED_NAMES.get(name, name)))
    save_prefix(LearnedPrefix(config["vectors"], base.width, base.embedding_scale), out)
