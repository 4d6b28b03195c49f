"""A plain convolutional network on the raw signal: what can be read from an ECG without tokens.

It is compared with the classifiers on tokens, as the networks on the raw signal are in ECG-Tok,
Fig. 2. It gets the stored 12 leads at 250 Hz. Four convolutions with stride shorten them to 128 ms
per position, residual blocks follow, and the mean and the maximum over the positions are
classified. The weights after the last step are scored. Sizes and the number of steps were chosen on
validation patients of simulated cohorts with other seeds.
"""

import numpy as np
import torch
from torch import nn

KERNEL, FIRST_KERNEL = 5, 15  # samples
STRIDES = (4, 2, 2, 2)  # of the first convolutions; the residual blocks have none


class Norm(nn.BatchNorm1d):
    """Batch normalisation of (B, C, T) by the valid positions (B, T) alone; zeros at the others,
    which the next convolution reads like what lies outside. None: all positions are valid."""

    def forward(self, x: torch.Tensor, valid: torch.Tensor | None = None) -> torch.Tensor:
        if valid is None:
            return super().forward(x)
        inside = super().forward(x.mT[valid])  # (positions, C)
        return inside.new_zeros(x.mT.shape).masked_scatter(valid[..., None], inside).mT


class ResidualBlock(nn.Module):
    """x + Conv(ReLU(Norm(Conv(ReLU(Norm(x)))))), (B, C, T) to the same."""

    def __init__(self, width: int):
        super().__init__()
        self.norm1, self.norm2 = Norm(width), Norm(width)
        self.conv1 = nn.Conv1d(width, width, KERNEL, padding=KERNEL // 2)
        self.conv2 = nn.Conv1d(width, width, KERNEL, padding=KERNEL // 2)

    def forward(self, x: torch.Tensor, valid: torch.Tensor | None = None) -> torch.Tensor:
        h = self.conv1(torch.relu(self.norm1(x, valid)))
        return x + self.conv2(torch.relu(self.norm2(h, valid)))


class RawNetwork(nn.Module):
    """Signals (B, 12, n) in mV and their valid lengths (B,) -> logits (B, labels).

    Args:
        labels: number of outputs.
        widths: channels after each of the convolutions with the strides `STRIDES`.
        blocks: residual blocks behind them.
        dropout: share of pooled values that are set to zero in training.
    """

    SIZES = ("widths", "blocks", "dropout")

    def __init__(self, labels: int, widths: list[int], blocks: int, dropout: float):
        super().__init__()
        self._config = {"labels": labels, "widths": list(widths), "blocks": blocks}
        self._config["dropout"] = dropout
        layers, before = [], 12
        for width, stride in zip(widths, STRIDES, strict=True):
            kernel = FIRST_KERNEL if before == 12 else KERNEL
            layers.append(nn.Conv1d(before, width, kernel, stride, kernel // 2))
            layers += [Norm(width), nn.ReLU()]
            before = width
        layers += [ResidualBlock(before) for _ in range(blocks)]
        self.layers = nn.Sequential(*layers, Norm(before), nn.ReLU())
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(2 * before, labels)

    def config(self) -> dict:
        """Arguments that rebuild an equal, untrained instance."""
        return dict(self._config)

    def forward(self, x: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """x (B, 12, n), lengths (B,) samples -> logits (B, labels)."""
        h = self._convolve(x, lengths)  # (B, C, T)
        last = torch.div(lengths - 1, int(np.prod(STRIDES)), rounding_mode="floor")[:, None]
        valid = (torch.arange(h.shape[2], device=h.device) <= last)[:, None].to(h.dtype)
        mean = (h * valid).sum(2) / valid.sum(2)
        return self.classifier(self.dropout(torch.cat([mean, (h * valid).amax(2)], dim=1)))

    def _convolve(self, x: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """All layers; padding reaches no valid position and no statistic of a norm."""
        if lengths.is_meta or bool((lengths >= x.shape[2]).all()):  # --dry-run has no data
            return self.layers(x)
        inside = torch.arange(x.shape[2], device=x.device) < lengths[:, None]
        x, stride, valid = x * inside[:, None], 1, None
        for layer in self.layers:
            if isinstance(layer, nn.Conv1d):
                x, stride = layer(x), stride * layer.stride[0]
                places = stride * torch.arange(x.shape[2], device=x.device)
                valid = places < lengths[:, None]  # (B, T)
            else:
                x = layer(x) if isinstance(layer, nn.ReLU) else layer(x, valid)
        return x
