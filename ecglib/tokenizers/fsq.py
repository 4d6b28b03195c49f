"""Finite scalar quantisation as HeartLLM defines it (heartllm: section on the tokenizer).

    z_cont = sigmoid(W h + b)       z_disc = round((L - 1) z_cont) / (L - 1)
    z_st   = z_cont + sg(z_disc - z_cont)          code = sum_d level_d L^d   (little-endian, base
    L)

No codebook is learned: the grid of L^D points is fixed (6 levels in 4 dimensions: 1,296 codes).
HeartLLM puts it behind its lead-wise encoder (`leadwise`); with `assign`, `partial_sums` and
`decode` it also stands where VQ, RVQ and QINCo do, between the common encoder and decoder.
"""

import torch
from torch import nn


class FSQ(nn.Module):
    """`levels` values in each of `dims` dimensions behind a linear projector from `width`."""

    method = "fsq"
    stages = 1

    def __init__(self, width: int, levels: int = 6, dims: int = 4):
        super().__init__()
        self.width, self.levels, self.dims = width, levels, dims
        self.project = nn.Linear(width, dims)
        self.back = nn.Linear(dims, width)
        self.register_buffer("basis", levels ** torch.arange(dims), persistent=False)

    @property
    def dim(self) -> int:
        """Numbers of a vector that is quantised."""
        return self.width

    def config(self) -> dict:
        """What rebuilds an equal, untrained instance."""
        return {"width": self.width, "levels": self.levels, "dims": self.dims}

    @property
    def codewords(self) -> int:
        """How many different codes there are."""
        return self.levels**self.dims

    def quantise(self, h: torch.Tensor) -> torch.Tensor:
        """h (..., width) -> grid points (..., dims) in [0, 1], with a straight-through gradient."""
        z = torch.sigmoid(self.project(h))
        grid = torch.round(z * (self.levels - 1)) / (self.levels - 1)
        return z + (grid - z).detach()

    def codes(self, grid: torch.Tensor) -> torch.Tensor:
        """grid points (..., dims) -> codes (...) int64.

        Example: 6 levels, grid (0.2, 0, 0, 1) has levels (1, 0, 0, 5): code 1 + 5 * 216 = 1081.
        """
        return (torch.round(grid * (self.levels - 1)).long() * self.basis).sum(-1)

    def grid(self, codes: torch.Tensor) -> torch.Tensor:
        """codes (...) -> grid points (..., dims): the inverse of `codes`."""
        return (codes[..., None] // self.basis % self.levels) / (self.levels - 1)

    @torch.no_grad()
    def assign(self, z: torch.Tensor) -> torch.Tensor:
        """z (N, width) -> codes (N, 1)."""
        return self.codes(self.quantise(z))[:, None]

    def partial_sums(self, codes: torch.Tensor) -> torch.Tensor:
        """codes (N, 1) -> the reconstruction after the only stage, (1, N, width)."""
        return self.decode(codes)[None]

    def decode(self, codes: torch.Tensor) -> torch.Tensor:
        """codes (N, 1) -> zhat (N, width), the grid point mapped back."""
        return self.back(self.grid(codes[:, 0]))
