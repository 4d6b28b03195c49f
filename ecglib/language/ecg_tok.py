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
from ecglib.language.system import full_lengths, save_prefix
from ecglib.tokenizers.encode import read_latents
from ecglib.tokenizers.load import load as load_tokenizer
from ecglib.training.device import Machine
from ecglib.training.seeds import sub_seed

DROPOUT = 0.1
SEED_NAME = "ear"  # seeds the generator: kept from the first version, so that results stay the same


class Adapter(nn.Module):
    """(B, T, D) latents -> (B, vectors, d_llm).

    Args:
        dim: D of the latents; positions: T; hidden, heads: of the attention block.
        vectors: how many the language model gets; with one, pooling starts as the paper's mean
            (its query is zero) and may sharpen from there.
        width: d_llm; scale: root mean square of the model's own token embeddings, so that the
            prefix has the magnitude that the model expects.
    """

    kind = "ecg_tok"
    warm_up_name = "warm"  # seeds the generator: kept from the first version

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
        self.input_projection = nn.Sequential(
            nn.Linear(dim, hidden), nn.LayerNorm(hidden), nn.GELU(), nn.Dropout(DROPOUT)
        )
        self.positions = nn.Parameter(0.02 * torch.randn(positions, hidden))
        self.attention = nn.MultiheadAttention(hidden, heads, DROPOUT, batch_first=True)
        self.norm = nn.LayerNorm(hidden)
        query = torch.zeros(1, hidden) if vectors == 1 else torch.randn(vectors, hidden)
        self.queries = nn.Parameter(query / hidden**0.5)
        self.output_projection = nn.Sequential(nn.Linear(hidden, width), nn.LayerNorm(width))
        self.slots = nn.Parameter(torch.zeros(vectors, width))
        self.gain = nn.Parameter(torch.tensor(float(scale)))

    @staticmethod
    def read_ecgs(inputs: dict[str, Path], rows: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        """Frozen token embeddings (N, T, D) and valid lengths (N,) of these records."""
        cohort, tokenizer = Cohort.open(inputs["cohort"]), load_tokenizer(inputs["tokenizer"])
        return read_latents(tokenizer, inputs["codes"], cohort, rows)

    def forward(self, z: torch.Tensor, lengths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """z (B, T, D), lengths (B,) valid positions -> (B, vectors, d_llm), (B,)."""
        embeddings = self.finding_vectors(z, lengths)
        return embeddings, full_lengths(embeddings)

    def finding_vectors(self, z: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """The prefix itself: (B, vectors, d_llm)."""
        pad = torch.arange(z.shape[1], device=z.device) >= lengths[:, None]
        x = self.input_projection(z) + self.positions
        x = self.norm(x + self.attention(x, x, x, key_padding_mask=pad, need_weights=False)[0])
        return self.gain * (self.output_projection(self.pool(x, pad)) + self.slots)

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

    Inputs: cohort, tokenizer (with latents), codes (its own of the cohort), base.
    """
    machine.configure_torch()
    base = base_model.load(inputs["base"], machine)
    (_, positions, dim) = Adapter.read_ecgs(inputs, np.array([0]))[0].shape
    torch.manual_seed(sub_seed(seed, SEED_NAME))
    adapter = Adapter(dim, positions, **config, width=base.width, scale=base.embedding_scale)
    save_prefix(adapter, out)
