"""Residual vector quantisation: each codebook codes the residual of the codebooks before it.

r^(1) = z;  s^(l) = argmin_k |r^(l) - c_k^(l)|^2;  r^(l+1) = r^(l) - c_s^(l);  zhat = sum_l c_s^(l)
(ECG-Tok, section 2.2, with adaptive codewords replaced by fixed ones). VQ is the case of one.
"""

import torch
from torch import nn

from ecglib.tokenizers.codebooks import Quantised, nearest, straight_through


class ResidualVQ(nn.Module):
    """`codebooks` codebooks of `codewords` vectors in `dim` dimensions."""

    method = "rvq"

    def __init__(self, dim: int, codebooks: int, codewords: int):
        super().__init__()
        self.dim, self.codes_per_vector, self.codewords = dim, codebooks, codewords
        self.codebooks = nn.Parameter(torch.zeros(codebooks, codewords, dim))

    def config(self) -> dict:
        """The arguments of an equal, untrained instance."""
        return {"dim": self.dim, "codebooks": self.codes_per_vector, "codewords": self.codewords}

    def forward(self, z: torch.Tensor, valid: torch.Tensor | None = None) -> Quantised:
        """z (N, D), valid (N,) -> quantised (N, D), codebook loss, commitment loss."""
        return straight_through(z, self.partial_sums(self.encode(z)), valid)

    @torch.no_grad()
    def encode(self, z: torch.Tensor) -> torch.Tensor:
        """z (N, D) -> codes (N, S)."""
        residual, codes = z, []
        for codebook in self.codebooks:
            index = nearest(residual, codebook)
            codes.append(index)
            residual = residual - codebook[index]
        return torch.stack(codes, 1)

    def partial_sums(self, codes: torch.Tensor) -> torch.Tensor:
        """codes (N, S) -> reconstructions after 1, 2, ... codebooks, (S, N, D)."""
        chosen = [codebook[codes[:, i]] for i, codebook in enumerate(self.codebooks)]
        return torch.stack(chosen).cumsum(0)

    def decode(self, codes: torch.Tensor) -> torch.Tensor:
        """codes (N, S) -> zhat (N, D)."""
        return self.partial_sums(codes)[-1]
