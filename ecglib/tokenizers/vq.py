"""Vector quantisation: one codebook, one code per position.

s = argmin_k |z - c_k|^2;  zhat = c_s   (ECG-Tok, section 2.2, its first baseline)
"""

import torch
from torch import nn

from ecglib.tokenizers.codebooks import Quantised, nearest, straight_through


class VQ(nn.Module):
    """One codebook of `codewords` vectors in `dim` dimensions."""

    method = "vq"
    codes_per_vector = 1

    def __init__(self, dim: int, codewords: int):
        super().__init__()
        self.dim, self.codewords = dim, codewords
        self.codebooks = nn.Parameter(torch.zeros(1, codewords, dim))

    def config(self) -> dict:
        """The arguments of an equal, untrained instance."""
        return {"dim": self.dim, "codewords": self.codewords}

    def forward(self, z: torch.Tensor, valid: torch.Tensor | None = None) -> Quantised:
        """z (N, D), valid (N,) -> quantised (N, D), codebook loss, commitment loss."""
        return straight_through(z, self.partial_sums(self.encode(z)), valid)

    @torch.no_grad()
    def encode(self, z: torch.Tensor) -> torch.Tensor:
        """z (N, D) -> codes (N, 1)."""
        return nearest(z, self.codebooks[0])[:, None]

    def partial_sums(self, codes: torch.Tensor) -> torch.Tensor:
        """codes (N, 1) -> the reconstruction after the only codebook, (1, N, D)."""
        return self.decode(codes)[None]

    def decode(self, codes: torch.Tensor) -> torch.Tensor:
        """codes (N, 1) -> zhat (N, D)."""
        return self.codebooks[0][codes[:, 0]]
