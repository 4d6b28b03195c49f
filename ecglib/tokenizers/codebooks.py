"""Learned codebooks: their search, loss and initialisation, and the revival of dead codewords.

K-means and revival are in neither ECG-Tok's text nor its released code. Both are options of the
training (`init`, `revive_every`), and notebook 02 shows their effect. So are the running means and
the rotated gradient of the released code (`released`).
"""

import math

import torch
from torch import nn

DECAY = 0.8  # of the running means, as released
PIECE = 1024  # vectors whose distances from all codewords are in memory at a time
Quantised = tuple[torch.Tensor, torch.Tensor, torch.Tensor]
"""Quantised vectors (N, D), codebook loss, commitment loss."""


def distances(x: torch.Tensor, codebook: torch.Tensor) -> torch.Tensor:
    """|x - c|^2 - |x|^2 = |c|^2 - 2 x.c, of x (N, D) from a codebook (K, D): (N, K).
    What it leaves out is the same for all codewords."""
    return torch.addmm(codebook.square().sum(1), x, codebook.T, alpha=-2)


def nearest(x: torch.Tensor, codebook: torch.Tensor) -> torch.Tensor:
    """Index of the nearest codeword: x (N, D), codebook (K, D) -> (N,).
    The distances of `PIECE` vectors fit the processor's cache."""
    return torch.cat([distances(part, codebook).min(1).indices for part in x.split(PIECE)])


def smallest(distance: torch.Tensor, count: int) -> torch.Tensor:
    """Positions of the `count` smallest of distance (..., K), or of all K where there are fewer."""
    if count > 4:
        return distance.topk(min(count, distance.shape[-1]), largest=False).indices
    best, values = [], []  # a few are faster than `topk`, and `min` is faster than `argmin`
    for _ in range(min(count, distance.shape[-1])):
        value, index = distance.min(-1, keepdim=True)
        distance.scatter_(-1, index, math.inf)  # put back below, which is faster than a copy
        best.append(index)
        values.append(value)
    for index, value in zip(best, values, strict=True):
        distance.scatter_(-1, index, value)
    return torch.cat(best, -1)


def straight_through(
    z: torch.Tensor, sums: torch.Tensor, valid: torch.Tensor | None, rotation: bool = False
) -> Quantised:
    """Output and losses of a quantiser whose choice of codewords has no gradient.

    The decoder reads z + sg(zhat - z), so that its gradient reaches the encoder. With zhat^(l) the
    sum of what the first l codebooks add, the codebook loss is the mean over codebooks of |sg(z) -
    zhat^(l)|^2 and the commitment loss that of |z - sg(zhat^(l))|^2, each a mean over vectors and
    their numbers too (ECG-Tok, section 2.2, corrected: see `train`; the mean over codebooks is that
    of the released code). The codebook loss is that of QINCo's papers: the term of a codebook also
    moves the codebooks before it. RVQ's released codebooks follow their own residuals only.

    Args:
        z: latent vectors (N, D).
        sums: their reconstructions after 1, 2, ... codebooks, (S, N, D).
        valid: boolean (N,), the vectors that count in the losses; all if None.
        rotation: rotate the decoder's gradient, see `rotate`.
    """
    zhat = sums[-1].detach()
    quantised = rotate(z, zhat) if rotation else z + (zhat - z).detach()
    if valid is not None:
        z, sums = z[valid], sums[:, valid]
    codebook_loss = (sums - z.detach()).square().mean()
    return quantised, codebook_loss, (sums.detach() - z).square().mean()


def residuals_of(z: torch.Tensor, sums: torch.Tensor) -> torch.Tensor:
    """What each codebook quantises: z (N, D) less the sum before it, of sums (S, N, D)."""
    return torch.cat([z[None], z - sums[:-1]])


