"""QINCo with all options of its two papers: published weights can be copied into it.

The library has the form that it trains (`ecglib.tokenizers.qinco`); the tests compare both with the
papers' equations.

The codewords of codebook l depend on the reconstruction x by the codebooks before it. The network
is that of QINCo2 (Vallaeys et al. 2025), with e as wide as `width`:

    e = P c;   e <- e + W [e, x] + b;   e <- e + V relu(U e), `blocks` times;   f(c, x) = c + Q e

The form `qinco` is that of 2024, which ECG-Tok cites. It has no P and Q: e is as wide as the
latents, and f(c, x) = e. Published weights can be copied into either form.

Ours, not the papers': Q (in the form `qinco`: W and V) is zero before training. A fresh QINCo
therefore equals the RVQ whose codebooks it copies, and the two are compared from one initial state.

Adapting all K codewords for every vector costs K times the work of adapting the chosen one. As in
QINCo2, A codewords are pre-selected and compared (`candidates`; A = K is the exact search of 2024),
and a beam keeps the best B sums. QINCo2 learns codebooks for the pre-selection (`preselection`);
without them the codewords themselves serve.
"""

from typing import NamedTuple

import torch
from torch import nn

from ecglib.tokenizers.codebooks import Quantised, residuals_of, smallest, straight_through
from ecglib.tokenizers.rvq import ResidualVQ

FORMS = ("qinco2", "qinco")
_embedding = nn.functional.embedding  # (index, codebook) -> codewords


