"""HeartLLM's fixed-scale quantiser, a form of finite scalar quantisation (FSQ).

    z_cont = sigmoid(W h + b)       z_disc = round((L - 1) z_cont) / (L - 1)
    z_st   = z_cont + sg(z_disc - z_cont)
    code   = sum_d level_d L^d   (base L, lowest digit first)

The sigmoid takes the place of the shifted tanh of FSQ (Mentzer et al. 2024). No codebook is
learned: the grid of L^D points is fixed (6 levels in 4 dimensions: 1,296 codes). HeartLLM uses it
behind its lead-wise encoder (`leadwise`).
"""

import torch
from torch import nn

from ecglib.tokenizers.codebooks import Quantised

SPREAD = 1.5  # before the sigmoid; about 1.8 would use all levels equally


class FSQ(nn.Module):
    """`levels` values in each of `dims` dimensions, behind a linear projection from `dim`."""

    method = "fsq"

    def __init__(self, dim: int, levels: int = 6, dims: int = 4):
        super().__init__()
        self.dim, self.levels, self.dims = dim, levels, dims
        self.codewords = levels**dims
        self.project = nn.Linear(dim, dims)
        self.back = nn.Linear(dims, dim)
        self.register_buffer("basis", levels ** torch.arange(dims), persistent=False)

    @torch.no_grad()
    def initialise(self, z: torch.Tensor, principal: bool = False) -> None:
        """Scale the projection so that all levels are in use from the start; z (N, dim).

        Before the sigmoid, the numbers of z become uncorrelated, with mean 0 and standard deviation
        `SPREAD`. An untrained projection makes so small a difference between vectors that two of
        six levels are used. Neither paper nor released code does this. `principal`: project on the
        first principal components of z, and map the grid back by least squares.
        """
        if principal:
            centred = (z - z.mean(0)).double()  # so that its rounding is the same in every run
            axes = torch.linalg.eigh(centred.T @ centred).eigenvectors
            self.project.weight.copy_(axes.flip(1)[:, : self.dims].T)
        before = self.project(z)
        covariance = before.T.cov() + 1e-8 * torch.eye(self.dims, device=z.device)
        scale = SPREAD * torch.linalg.inv(torch.linalg.cholesky(covariance))
        self.project.weight.copy_(scale @ self.project.weight)
        self.project.bias.copy_(scale @ (self.project.bias - before.mean(0)))
        if principal:
            grid = nn.functional.pad(self.to_grid(z), (0, 1), value=1.0).double()
            back = torch.linalg.solve(grid.T @ grid, grid.T @ z.double())  # (dims + 1, dim)
            self.back.weight.copy_(back[:-1].T)
            self.back.bias.copy_(back[-1])

    def forward(self, z: torch.Tensor, valid: torch.Tensor | None = None) -> Quantised:
        """z (..., dim) -> quantised (..., dim), and two losses that are zero.
        The gradient passes through the rounding, so projection and encoder need no further loss."""
        zero = z.new_zeros(())
        return self.back(self.to_grid(z)), zero, zero

    def to_grid(self, z: torch.Tensor) -> torch.Tensor:
        """z (..., dim) -> grid points (..., dims) in [0, 1], with a straight-through gradient."""
        z = torch.sigmoid(self.project(z))
        grid = torch.round(z * (self.levels - 1)) / (self.levels - 1)
        return z + (grid - z).detach()

    def grid_to_codes(self, grid: torch.Tensor) -> torch.Tensor:
        """grid points (..., dims) -> codes (...) int64.
        Example: 6 levels, grid (0.2, 0, 0, 1) has levels (1, 0, 0, 5): code 1 + 5 * 216 = 1081."""
        return (torch.round(grid * (self.levels - 1)).long() * self.basis).sum(-1)

    def codes_to_grid(self, codes: torch.Tensor) -> torch.Tensor:
        """codes (...) -> grid points (..., dims): the inverse of `grid_to_codes`."""
        return (codes[..., None] // self.basis % self.levels) / (self.levels - 1)

    @torch.no_grad()
    def encode(self, z: torch.Tensor) -> torch.Tensor:
        """z (..., dim) -> codes (..., 1)."""
        return self.grid_to_codes(self.to_grid(z))[..., None]

    def decode(self, codes: torch.Tensor) -> torch.Tensor:
        """codes (..., 1) -> zhat (..., dim), the grid point mapped back."""
        return self.back(self.codes_to_grid(codes[..., 0]))