def rotate(z: torch.Tensor, zhat: torch.Tensor) -> torch.Tensor:
    """zhat (N, D), written as a fixed rotation and scaling of z (N, D).

    The rotation trick (Fifty et al. 2024): with R the rotation in the plane of both that turns z
    into the direction of zhat, the output is (|zhat| / |z|) R z with R and the factor constant, so
    the gradient is turned with the vector instead of copied. Here z is turned into the sum of all
    codewords; the library behind the released code turns each codebook's residual.
    """
    length, target = (v.detach().norm(dim=-1, keepdim=True).clamp(min=1e-6) for v in (z, zhat))
    source, toward = z.detach() / length, zhat.detach() / target
    half = nn.functional.normalize(source + toward, dim=-1)
    turned = z - 2 * (z * half).sum(-1, keepdim=True) * half
    turned = turned + 2 * (z * source).sum(-1, keepdim=True) * toward
    return turned * (target / length)


@torch.no_grad()
def follow(quantiser: nn.Module, z: torch.Tensor, codes: torch.Tensor) -> None:
    """After an update: count which codewords were chosen; move them where training averages.

    Args:
        quantiser: its `idle` (S, K) counts the updates since each codeword was last chosen. Where
            it `averages`, each codeword becomes the running mean of the residuals that chose it,
            as in the released code: decay 0.8, counts `uses` (S, K) smoothed by 1e-5.
        z: the vectors that count (N, D), and their codes (N, S).
    """
    offsets = torch.arange(codes.shape[1], device=z.device) * quantiser.codewords
    flat = (codes + offsets).flatten()
    counts = torch.zeros_like(quantiser.idle)  # no `bincount`: --dry-run has no data
    counts.view(-1).index_add_(0, flat, torch.ones_like(flat, dtype=counts.dtype))
    quantiser.idle.copy_(torch.where(counts > 0, 0, quantiser.idle + 1))
    if not quantiser.averages:
        return
    uses, residuals = quantiser.uses, residuals_of(z, quantiser.partial_sums(codes))
    totals = torch.zeros_like(quantiser.codebooks)
    for total, index, residual in zip(totals, codes.unbind(1), residuals, strict=True):
        total.index_add_(0, index, residual)
    means = DECAY * quantiser.codebooks * _smooth(uses) + (1 - DECAY) * totals
    uses.copy_(DECAY * uses + (1 - DECAY) * counts)
    quantiser.codebooks.copy_(means / _smooth(uses))


def _smooth(uses: torch.Tensor) -> torch.Tensor:
    """Counts (S, K) with 1e-5 added to each and their totals unchanged, as (S, K, 1)."""
    total = uses.sum(1, keepdim=True)
    return ((uses + 1e-5) / (total + 1e-5 * uses.shape[1]) * total)[..., None]


@torch.no_grad()
def kmeans(x: torch.Tensor, k: int, rounds: int, generator: torch.Generator) -> torch.Tensor:
    """Lloyd's algorithm from k random points, empty clusters redrawn: x (N, D) -> (k, D). Raises
    ValueError: fewer than k points."""
    if len(x) < k:
        text = f"expected at least {k} latent vectors for k-means, got {len(x)}"
        raise ValueError(f"{text}; give more ECGs or use fewer codewords")
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
def revive(quantiser: nn.Module, z: torch.Tensor, patience: int, generator: torch.Generator) -> int:
    """Move codewords that no vector of the last `patience` updates has chosen onto residuals.

    A codeword far from all data is never chosen and therefore never receives a gradient. One batch
    is too few to call a codeword dead: those in use can stay unchosen by chance. The residuals are
    random ones of the vectors z (N, D), each of which revives one codeword per codebook at most.

    Returns how many codewords were moved.
    """
    residuals, moved = residuals_of(z, quantiser.partial_sums(quantiser.encode(z))), 0
    for i, codebook in enumerate(quantiser.codebooks):
        dead = (quantiser.idle[i] >= patience).nonzero()[: len(z), 0]
        drawn = torch.randperm(len(z), generator=generator)[: len(dead)]
        codebook[dead] = residuals[i][drawn.to(z.device)]
        quantiser.idle[i][dead] = 0
        moved += len(dead)
    return moved
