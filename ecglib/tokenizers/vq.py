"""Vector quantisation: one codebook, one code a position.

s = argmin_k |z - c_k|^2;  zhat = c_s   (ECG-Tok, section 2.2, its first baseline)
"""

import torch
from torch import nn

from ecglib.tokenizers.codebooks import nearest


class VQ(nn.Module):
    """One codebook of `codewords` vectors in `dim` dimensions."""

    method = "vq"
    stages = 1

    def __init__(self, dim: int, codewords: int):
        super().__init__()
        self.dim, self.codewords = dim, codewords
        self.codebooks = nn.Parameter(torch.zeros(1, codewords, dim))

    def config(self) -> dict:
        """What rebuilds an equal, untrained instance."""
        return {"dim": self.dim, "codewords": self.codewords}

    @torch.no_grad()
    def assign(self, z: torch.Tensor) -> torch.Tensor:
        """z (N, D) -> codes (N, 1)."""
        return nearest(z, self.codebooks[0])[:, None]

    def partial_sums(self, codes: torch.Tensor) -> torch.Tensor:
        """codes (N, 1) -> the reconstruction after the only stage, (1, N, D)."""
        return self.codebooks[0][codes[:, 0]][None]

    def decode(self, codes: torch.Tensor) -> torch.Tensor:
        """codes (N, 1) -> zhat (N, D)."""
        return self.codebooks[0][codes[:, 0]]
