"""DeepSL, the paper's supervised baseline: the classifier of tokens on the raw signal.

The EfficientNetV2 of `efficientnet` behind convolutions with stride that shorten the signal to
about as many positions as the tokens have. Network, batches and loss are those of the heads on
tokens, so the difference is what is read. The paper trains its DeepSL to convergence: here the
weights of the epoch with the lowest validation loss are kept.

The released DeepSL (`s_v2`) is larger and has other sizes; see `deviations`.
"""

import torch
from torch import nn

from ecglib.classify.efficientnet import EfficientNetV2, Norm, TimeConv, strided, valid_positions
from ecglib.signals.leads import LEADS

FIRST_KERNEL, KERNEL = 15, 5  # samples or positions that a convolution of the stem sees


class DeepSL(nn.Module):
    """Signals (B, 12, n) in mV and their valid samples (B,) -> logits (B, labels).

    Args:
        labels: number of outputs.
        stem_widths: channels after each convolution with stride.
        stem_strides: of these convolutions, as many.
        sizes: arguments of the `EfficientNetV2` behind them.

    Raises ValueError: the lists of the stem have different lengths.
    """

    SIZES = ("stem_widths", "stem_strides", *EfficientNetV2.SIZES)

    def __init__(self, labels: int, stem_widths: list[int], stem_strides: list[int], **sizes):
        super().__init__()
        if len(stem_widths) != len(stem_strides) or not stem_widths:
            given = f"got {stem_widths} and {stem_strides}; give one of each per convolution"
            raise ValueError(f"expected as many stem_widths as stem_strides, {given}")
        self.strides, convs, before = list(stem_strides), [], len(LEADS)
        for width, stride in zip(stem_widths, stem_strides, strict=True):
            kernel = KERNEL if convs else FIRST_KERNEL
            convs.append(TimeConv(before, width, kernel, stride))
            before = width
        self.convs = nn.ModuleList(convs)
        self.norms = nn.ModuleList(Norm(width) for width in stem_widths)
        self.network = EfficientNetV2(before, labels, **sizes)
        self._config = {"stem_widths": list(stem_widths), "stem_strides": self.strides}
        self._config |= {k: v for k, v in self.network.config().items() if k != "dim"}

    def config(self) -> dict:
        """Arguments that rebuild an equal, untrained instance."""
        return dict(self._config)

    def stem(self, x: torch.Tensor, lengths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(B, 12, n) mV and samples (B,) -> (B, T, stem_widths[-1]) and valid positions (B,)."""
        h = x.transpose(1, 2)
        for conv, norm, stride in zip(self.convs, self.norms, self.strides, strict=True):
            h = conv(h, valid_positions(lengths, h.shape[1], h.dtype))
            lengths = strided(lengths, stride)
            h = nn.functional.silu(norm(h, valid_positions(lengths, h.shape[1], h.dtype)))
        return h, lengths

    def forward(self, x: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """x (B, 12, n), lengths (B,) samples >= 1 -> logits (B, labels)."""
        return self.network(*self.stem(x, lengths))
