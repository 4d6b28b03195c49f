"""Residual vector quantisation: each stage codes what the stages before it left over.

r^(1) = z;  s^(l) = argmin_k |r^(l) - c_k^(l)|^2;  r^(l+1) = r^(l) - c_s^(l);  zhat = sum_l c_s^(l)
(ECG-Tok, section 2.2, with adaptive codewords replaced by fixed ones).
"""

import torch
from torch import nn

from ecglib.tokenizers.codebooks import nearest


class ResidualVQ(nn.Module):
    """`stages` codebooks of `codewords` vectors in `dim` dimensions."""

    method = "rvq"

    def __init__(self, dim: int, stages: int, codewords: int):
        super().__init__()
        self.dim, self.stages, self.codewords = dim, stages, codewords
        self.codebooks = nn.Parameter(torch.zeros(stages, codewords, dim))

    def config(self) -> dict:
        """What rebuilds an equal, untrained instance."""
        return {"dim": self.dim, "stages": self.stages, "codewords": self.codewords}

    @torch.no_grad()
    def assign(self, z: torch.Tensor) -> torch.Tensor:
        """z (N, D) -> codes (N, stages)."""
        residual, codes = z, []
        for codebook in self.codebooks:
            index = nearest(residual, codebook)
            codes.append(index)
            residual = residual - codebook[index]
        return torch.stack(codes, 1)

    def partial_sums(self, codes: torch.Tensor) -> torch.Tensor:
        """codes (N, stages) -> reconstructions after 1, 2, ... stages, (stages, N, D)."""
        chosen = [book[codes[:, s]] for s, book in enumerate(self.codebooks)]
        return torch.stack(chosen).cumsum(0)

    def decode(self, codes: torch.Tensor) -> torch.Tensor:
        """codes (N, stages) -> zhat (N, D)."""
        return self.partial_sums(codes)[-1]
