"""QINCo: residual quantisation with implicit neural codebooks (Huijben et al. 2024; ECG-Tok, 2.2).

A stage's codewords depend on what has been reconstructed so far:
    c_k^(l) = f_l(zhat^(l-1), base_k^(l)) = base_k + Delta_l(zhat^(l-1), base_k)
The base codeword is added back (Meta's form), and Delta starts at zero, so a fresh QINCo equals the
RVQ whose codebooks it copies: the two can be compared from one starting point.

To adapt all K codewords for every vector costs K times the work of the one that is chosen. So, as
QINCo2 does, only the A codewords whose base is nearest are adapted and compared (`candidates`;
A = K is the exact search).
"""

import torch
from torch import nn

GATE_RATE = 10.0  # the gate learns ten times as fast as the rest, or it stays shut in a short run


class Adapt(nn.Module):
    """Delta_l of one stage: a residual MLP on (base codeword, partial reconstruction).

    The first layer is linear in the concatenation, so it splits into a part that depends on the
    codeword alone and one on the reconstruction alone; pairs only add the two up.
    """

    def __init__(self, dim: int, hidden: int, blocks: int):
        super().__init__()
        self.from_base = nn.Linear(dim, dim)
        self.from_sum = nn.Linear(dim, dim, bias=False)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Linear(dim, hidden), nn.ReLU(), nn.Linear(hidden, dim))
            for _ in range(blocks)
        )
        self.gate = nn.Parameter(torch.zeros(dim))

    def forward(self, base: torch.Tensor, partial: torch.Tensor) -> torch.Tensor:
        """base (N, D), partial (N, D) -> adapted codewords (N, D), pair by pair."""
        return self._refine(base, self.from_base(base) + self.from_sum(partial))

    def of_book(
        self, codebook: torch.Tensor, index: torch.Tensor, partial: torch.Tensor
    ) -> torch.Tensor:
        """codebook (K, D), index (N, A), partial (N, D) -> the A adapted codewords (N, A, D)."""
        h = self.from_base(codebook)[index] + self.from_sum(partial)[:, None]
        return self._refine(codebook[index], h)

    def _refine(self, base: torch.Tensor, h: torch.Tensor) -> torch.Tensor:
        for block in self.blocks:
            h = h + block(h)
        return base + GATE_RATE * self.gate * h


class QINCo(nn.Module):
    """`stages` base codebooks, and from the second stage on a network that adapts them.

    Args:
        dim: D of the latent vectors.
        stages, codewords: S codebooks of K vectors.
        hidden, blocks: width and number of the residual blocks of each stage's network.
        candidates: A, how many codewords are adapted and compared for each vector.
    """

    method = "qinco"

    def __init__(
        self, dim: int, stages: int, codewords: int, hidden: int, blocks: int, candidates: int
    ):
        super().__init__()
        if not 1 <= candidates <= codewords:
            raise ValueError(f"candidates must lie in 1 to {codewords}, got {candidates}")
        self.dim, self.stages, self.codewords = dim, stages, codewords
        self.hidden, self.n_blocks, self.candidates = hidden, blocks, candidates
        self.codebooks = nn.Parameter(torch.zeros(stages, codewords, dim))
        self.adapt = nn.ModuleList(Adapt(dim, hidden, blocks) for _ in range(stages - 1))

    def config(self) -> dict:
        """What rebuilds an equal, untrained instance."""
        return {
            "dim": self.dim,
            "stages": self.stages,
            "codewords": self.codewords,
            "hidden": self.hidden,
            "blocks": self.n_blocks,
            "candidates": self.candidates,
        }

    @torch.no_grad()
    def assign(self, z: torch.Tensor, chunk: int = 4096) -> torch.Tensor:
        """z (N, D) -> codes (N, stages): of each stage's candidates the adapted one nearest."""
        return torch.cat([self._assign(part) for part in z.split(chunk)])

    def _assign(self, z: torch.Tensor) -> torch.Tensor:
        partial, codes = torch.zeros_like(z), []
        each = torch.arange(len(z), device=z.device)
        for stage, book in enumerate(self.codebooks):
            residual = z - partial
            distance = book.square().sum(1) - 2 * residual @ book.T  # without |residual|^2
            if stage == 0:  # nothing has been reconstructed: the base codewords are the codewords
                index = distance.argmin(1)
                words = book[index]
            else:
                near = distance.topk(self.candidates, largest=False).indices
                adapted = self.adapt[stage - 1].of_book(book, near, partial)
                best = (residual[:, None] - adapted).square().sum(-1).argmin(1)
                index, words = near[each, best], adapted[each, best]
            codes.append(index)
            partial = partial + words
        return torch.stack(codes, 1)

    def partial_sums(self, codes: torch.Tensor) -> torch.Tensor:
        """codes (N, stages) -> reconstructions after 1, 2, ... stages, (stages, N, D)."""
        partial = self.codebooks[0][codes[:, 0]]
        sums = [partial]
        for stage in range(1, self.stages):
            base = self.codebooks[stage][codes[:, stage]]
            partial = partial + self.adapt[stage - 1](base, partial)
            sums.append(partial)
        return torch.stack(sums)

    def decode(self, codes: torch.Tensor) -> torch.Tensor:
        """codes (N, stages) -> zhat (N, D)."""
        return self.partial_sums(codes)[-1]
