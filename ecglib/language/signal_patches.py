"""What the systems without a tokenizer read: signals, and an encoder of short patches.

TEST, Time-LLM and CLIP see an ECG as patches of `hop` samples of all leads, one position each. With
a hop of 16 samples (64 ms, `laptop`) an ECG of 10 s has 157 positions, with one of 8 samples (32
ms, `gpu`) 313: in each profile as many as HeartLLM has tokens.
"""

import math

import numpy as np
import torch
from torch import nn

from ecglib.cohorts.store import Cohort
from ecglib.signals.leads import LEADS, SAMPLES
from ecglib.tokenizers.strided_autoencoder import ResidualBlock


class Signals:
    """Signals of these records, read from the cohort when they are indexed: (B, 12, n) mV."""

    def __init__(self, cohort: Cohort, rows: np.ndarray):
        self.cohort, self.rows = cohort, np.asarray(rows)

    def __len__(self) -> int:
        """Count the records."""
        return len(self.rows)

    def __getitem__(self, indices: object) -> torch.Tensor:
        """Those at a list or a slice of positions among the records."""
        return torch.from_numpy(self.cohort.signals(self.rows[indices]))


def read_signals(cohort: Cohort, rows: np.ndarray, hop: int) -> tuple[Signals, torch.Tensor]:
    """Signals of these records, and how many positions of `hop` samples each has (N,)."""
    n_valid = torch.tensor(cohort.records["n_valid"].to_numpy()[rows])
    return Signals(cohort, rows), (n_valid + hop - 1) // hop


def positions(hop: int) -> int:
    """Patches of an ECG of full length."""
    return math.ceil(SAMPLES / hop)


def inside(lengths: torch.Tensor, count: int) -> torch.Tensor:
    """Which of `count` positions are valid, for lengths (B,): bool (B, count)."""
    return torch.arange(count, device=lengths.device) < lengths[:, None]


def valid_mean(z: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """Mean over valid positions: z (B, T, D), lengths (B,) -> (B, D)."""
    valid = inside(lengths, z.shape[1])[..., None]
    return (z * valid).sum(1) / valid.sum(1)


class PatchEncoder(nn.Module):
    """Convolutions with stride and residual blocks: (B, 12, n) mV -> (B, T, widths[-1]).

    Args:
        widths: channels after each stride.
        strides: even numbers, one per width; the hop is their product.
    """

    def __init__(self, widths: list[int], strides: list[int]):
        super().__init__()
        self.hop, self.dim = math.prod(strides), widths[-1]
        layers, channels = [], len(LEADS)
        for width, stride in zip(widths, strides, strict=True):
            layers.append(nn.Conv1d(channels, width, 2 * stride, stride, padding=stride // 2))
            layers.append(ResidualBlock(width))
            channels = width
        self.layers = nn.Sequential(*layers)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """T = ceil(n / hop); the end is padded with zeros."""
        x = nn.functional.pad(x, (0, -x.shape[-1] % self.hop))
        return self.layers(x).transpose(1, 2)
