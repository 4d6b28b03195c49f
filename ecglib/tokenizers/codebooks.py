"""Learned codebooks: their search, loss and initialisation, and the revival of dead codewords.

K-means and revival are in neither ECG-Tok's text nor its released code. Both are options of the
training (`init`, `revive_every`), and notebook 02 shows their effect.
"""

import torch
from torch import nn

Quantised = tuple[torch.Tensor, torch.Tensor, torch.Tensor]
"""Quantised vectors (N, D), codebook loss, commitment loss."""


def nearest(x: torch.Tensor, codebook: torch.Tensor) -> torch.Tensor:
    """Index of the nearest codeword: x (N, D), codebook (K, D) -> (N,).

    |x - c|^2 = |x|^2 - 2 x.c + |c|^2, and |x|^2 does not change the order.
    """
    return (codebook.square().sum(1) - 2 * x @ codebook.T).argmin(1)


def straight_through(z: torch.Tensor, sums: torch.Tensor, valid: torch.Tensor | None) -> Quantised:
    """Output and losses of a quantiser whose choice of codewords has no gradient.

    The decoder reads z + sg(zhat - z), so that its gradient reaches the encoder. The codebook loss
    |sg(z) - zhat^(l)|^2 and the commitment loss |z - sg(zhat^(l))|^2 are means over vectors and
    their numbers, summed over the codebooks l (ECG-Tok, section 2.2, corrected: see `train`).

    Args:
        z: latent vectors (N, D).
        sums: their reconstructions after 1, 2, ... codebooks, (S, N, D).
        valid: boolean (N,), the vectors that count in the losses; all if None.
    """
    quantised = z + (sums[-1] - z).detach()
    if valid is not None:
        z, sums = z[valid], sums[:, valid]
    return quantised, _squared(sums, z.detach()), _squared(sums.detach(), z)


def _squared(sums: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
    """Sum over codebooks of the mean |zhat^(l) - z|^2; sums (S, N, D), z (N, D)."""
    return (sums - z).square().mean((1, 2)).sum()


@torch.no_grad()
def kmeans(x: torch.Tensor, k: int, rounds: int, generator: torch.Generator) -> torch.Tensor:
    """Lloyd's algorithm from k random points, empty clusters redrawn: x (N, D) -> (k, D). Raises
    ValueError: fewer than k points."""
    if len(x) < k:
        raise ValueError(
            f"expected at least {k} latent vectors for k-means, got {len(x)}; "
            "give more ECGs or use fewer codewords"
        )
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
def initialise_kmeans(quantiser: nn.Module, z: torch.Tensor, generator: torch.Generator) -> None:
    """Fill one codebook after the other with k-means of the residuals; z (N, D), N >= codewords."""
    residual = z
    for codebook in quantiser.codebooks:
        codebook.copy_(kmeans(residual, quantiser.codewords, 10, generator))
        residual = residual - codebook[nearest(residual, codebook)]


@torch.no_grad()
def initialise_uniform(quantiser: nn.Module, generator: torch.Generator) -> None:
    """The released initialisation: uniform within sqrt(6 / (K D)), whatever the data."""
    for codebook in quantiser.codebooks:
        bound = (6.0 / codebook.numel()) ** 0.5
        codebook.copy_(bound * (2.0 * torch.rand(codebook.shape, generator=generator) - 1.0))


@torch.no_grad()
def revive(quantiser: nn.Module, z: torch.Tensor, generator: torch.Generator) -> int:
    """Move codewords that none of the vectors z (N, D) chooses onto random residuals of these.

    A codeword far from all data is never chosen and therefore never receives a gradient. N should
    be many times the number of codewords: with few vectors, codewords in use can stay unchosen by
    chance. Each vector revives one codeword per codebook at most.

    Returns how many codewords were moved.
    """
    codes = quantiser.encode(z)
    sums, moved = quantiser.partial_sums(codes), 0
    for i, codebook in enumerate(quantiser.codebooks):
        residual = z - sums[i - 1] if i else z
        used = torch.bincount(codes[:, i], minlength=quantiser.codewords)
        dead = (used == 0).nonzero()[: len(z), 0]
        codebook[dead] = residual[torch.randperm(len(z), generator=generator)[: len(dead)]]
        moved += len(dead)
    return moved
