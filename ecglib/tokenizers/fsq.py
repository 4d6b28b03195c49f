"""Finite scalar quantisation as HeartLLM defines it (heartllm: section on the tokenizer).

    z_cont = sigmoid(W h + b)       z_disc = round((L - 1) z_cont) / (L - 1)
    z_st   = z_cont + sg(z_disc - z_cont)          code = sum_d level_d L^d   (little-endian, base
    L)

No codebook is learned: the grid of L^D points is fixed (6 levels in 4 dimensions: 1,296 codes).
"""

import torch
from torch import nn


class FSQ(nn.Module):
    """`levels` values in each of `dims` dimensions behind a linear projector from `width`."""

    def __init__(self, width: int, levels: int = 6, dims: int = 4):
        super().__init__()
        self.width, self.levels, self.dims = width, levels, dims
        self.project = nn.Linear(width, dims)
        self.back = nn.Linear(dims, width)
        self.register_buffer("basis", levels ** torch.arange(dims), persistent=False)

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
