"""QINCo: residual quantisation with implicit neural codebooks (Huijben et al. 2024; ECG-Tok, 2.2).

The codewords of codebook l depend on the reconstruction by the codebooks before it:
    c_k^(l) = f_l(zhat^(l-1), base_k^(l)) = base_k + Delta_l(zhat^(l-1), base_k)
The base codeword is added back (Meta's form), and Delta is zero at first. A fresh QINCo therefore
equals the RVQ whose codebooks it copies, and the two can be compared from one initial state.

Adapting all K codewords for every vector costs K times the work of adapting the chosen one. As in
QINCo2, only the A codewords whose base is nearest are adapted and compared (`candidates`; A = K is
the exact search).
"""

import torch
from torch import nn

from ecglib.tokenizers.rvq import ResidualVQ

GATE_RATE = 10.0  # factor on the gate's learning rate; at 1 it hardly opens in a short run


class Adapt(nn.Module):
    """Delta_l of one codebook: a residual MLP on (base codeword, partial reconstruction).

    The first layer is linear in the concatenation of both. It is therefore computed once per
    codeword and once per reconstruction, and a pair adds the two results.
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

    def candidates(
        self, codebook: torch.Tensor, index: torch.Tensor, partial: torch.Tensor
    ) -> torch.Tensor:
        """codebook (K, D), index (N, A), partial (N, D) -> the A adapted codewords (N, A, D)."""
        h = self.from_base(codebook)[index] + self.from_sum(partial)[:, None]
        return self._refine(codebook[index], h)

    def _refine(self, base: torch.Tensor, h: torch.Tensor) -> torch.Tensor:
        for block in self.blocks:
            h = h + block(h)
        return base + GATE_RATE * self.gate * h


class QINCo(ResidualVQ):
    """Base codebooks, and for each but the first a network that adapts its codewords.

    The codebook loss trains the codebooks and the networks.

    Args:
        dim: D of the latent vectors.
        codebooks, codewords: S codebooks of K vectors.
        hidden, blocks: width and number of the residual blocks of each network.
        candidates: A, how many codewords are adapted and compared per vector.

    Raises:
        ValueError: fewer than one candidate, or more candidates than codewords.
    """

    method = "qinco"

    def __init__(
        self, dim: int, codebooks: int, codewords: int, hidden: int, blocks: int, candidates: int
    ):
        super().__init__(dim, codebooks, codewords)
        if not 1 <= candidates <= codewords:
            raise ValueError(
                f"expected 1 to {codewords} candidates, one per codeword at most, got {candidates}"
            )
        self._networks = {"hidden": hidden, "blocks": blocks, "candidates": candidates}
        self.adapt = nn.ModuleList(Adapt(dim, hidden, blocks) for _ in range(codebooks - 1))

    def config(self) -> dict:
        """The arguments of an equal, untrained instance."""
        return super().config() | self._networks

    @torch.no_grad()
    def encode(self, z: torch.Tensor, chunk: int = 4096) -> torch.Tensor:
        """z (N, D) -> codes (N, S): of each codebook the candidate that is nearest when adapted."""
        return torch.cat([self._encode(part) for part in z.split(chunk)])

    def _encode(self, z: torch.Tensor) -> torch.Tensor:
        partial, codes = torch.zeros_like(z), []
        each = torch.arange(len(z), device=z.device)
        for i, codebook in enumerate(self.codebooks):
            residual = z - partial
            distance = codebook.square().sum(1) - 2 * residual @ codebook.T  # without |residual|^2
            if i == 0:  # the first codebook is not adapted
                index = distance.argmin(1)
                words = codebook[index]
            else:
                near = distance.topk(self._networks["candidates"], largest=False).indices
                adapted = self.adapt[i - 1].candidates(codebook, near, partial)
                best = (residual[:, None] - adapted).square().sum(-1).argmin(1)
                index, words = near[each, best], adapted[each, best]
            codes.append(index)
            partial = partial + words
        return torch.stack(codes, 1)

    def partial_sums(self, codes: torch.Tensor) -> torch.Tensor:
        """codes (N, S) -> reconstructions after 1, 2, ... codebooks, (S, N, D)."""
        partial = self.codebooks[0][codes[:, 0]]
        sums = [partial]
        for i, adapt in enumerate(self.adapt, 1):
            partial = partial + adapt(self.codebooks[i][codes[:, i]], partial)
            sums.append(partial)
        return torch.stack(sums)
