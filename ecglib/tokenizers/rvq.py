"""Residual vector quantisation: each codebook codes the residual of the codebooks before it.

r^(1) = z;  s^(l) = argmin_k |r^(l) - c_k^(l)|^2;  r^(l+1) = r^(l) - c_s^(l);  zhat = sum_l c_s^(l)
(ECG-Tok, section 2.2, with adaptive codewords replaced by fixed ones). VQ is the case of one.
"""

from itertools import accumulate

import torch
from torch import nn

from ecglib.tokenizers.codebooks import Quantised, follow, nearest, straight_through


class ResidualVQ(nn.Module):
    """`codebooks` codebooks of `codewords` vectors in `dim` dimensions.

    `released`: train as the released code does. Codewords follow the mean of the residuals that
    choose them (`codebooks.follow`) and have no gradient; the decoder's gradient is rotated
    (`codebooks.rotate`).
    """

    method = "rvq"

    def __init__(self, dim: int, codebooks: int, codewords: int, released: bool = False):
        super().__init__()
        self.dim, self.codes_per_vector, self.codewords = dim, codebooks, codewords
        self.released = released
        self.codebooks = nn.Parameter(torch.zeros(codebooks, codewords, dim))
        # Updates since each codeword was last chosen; saved, so that a resumed training agrees.
        self.register_buffer("idle", torch.zeros(codebooks, codewords, dtype=torch.int32))
        if self.averages:
            self.register_buffer("uses", torch.ones(codebooks, codewords))

    @property
    def averages(self) -> bool:
        """Whether running means update the codebooks, and no gradient."""
        return self.released

    def config(self) -> dict:
        """The arguments of an equal, untrained instance."""
        sizes = {"dim": self.dim, "codebooks": self.codes_per_vector, "codewords": self.codewords}
        return sizes | ({"released": True} if self.released else {})

    def first(self, count: int) -> "ResidualVQ":
        """The quantiser of the first `count` codebooks; all of them are itself."""
        if count == self.codes_per_vector:
            return self
        fewer = type(self)(**self.config() | {"codebooks": count})
        own, kept = self.state_dict(), fewer.state_dict()
        fewer.load_state_dict({name: own[name][: len(kept[name])] for name in kept})
        return fewer.train(self.training)

    def forward(self, z: torch.Tensor, valid: torch.Tensor | None = None) -> Quantised:
        """z (N, D), valid (N,) -> quantised (N, D), codebook loss, commitment loss."""
        codes = self.encode(z)
        output = self._terms(z, codes, valid)
        if self.training:
            inside = slice(None) if valid is None else valid
            follow(self, z.detach()[inside], codes[inside])
        return output

    def _terms(self, z: torch.Tensor, codes: torch.Tensor, valid: torch.Tensor | None) -> Quantised:
        """Output and losses for the codes (N, S) of z (N, D)."""
        sums = self.partial_sums(codes)
        return straight_through(z, sums.detach() if self.averages else sums, valid, self.released)

    @torch.no_grad()
    def encode(self, z: torch.Tensor) -> torch.Tensor:
        """z (N, D) -> codes (N, S)."""
        residual, codes = z, []
        for codebook in self.codebooks:
            index = nearest(residual, codebook)
            codes.append(index)
            residual = residual - codebook[index]
        return torch.stack(codes, 1)

    def partial_sums(self, codes: torch.Tensor) -> torch.Tensor:
        """codes (N, S) -> reconstructions after 1, 2, ... codebooks, (S, N, D)."""
        pairs = zip(codes.unbind(1), self.codebooks, strict=True)
        words = [nn.functional.embedding(index, codebook) for index, codebook in pairs]
        return torch.stack(list(accumulate(words)))

    def decode(self, codes: torch.Tensor) -> torch.Tensor:
        """codes (N, S) -> zhat (N, D)."""
        return self.partial_sums(codes)[-1]
