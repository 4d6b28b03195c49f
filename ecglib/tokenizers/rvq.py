"""Residual vector quantisation: each stage codes what the stages before it left over.

r^(1) = z;  s^(l) = argmin_k |r^(l) - c_k^(l)|^2;  r^(l+1) = r^(l) - c_s^(l);  zhat = sum_l c_s^(l)
(ECG-Tok, section 2.2, with adaptive codewords replaced by fixed ones).
"""

import torch
from torch import nn


def nearest(x: torch.Tensor, codebook: torch.Tensor) -> torch.Tensor:
    """Index of the nearest codeword: x (N, D), codebook (K, D) -> (N,).

    |x - c|^2 = |x|^2 - 2 x.c + |c|^2, and |x|^2 does not change the order.
    """
    return (codebook.square().sum(1) - 2 * x @ codebook.T).argmin(1)


class ResidualVQ(nn.Module):
    """`stages` codebooks of `codewords` vectors in `dim` dimensions; RVQ with one stage is VQ."""

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


@torch.no_grad()
def kmeans(x: torch.Tensor, k: int, rounds: int, generator: torch.Generator) -> torch.Tensor:
    """Lloyd's algorithm from k random points, empty clusters redrawn: x (N, D) -> (k, D)."""
    centroids = x[torch.randperm(len(x), generator=generator)[:k]].clone()
    for _ in range(rounds):
        index = nearest(x, centroids)
        count = torch.bincount(index, minlength=k)
        total = torch.zeros_like(centroids).index_add_(0, index, x)
        centroids = total / count.clamp(min=1)[:, None]
        empty = (count == 0).nonzero()[:, 0]
        centroids[empty] = x[torch.randperm(len(x), generator=generator)[: len(empty)]]
    return centroids


@torch.no_grad()
def initialise(quantiser: ResidualVQ, z: torch.Tensor, generator: torch.Generator) -> None:
    """Fill the codebooks stage by stage with k-means of the residuals; z (N, D), N >= codewords."""
    if len(z) < quantiser.codewords:
        raise ValueError(
            f"k-means needs at least {quantiser.codewords} latent vectors, got {len(z)}; "
            "give more ECGs or use fewer codewords"
        )
    residual = z
    for codebook in quantiser.codebooks:
        codebook.copy_(kmeans(residual, quantiser.codewords, 10, generator))
        residual = residual - codebook[nearest(residual, codebook)]


@torch.no_grad()
def revive(
    quantiser: ResidualVQ, z: torch.Tensor, codes: torch.Tensor, generator: torch.Generator
) -> int:
    """Move codewords that no vector of the batch chose onto random residuals; returns how many.

    Without it a codeword far from all data is never chosen and never receives a gradient.
    """
    dead_total, residual = 0, z
    for stage, codebook in enumerate(quantiser.codebooks):
        used = torch.bincount(codes[:, stage], minlength=quantiser.codewords)
        dead = (used == 0).nonzero()[:, 0]
        codebook[dead] = residual[torch.randperm(len(z), generator=generator)[: len(dead)]]
        dead_total += len(dead)
        residual = residual - codebook[codes[:, stage]]
    return dead_total
