"""Vector quantisation, ECG-Tok's first baseline: s = argmin_k |z - c_k|^2;  zhat = c_s.

It is residual quantisation with one codebook, loss included.
"""

from ecglib.tokenizers.rvq import ResidualVQ


class VQ(ResidualVQ):
    """One codebook of `codewords` vectors in `dim` dimensions; `released` as in `ResidualVQ`."""

    method = "vq"

    def __init__(self, dim: int, codewords: int, released: bool = False):
        super().__init__(dim, 1, codewords, released)

    def config(self) -> dict:
        """The arguments of an equal, untrained instance."""
        return {key: value for key, value in super().config().items() if key != "codebooks"}
