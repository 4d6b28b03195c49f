"""Codes of an endless signal: block by block, and the same as of the whole at once.

A code depends on the signal near its position alone (`StridedAutoencoder`, `ChannelNorm`). `reach`
is how near, in positions. So a code is certain as soon as the signal has gone on for `reach`
positions behind it, and what lies further back than that is forgotten. This is ours; the papers
encode recordings of ten seconds.
"""

import copy

import torch
from torch import nn

from ecglib.tokenizers import contract
from ecglib.tokenizers.latent import LatentTokenizer
from ecglib.tokenizers.leadwise import LeadwiseTokenizer
from ecglib.tokenizers.load import Tokenizer
from ecglib.tokenizers.window_pca import N_LEADS

PROBE = 65  # positions of the signal that `reach` tries


def of_length(tokenizer: Tokenizer, samples: int) -> LatentTokenizer | LeadwiseTokenizer:
    """The same tokenizer, with the same weights in memory, for signals of another length.

    Raises ValueError: byte pairs, or a vector per channel, whose codes depend on all samples."""
    if isinstance(tokenizer, LeadwiseTokenizer):
        result = copy.copy(tokenizer)
        sized = result
    elif isinstance(tokenizer, LatentTokenizer) and tokenizer.axis == "time":
        sized = copy.copy(tokenizer.autoencoder)
        result = copy.copy(tokenizer)
        result._modules = tokenizer._modules | {"autoencoder": sized}
    else:
        wanted = "VQ, RVQ, QINCo or FSQ with a vector per time step"
        raise ValueError(f"expected {wanted} to encode a stream, got {type(tokenizer).__name__}")
    sized.samples, sized.positions = samples, -(-samples // sized.hop)
    return result


def hop(tokenizer: LatentTokenizer | LeadwiseTokenizer) -> int:
    """Samples per position."""
    return getattr(tokenizer, "autoencoder", tokenizer).hop


def _dtype(tokenizer: nn.Module) -> torch.dtype:
    """The number format of its weights."""
    return next(of.dtype for of in tokenizer.state_dict().values() if of.is_floating_point())


@torch.no_grad()
def reach(tokenizer: LatentTokenizer | LeadwiseTokenizer) -> int:
    """How many positions on each side a code depends on.

    One sample that is not a number spoils every latent vector that is computed from it, and no
    other. Raises ValueError: the signal of `PROBE` positions is too short to see an end of it.
    """
    size = hop(tokenizer)
    sized = of_length(tokenizer, PROBE * size)
    latents = sized.latents if isinstance(sized, LatentTokenizer) else sized._features
    x, middle = torch.zeros(1, N_LEADS, PROBE * size), PROBE // 2
    x = x.to(_dtype(tokenizer))
    x[:, :, middle * size : (middle + 1) * size] = torch.nan
    spoiled = latents(x).isnan().any(2)[0].nonzero()[:, 0]
    far = int((spoiled - middle).abs().max())
    if far >= middle:
        raise ValueError(f"expected codes that depend on less than {middle} positions on each side")
    return far


class CodeStream:
    """Encodes a signal that arrives in pieces of any length.

    It keeps at most 2 `reach` + `block` positions and the piece that is being fed.

    Args:
        tokenizer: VQ, RVQ, QINCo or FSQ.
        block: positions that are encoded together; more are faster, and later.

    Attributes:
        look_ahead: samples behind a position that must have arrived before its code is certain.
        delay: samples behind a position after which its code has been given; those of the block's
            first position wait for the last one.

    Raises ValueError: a block of no position, or see `of_length` and `reach`.
    """

    def __init__(self, tokenizer: Tokenizer, block: int = 8):
        if block < 1:
            raise ValueError(f"expected blocks of at least one position, got {block}")
        self.tokenizer, self.block = of_length(tokenizer, 0), block
        self.hop, self.reach = hop(self.tokenizer), reach(self.tokenizer)
        self.look_ahead = self.reach * self.hop
        self.delay = self.look_ahead + (block - 1) * self.hop
        self._dtype = _dtype(tokenizer)
        self._kept = torch.zeros(N_LEADS, 0, dtype=self._dtype)
        self._context = 0  # positions at the begin of `_kept` whose codes were given already
        self._is_closed = False

    def feed(self, x: torch.Tensor) -> torch.Tensor:
        """Cleaned signal (12, n) in mV, next in time -> codes (T, S) of the blocks that are whole.

        Raises ValueError: another shape or type, voltages that are not finite, or a closed stream.
        """
        if self._is_closed:
            raise ValueError("the stream was closed; make another one for another signal")
        contract.check_signals(x[None], x.shape[-1])
        if x.dtype != self._dtype:
            raise ValueError(f"expected a signal of {self._dtype}, got {x.dtype}; convert it")
        self._kept = torch.cat([self._kept, x], 1)
        codes = []
        while self._kept.shape[1] >= (self._context + self.block + self.reach) * self.hop:
            codes.append(self._encode(self.block, self.block + self.reach))
        return self._joined(codes)

    def close(self) -> torch.Tensor:
        """The codes (T, S) of what is left; the end is padded with zeros, as of a recording."""
        self._is_closed = True
        left = -(-self._kept.shape[1] // self.hop) - self._context
        missing = (left + self._context) * self.hop - self._kept.shape[1]
        self._kept = nn.functional.pad(self._kept, (0, missing))
        return self._joined([self._encode(left, left)] if left else [])

    def _encode(self, given: int, read: int) -> torch.Tensor:
        """The codes of `given` new positions, from the context and `read` new ones."""
        end = self._context + given
        x = self._kept[:, : (self._context + read) * self.hop]
        codes = of_length(self.tokenizer, x.shape[1]).encode(x[None])[0, self._context : end]
        forgotten = max(0, end - self.reach)
        self._kept, self._context = self._kept[:, forgotten * self.hop :], end - forgotten
        return codes

    def _joined(self, codes: list[torch.Tensor]) -> torch.Tensor:
        quantiser = getattr(self.tokenizer, "quantiser", None)  # FSQ has one code per position
        none = torch.zeros(0, getattr(quantiser, "codes_per_vector", 1), dtype=torch.int64)
        return torch.cat([none, *codes])
