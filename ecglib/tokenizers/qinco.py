"""QINCo: residual quantisation with implicit neural codebooks (Huijben et al. 2024; ECG-Tok, 2.2).

The codewords of codebook l depend on the reconstruction x by the codebooks before it. The network
is that of QINCo2 (Vallaeys et al. 2025), with e as wide as `width`:

    e = P c;   e <- e + W [e, x] + b;   e <- e + V relu(U e), `blocks` times;   f(c, x) = c + Q e

Ours, not the papers': Q is zero before training. A fresh QINCo therefore equals the RVQ whose
codebooks it copies, and the two are compared from one initial state. Adapting all K codewords for
every vector costs K times the work of adapting the chosen one. As in QINCo2, the A nearest base
codewords are pre-selected and compared (`candidates`; A = K is the exact search of 2024). The form
of 2024, the beam and the learned pre-selection are in `tests/qinco_published.py`.
"""

import torch
from torch import nn

from ecglib.tokenizers.codebooks import distances, smallest
from ecglib.tokenizers.rvq import ResidualVQ

# No paper has exactly the numbers of "paper". QINCo (2024) has hidden layers of 256, 4 blocks and
# no `width`, and compares all codewords. QINCo2 (2025) pre-selects 16 by further codebooks. Its
# sizes are width 128, hidden 256 and 2 blocks (S), and 384, 384 and 4 or 16 blocks (M, L).
SIZES = {
    "fast": {"width": 16, "hidden": 32, "blocks": 1, "candidates": 2},
    "accurate": {"width": 64, "hidden": 128, "blocks": 2, "candidates": 4},
    "paper": {"width": 256, "hidden": 256, "blocks": 4, "candidates": 16},
}
"""Registered sizes: of the benchmarks of speed, of the claims of accuracy, of the profile `gpu`."""

_embedding = nn.functional.embedding  # (index, codebook) -> codewords


class Adapt(nn.Module):
    """f of one codebook.

    The first layer is linear in [e, x]. Its part in e is computed once per codeword (`bases`), its
    part in x once per vector, and a pair adds the two results.
    """

    def __init__(self, dim: int, width: int, hidden: int, blocks: int):
        super().__init__()
        self.project = nn.Linear(dim, width, bias=False)
        self.from_base = nn.Linear(width, width)
        self.from_sum = nn.Linear(dim, width, bias=False)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.Linear(width, hidden, bias=False),
                nn.ReLU(inplace=True),
                nn.Linear(hidden, width, bias=False),
            )
            for _ in range(blocks)
        )
        self.back = nn.Linear(width, dim, bias=False)
        nn.init.zeros_(self.back.weight)

    def bases(self, codebook: torch.Tensor) -> torch.Tensor:
        """The part of e in c alone, of all codewords: (K, dim) -> (K, width)."""
        e = self.project(codebook)
        return e + self.from_base(e)

    def forward(self, base: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
        """e (..., width) after the blocks, from its two parts: that of the codewords, that of x."""
        e = base + shift
        for block in self.blocks:
            e = e + block(e)
        return e


class QINCo(ResidualVQ):
    """Base codebooks, and for each but the first a network that adapts its codewords.

    The codebook loss trains the codebooks and the networks.

    Args:
        width: numbers in e.
        hidden: width of the layers U.
        blocks: residual blocks per network.
        candidates: codewords A that are adapted and compared for each vector.
        released: rotate the decoder's gradient; QINCo's codebooks are trained by gradient, as
            released.

    Raises ValueError: less than one candidate, or more candidates than codewords.
    """

    method = "qinco"
    averages = False

    def __init__(
        self,
        dim: int,
        codebooks: int,
        codewords: int,
        width: int,
        hidden: int,
        blocks: int,
        candidates: int,
        released: bool = False,
    ):
        super().__init__(dim, codebooks, codewords, released)
        if not 1 <= candidates <= codewords:
            raise ValueError(
                f"expected 1 to {codewords} candidates, one per codeword at most, got {candidates}"
            )
        self.networks = {"width": width, "hidden": hidden, "blocks": blocks}
        self.networks |= {"candidates": candidates}
        self.candidates = candidates
        parts = (Adapt(dim, width, hidden, blocks) for _ in range(codebooks - 1))
        self.adapt = nn.ModuleList(parts)

    def config(self) -> dict:
        """The arguments of an equal, untrained instance."""
        return super().config() | self.networks

    @torch.no_grad()
    def encode(self, z: torch.Tensor, chunk: int = 4096) -> torch.Tensor:
        """z (N, D) -> codes (N, S): in each codebook the nearest of the adapted candidates."""
        return torch.cat([self._encode(part) for part in z.split(chunk)])

    def _encode(self, z: torch.Tensor) -> torch.Tensor:
        """The same, for as many vectors as are in memory at a time."""
        zhat, codes = torch.zeros_like(z), []
        for i, codebook in enumerate(self.codebooks):
            r = z - zhat
            distance = distances(r, codebook)  # less |r|^2, (N, K)
            if i == 0:  # the first codebook is not adapted
                codes.append(distance.min(1).indices)
                zhat = codebook[codes[0]]
                continue
            adapt, index = self.adapt[i - 1], smallest(distance, self.candidates)  # (N, A)
            base = _embedding(index, adapt.bases(codebook))
            e = adapt(base, adapt.from_sum(zhat)[:, None])  # (N, A, width)
            # |r - c - Q e|^2 = |r - c|^2 - 2 (r - c)Q e + |Q e|^2: no adapted codeword is made.
            q = adapt.back.weight
            across = (r @ q)[:, None] - _embedding(index, codebook @ q)
            distance = distance.gather(1, index) + ((e @ (q.T @ q) - 2 * across) * e).sum(-1)
            best = distance.argmin(1, keepdim=True)
            codes.append(index.gather(1, best)[:, 0])
            zhat = zhat + codebook[codes[-1]] + e[torch.arange(len(e)), best[:, 0]] @ q.T
        return torch.stack(codes, 1)

    def partial_sums(self, codes: torch.Tensor) -> torch.Tensor:
        """codes (N, S) -> reconstructions after 1, 2, ... codebooks, (S, N, D)."""
        sums = [_embedding(codes[:, 0], self.codebooks[0])]
        for adapt, codebook, index in zip(
            self.adapt, self.codebooks[1:], codes.unbind(1)[1:], strict=True
        ):
            e = adapt(_embedding(index, adapt.bases(codebook)), adapt.from_sum(sums[-1]))
            sums.append(sums[-1] + _embedding(index, codebook) + adapt.back(e))
        return torch.stack(sums)
