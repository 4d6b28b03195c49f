"""The attention adapter: ECG latents in, a few input embeddings of the language model out.

ECG-Tok, section 2.3, and the released SequenceAdapter: project, add positions, one self-attention
block, pool, project. The paper pools to one vector c_ecg; the number of prefix vectors is a dial
here.
"""

import torch
from torch import nn


class Adapter(nn.Module):
    """(B, T, D) latents -> (B, prefix, d_llm).

    Args:
        dim: D of the latents; positions: T; hidden: of the attention block; heads: of it.
        prefix: how many vectors the language model gets; with one, pooling is the paper's mean
            at the start (its query is zero) and may sharpen from there.
        width: d_llm; scale: root mean square of the model's own token embeddings, so that the
            prefix enters at the size the model is used to.
    """

    def __init__(
        self,
        dim: int,
        positions: int,
        hidden: int,
        heads: int,
        prefix: int,
        width: int,
        scale: float,
        dropout: float = 0.1,
    ):
        super().__init__()
        self.config = {
            "dim": dim,
            "positions": positions,
            "hidden": hidden,
            "heads": heads,
            "prefix": prefix,
            "width": width,
            "scale": scale,
            "dropout": dropout,
        }
        self.enter = nn.Sequential(
            nn.Linear(dim, hidden), nn.LayerNorm(hidden), nn.GELU(), nn.Dropout(dropout)
        )
        self.positions = nn.Parameter(0.02 * torch.randn(positions, hidden))
        self.attention = nn.MultiheadAttention(hidden, heads, dropout, batch_first=True)
        self.norm = nn.LayerNorm(hidden)
        query = torch.zeros(1, hidden) if prefix == 1 else torch.randn(prefix, hidden)
        self.queries = nn.Parameter(query / hidden**0.5)
        self.leave = nn.Sequential(nn.Linear(hidden, width), nn.LayerNorm(width))
        self.slots = nn.Parameter(torch.zeros(prefix, width))
        self.gain = nn.Parameter(torch.tensor(float(scale)))

    def forward(self, z: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """z (B, T, D), lengths (B,) valid positions -> (B, prefix, d_llm)."""
        pad = torch.arange(z.shape[1], device=z.device) >= lengths[:, None]
        x = self.enter(z) + self.positions
        x = self.norm(x + self.attention(x, x, x, key_padding_mask=pad, need_weights=False)[0])
        return self.gain * (self.leave(self.pool(x, pad)) + self.slots)

    def pool(self, x: torch.Tensor, pad: torch.Tensor) -> torch.Tensor:
        """Weighted means over the valid positions, one a query: (B, T, H) -> (B, prefix, H)."""
        score = (self.queries @ x.transpose(1, 2)).masked_fill(pad[:, None], -torch.inf)
        return score.softmax(-1) @ x


class Constant(nn.Module):
    """What the no-ECG control learns in the ECG's place: `prefix` vectors, the same for all."""

    def __init__(self, prefix: int, width: int, scale: float):
        super().__init__()
        self.vectors = nn.Parameter(scale * torch.randn(prefix, width))

    def forward(self, z: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Ignores its input but for the batch size."""
        return self.vectors.expand(len(z), -1, -1)
