"""The second example of docs/adding.md: the lowest and the highest voltage of each second.

bash run_all.sh study own_system --plugin docs/example_system.py
"""

from pathlib import Path

import numpy as np
import torch
from torch import nn

from ecglib.cohorts.store import Cohort
from ecglib.language import base as base_model
from ecglib.language.system import Shapes, draw_prefix, full_lengths, save_prefix
from ecglib.signals.leads import LEADS, RATE, SAMPLES
from ecglib.tokenizers.load import load
from ecglib.training.device import Machine

SYSTEM = {"hidden": 64}  # an entry of `systems`; with "tokenizer": "qinco" it may read codes, too
SECONDS = SAMPLES // RATE


class Extremes(nn.Module):
    """One embedding per second, from the extremes of twelve leads in it."""

    kind = "extremes"

    def __init__(self, hidden: int, width: int, scale: float):
        super().__init__()
        self.config = {"hidden": hidden, "width": width, "scale": scale}
        self.positions = SECONDS
        self.read = nn.Sequential(nn.Linear(2 * len(LEADS), hidden), nn.GELU())
        self.write = nn.Sequential(nn.Linear(hidden, width), nn.LayerNorm(width))

    @classmethod
    def build(cls, config: dict, shapes: Shapes) -> "Extremes":
        """An untrained one; `config` as of `initialise`."""
        return cls(config["hidden"], shapes.width, shapes.scale)

    def read_ecgs(self, inputs: dict[str, Path], rows: np.ndarray) -> tuple[torch.Tensor]:
        """The extremes of these records in mV, (N, 10, 24); zero behind the end of a short one."""
        cohort, parts = Cohort.open(inputs["cohort"]), []
        for some in np.array_split(rows, len(rows) // 256 + 1):
            x = torch.from_numpy(cohort.signals(some)).unflatten(2, (SECONDS, RATE))
            parts.append(torch.cat([x.amin(-1), x.amax(-1)], dim=1).transpose(1, 2))
        return (torch.cat(parts),)

    def forward(self, ecgs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(B, 10, 24) mV -> embeddings (B, 10, width) of a word's size, valid lengths (B,)."""
        embeddings = self.config["scale"] * self.write(self.read(ecgs))
        return embeddings, full_lengths(embeddings)


Prefix = Extremes


def initialise(
    out: Path, inputs: dict[str, Path], config: dict, seed: int, machine: Machine
) -> None:
    """Step: an untrained one.

    Config:
        hidden: width of its hidden layer.

    Inputs: cohort (optional), base, tokenizer (optional), codes (optional).
    """
    machine.configure_torch()
    base = base_model.load(inputs["base"], machine)
    tokenizer = load(inputs["tokenizer"]) if "tokenizer" in inputs else None
    save_prefix(draw_prefix(Extremes, base, tokenizer, config, seed), out)
