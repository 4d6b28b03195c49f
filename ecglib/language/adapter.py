"""ECG-Tok: frozen ECG tokens -> attention adapter -> a few prefix vectors -> language model.

ECG-Tok, section 2.3, and the released SequenceAdapter: project, add positions, one self-attention
block, pool, project. The paper pools to one vector c_ecg; the number of vectors is a setting here.
"""

from pathlib import Path

import numpy as np
import torch
from torch import nn

from ecglib.cohorts.store import Cohort
from ecglib.language import base as base_model
from ecglib.language.system import Shapes, draw_prefix, full_lengths, save_prefix
from ecglib.tokenizers.encode import read_latents
from ecglib.tokenizers.load import load as load_tokenizer
from ecglib.training.device import Machine

DROPOUT = 0.1


class Adapter(nn.Module):
    """(B, T, D) latents -> (B, vectors, d_llm).

    Args:
        dim: D of the latents; positions: T; hidden, heads: of the attention block.
        vectors: how many the language model gets; with one, pooling starts as the paper's mean
            (its query is zero) and may sharpen from there.
        width: d_llm; scale: root mean square of the model's own token embeddings, so that the
            prefix has the magnitude that the model expects.
    """

    kind = "adapter"

    def __init__(
        self,
        dim: int,
        positions: int,
        hidden: int,
        heads: int,
        vectors: int,
        width: int,
        scale: float,
    ):
        super().__init__()
        self.config = {"dim": dim, "positions": positions, "hidden": hidden, "heads": heads}
        self.config |= {"vectors": vectors, "width": width, "scale": scale}
        self.positions = vectors
        self.input_projection = nn.Sequential(
            nn.Linear(dim, hidden), nn.LayerNorm(hidden), nn.GELU(), nn.Dropout(DROPOUT)
        )
        self.place = nn.Parameter(0.02 * torch.randn(positions, hidden))
        self.attention = nn.MultiheadAttention(hidden, heads, DROPOUT, batch_first=True)
        self.norm = nn.LayerNorm(hidden)
        query = torch.zeros(1, hidden) if vectors == 1 else torch.randn(vectors, hidden)
        self.queries = nn.Parameter(query / hidden**0.5)
        self.output_projection = nn.Sequential(nn.Linear(hidden, width), nn.LayerNorm(width))
        self.slots = nn.Parameter(torch.zeros(vectors, width))
        self.gain = nn.Parameter(torch.tensor(float(scale)))

    @classmethod
    def build(cls, config: dict, shapes: Shapes) -> "Adapter":
        """An untrained one; `config` as of `initialise`."""
        sizes = {key: config[key] for key in ("vectors", "hidden", "heads")}
        return cls(shapes.dim, shapes.positions, **sizes, width=shapes.width, scale=shapes.scale)

    @staticmethod
    def read_ecgs(inputs: dict[str, Path], rows: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        """Frozen token embeddings (N, T, D) and valid lengths (N,) of these records."""
        cohort, tokenizer = Cohort.open(inputs["cohort"]), load_tokenizer(inputs["tokenizer"])
        return read_latents(tokenizer, inputs["codes"], cohort, rows)

    def forward(self, z: torch.Tensor, lengths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """z (B, T, D), lengths (B,) valid positions -> (B, vectors, d_llm), (B,)."""
        pad = torch.arange(z.shape[1], device=z.device) >= lengths[:, None]
        x = self.input_projection(z) + self.place
        x = self.norm(x + self.attention(x, x, x, key_padding_mask=pad, need_weights=False)[0])
        embeddings = self.gain * (self.output_projection(self.pool(x, pad)) + self.slots)
        return embeddings, full_lengths(embeddings)

    def pool(self, x: torch.Tensor, pad: torch.Tensor) -> torch.Tensor:
        """Weighted means over valid positions, one per query: (B, T, H) -> (B, vectors, H)."""
        score = (self.queries @ x.transpose(1, 2)).masked_fill(pad[:, None], -torch.inf)
        return score.softmax(-1) @ x


Prefix = Adapter


def initialise(
    out: Path, inputs: dict[str, Path], config: dict, seed: int, machine: Machine
) -> None:
    """Step: the adapter as it is drawn, without LoRA.

    Config:
        vectors: how many stand for an ECG; the paper's value is 1.
        hidden: width of the attention block.
        heads: of the attention block.

    Inputs: cohort, base, tokenizer (with latents), codes (its own of the cohort).
    """
    machine.configure_torch()
    base, tokenizer = base_model.load(inputs["base"], machine), load_tokenizer(inputs["tokenizer"])
    save_prefix(draw_prefix(Adapter, base, tokenizer, config, seed), out)
