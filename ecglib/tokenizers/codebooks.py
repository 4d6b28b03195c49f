"""What keeps a codebook in use: its start by k-means, and moving codewords that nobody chooses.

Neither is in ECG-Tok or its released code; both are options of the training (`init`,
`revive_every`), so that notebook 02 can show what they do.
"""

import torch
from torch import nn

INITS = ("kmeans", "uniform")


def nearest(x: torch.Tensor, codebook: torch.Tensor) -> torch.Tensor:
    """Index of the nearest codeword: x (N, D), codebook (K, D) -> (N,).

    |x - c|^2 = |x|^2 - 2 x.c + |c|^2, and |x|^2 does not change the order.
    """
    return (codebook.square().sum(1) - 2 * x @ codebook.T).argmin(1)


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
def initialise(quantiser: nn.Module, z: torch.Tensor, generator: torch.Generator) -> None:
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
def revive(quantiser: nn.Module, z: torch.Tensor, generator: torch.Generator) -> int:
    """Move codewords that none of the vectors z (N, D) chooses onto random residuals of theirs.

    Without it a codeword far from all data is never chosen and never receives a gradient. N should
    be many times the number of codewords: of few vectors some choose it by bad luck not at all.
    Returns how many were moved.
    """
    codes = quantiser.assign(z)
    sums, moved = quantiser.partial_sums(codes), 0
    for stage, codebook in enumerate(quantiser.codebooks):
        residual = z - sums[stage - 1] if stage else z
        used = torch.bincount(codes[:, stage], minlength=quantiser.codewords)
        dead = (used == 0).nonzero()[:, 0]
        codebook[dead] = residual[torch.randperm(len(z), generator=generator)[: len(dead)]]
        moved += len(dead)
    return moved


@torch.no_grad()
def initialise_uniform(quantiser: nn.Module, generator: torch.Generator) -> None:
    """The released start: every number uniform within sqrt(6 / (K D)), whatever the data."""
    for codebook in quantiser.codebooks:
        bound = (6.0 / codebook.numel()) ** 0.5
        codebook.copy_(bound * (2.0 * torch.rand(codebook.shape, generator=generator) - 1.0))