class Adapt(nn.Module):
    """f of one codebook.

    The first layer is linear in [e, x]. Its part in e is computed once per codeword (`bases`, for
    all codebooks at once) and its part in x once per sum; a pair adds the two results.
    """

    def __init__(self, dim: int, hidden: int, blocks: int, width: int, form: str):
        super().__init__()
        skip = form == "qinco2"
        self.project = nn.Linear(dim, width, bias=False) if skip else nn.Identity()
        self.from_base = nn.Linear(width, width)
        self.from_sum = nn.Linear(dim, width, bias=False)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.Linear(width, hidden, bias=False),
                nn.ReLU(),
                nn.Linear(hidden, width, bias=False),
            )
            for _ in range(blocks)
        )
        self.back = nn.Linear(width, dim, bias=False) if skip else nn.Identity()
        last = [self.from_base, self.from_sum, *(block[2] for block in self.blocks)]
        for layer in [self.back] if skip else last:
            for parameter in layer.parameters():
                nn.init.zeros_(parameter)

    def forward(self, start: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
        """e (..., width) after the blocks, from its two parts: that of the codewords, that of x."""
        e = start + shift
        for block in self.blocks:
            e = e + block(e)
        return e


class Known(NamedTuple):
    """What a search needs of one codebook and its network, the same for all vectors."""

    base: torch.Tensor  # (K, width), of `PublishedQINCo.bases`
    across: torch.Tensor  # (K, width), c Q of each codeword; unused in the form `qinco`
    gram: torch.Tensor  # (width, width), Q^T Q; unused in the form `qinco`


class PublishedQINCo(ResidualVQ):
    """Base codebooks, and for each but the first a network that adapts its codewords.

    The codebook loss trains the codebooks and the networks.

    Args:
        hidden: width of the layers U.
        blocks: residual blocks per network.
        candidates: codewords A that are adapted and compared for each vector and sum.
        width: numbers in e, as many as `dim` if None.
        form: `qinco2`, or `qinco` for the network of 2024.
        beam: sums B that are kept after each codebook.
        preselection: learn codebooks for the pre-selection. They are stored as differences
            `selection` from the codewords, and their loss is part of the codebook loss.
        released: rotate the decoder's gradient; QINCo's codebooks are trained by gradient, as
            released.

    Raises ValueError: less than one candidate, more candidates than codewords, an unknown form, or
    a width with the form `qinco`.
    """

    method = "qinco"
    averages = False

    def __init__(
        self,
        dim: int,
        codebooks: int,
        codewords: int,
        hidden: int,
        blocks: int,
        candidates: int,
        width: int | None = None,
        form: str = "qinco2",
        beam: int = 1,
        preselection: bool = False,
        released: bool = False,
    ):
        super().__init__(dim, codebooks, codewords, released)
        if not 1 <= candidates <= codewords:
            raise ValueError(
                f"expected 1 to {codewords} candidates, one per codeword at most, got {candidates}"
            )
        if form not in FORMS or (form == "qinco" and width not in (None, dim)):
            known = f"{', '.join(FORMS)}, the second without a width"
            raise ValueError(f"expected a form out of {known}, got {form!r} and width {width}")
        self._networks = {"hidden": hidden, "blocks": blocks, "candidates": candidates}
        self._networks |= {"width": width, "form": form, "beam": beam, "preselection": preselection}
        self.candidates, self.beam, self.form = candidates, beam, form
        self.adapt = nn.ModuleList(
            Adapt(dim, hidden, blocks, width or dim, form) for _ in range(codebooks - 1)
        )
        zeros = torch.zeros(codebooks - 1, codewords, dim)
        self.selection = nn.Parameter(zeros) if preselection else None

    def config(self) -> dict:
        """The arguments of an equal, untrained instance."""
        return super().config() | self._networks

    def _terms(self, z: torch.Tensor, codes: torch.Tensor, valid: torch.Tensor | None) -> Quantised:
        """Output and losses for the codes (N, S) of z (N, D), the pre-selection's included."""
        sums = self.partial_sums(codes)
        quantised, codebook_loss, commitment_loss = straight_through(z, sums, valid, self.released)
        if self.selection is not None:
            books = self.codebooks[1:].detach() + self.selection
            near = [_embedding(codes[:, i], book) for i, book in enumerate(books, 1)]
            residuals = residuals_of(z, sums)[1:].detach()
            errors = (torch.stack(near) - residuals).square().mean(-1)  # (S - 1, N)
            codebook_loss = codebook_loss + (errors if valid is None else errors[:, valid]).mean()
        return quantised, codebook_loss, commitment_loss

    @torch.no_grad()
    def encode(self, z: torch.Tensor, chunk: int = 4096) -> torch.Tensor:
        """z (N, D) -> codes (N, S): those of the best sum that the search keeps."""
        return torch.cat([self._encode(part) for part in z.split(chunk)])

    def bases(self) -> torch.Tensor:
        """The part of e in c alone, P c + W [P c, 0] + b: (S - 1, K, width).
        One product for all codebooks takes less time than one for each."""
        e = self.codebooks[1:]
        if self.form == "qinco2":
            e = e @ torch.stack([part.project.weight for part in self.adapt]).mT
        weight = torch.stack([part.from_base.weight for part in self.adapt])
        bias = torch.stack([part.from_base.bias for part in self.adapt])
        return e + torch.baddbmm(bias[:, None], e, weight.mT)

    def _known(self) -> list[Known]:
        """For each codebook but the first."""
        bases = self.bases() if len(self.adapt) else ()
        if self.form == "qinco" or not len(bases):
            return [Known(base, base, base) for base in bases]
        back = torch.stack([part.back.weight for part in self.adapt])  # (S - 1, D, width)
        return list(map(Known, bases, self.codebooks[1:] @ back, back.mT @ back))

    def _encode(self, z: torch.Tensor) -> torch.Tensor:
        """z (N, D) -> codes (N, S), with B sums per vector in between."""
        partial, codes = z.new_zeros(len(z), 1, self.dim), z.new_zeros(len(z), 1, 0).long()
        index = torch.arange(self.codewords, device=z.device).expand(len(z), 1, -1)
        known = self._known()
        for i, codebook in enumerate(self.codebooks):
            r = z[:, None] - partial  # (N, B, D)
            distance = codebook.square().sum(1) - 2 * r @ codebook.T  # less |r|^2, (N, B, K)
            if i:  # the first codebook is not adapted
                index = self._preselect(i, r, distance)  # (N, B, A)
                shift = self.adapt[i - 1].from_sum(partial)[..., None, :]
                e = self.adapt[i - 1](_embedding(index, known[i - 1].base), shift)
                distance = self._distances(i, known[i - 1], index, e, r, distance)
            last = i + 1 == self.codes_per_vector
            if partial.shape[1] > 1:
                distance = distance + r.square().sum(-1, keepdim=True)
            best = smallest(distance.flatten(1), 1 if last else self.beam)  # (N, B')
            parent, chosen = best // index.shape[2], index.flatten(1).gather(1, best)
            codes = torch.cat([_pick(codes, parent), chosen[..., None]], 2)
            if not last:
                words = self._words(i, chosen, _pick(e.flatten(1, 2), best) if i else None)
                partial = _pick(partial, parent) + words
        return codes[:, 0]

    def _words(self, i: int, index: torch.Tensor, e: torch.Tensor | None) -> torch.Tensor:
        """Codewords (..., D) of codebook i, adapted where there is an e (..., width) of each."""
        if e is not None and self.form == "qinco":
            return e
        words = _embedding(index, self.codebooks[i])
        return words if e is None else words + self.adapt[i - 1].back(e)

    def _distances(
        self,
        i: int,
        known: Known,
        index: torch.Tensor,
        e: torch.Tensor,
        r: torch.Tensor,
        base: torch.Tensor,
    ) -> torch.Tensor:
        """Squared distances of residuals to adapted codewords, less |r|^2.

        The adapted codewords are not made: |r - c - Q e|^2 = |r - c|^2 - 2 (r - c)Q e + |Q e|^2.

        Args:
            i: number of the codebook.
            known: of this codebook.
            index: the codewords that are compared, (..., A).
            e: of these, (..., A, width).
            r: residuals (..., D).
            base: |r - c|^2 less |r|^2, (..., K).
        """
        if self.form == "qinco":
            return e.square().sum(-1) - 2 * (e @ r[..., None])[..., 0]
        across = (r @ self.adapt[i - 1].back.weight)[..., None, :] - _embedding(index, known.across)
        return base.gather(-1, index) + ((e @ known.gram - 2 * across) * e).sum(-1)

    def _preselect(self, i: int, r: torch.Tensor, distance: torch.Tensor) -> torch.Tensor:
        """The A nearest codewords (N, B, A) of codebook i to residuals r (N, B, D)."""
        if self.candidates == self.codewords:
            return torch.arange(self.codewords, device=r.device).expand(*r.shape[:2], -1)
        if self.selection is not None:
            book = self.codebooks[i] + self.selection[i - 1]
            distance = book.square().sum(1) - 2 * r @ book.T
        return smallest(distance, self.candidates)

    def partial_sums(self, codes: torch.Tensor) -> torch.Tensor:
        """codes (N, S) -> reconstructions after 1, 2, ... codebooks, (S, N, D)."""
        sums = [_embedding(codes[:, 0], self.codebooks[0])]
        bases = self.bases() if len(self.adapt) else ()
        for i, (adapt, base) in enumerate(zip(self.adapt, bases, strict=True), 1):
            e = adapt(_embedding(codes[:, i], base), adapt.from_sum(sums[-1]))
            sums.append(sums[-1] + self._words(i, codes[:, i], e))
        return torch.stack(sums)


def _pick(x: torch.Tensor, place: torch.Tensor) -> torch.Tensor:
    """x (N, B, D) at the places (N, B') -> (N, B', D)."""
    if x.shape[1] == 1 and place.shape[1] == 1:
        return x
    return x.gather(1, place[..., None].expand(-1, -1, x.shape[2]))
