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


class ResidualBlock(nn.Module):
    """x + Conv(ReLU(Norm(Conv(ReLU(Norm(x)))))), (B, C, T) to the same."""

    def __init__(self, width: int):
        super().__init__()
        self.norm1, self.norm2 = nn.BatchNorm1d(width), nn.BatchNorm1d(width)
        self.conv1 = nn.Conv1d(width, width, KERNEL, padding=KERNEL // 2)
        self.conv2 = nn.Conv1d(width, width, KERNEL, padding=KERNEL // 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.conv1(torch.relu(self.norm1(x)))
        return x + self.conv2(torch.relu(self.norm2(h)))


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
            layers += [nn.BatchNorm1d(width), nn.ReLU()]
            before = width
        layers += [ResidualBlock(before) for _ in range(blocks)]
        self.layers = nn.Sequential(*layers, nn.BatchNorm1d(before), nn.ReLU())
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(2 * before, labels)

    def config(self) -> dict:
        """Arguments that rebuild an equal, untrained instance."""
        return dict(self._config)

    def forward(self, x: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """x (B, 12, n), lengths (B,) samples -> logits (B, labels)."""
        h = self.layers(x)  # (B, C, T)
        last = torch.div(lengths - 1, int(np.prod(STRIDES)), rounding_mode="floor")[:, None]
        valid = (torch.arange(h.shape[2], device=h.device) <= last)[:, None].to(h.dtype)
        mean = (h * valid).sum(2) / valid.sum(2)
        return self.classifier(self.dropout(torch.cat([mean, (h * valid).amax(2)], dim=1)))
