"""The convolutional autoencoder around every latent quantiser (ECG-Tok, section 2.2).

Encoder: strided convolutions with residual blocks, (B, 12, n) mV -> (B, T, D), one latent vector
z_t a time step (the paper's wording; the released code takes channels as the sequence, see
deviations). Decoder: its mirror image. With `linear`, which is not in the paper, one linear map
over two hops runs beside each. An ECG is nearly low-rank over such a window, so the linear pair
finds most of it within some hundred steps, and the convolutions learn what is left: half the error
after equal time.
"""

import math

import torch
from torch import nn

LEADS = 12


class ResidualBlock(nn.Module):
    """x + Conv(GELU(norm(Conv(x)))), then GELU; shape (B, C, L) unchanged."""

    def __init__(self, channels: int):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv1d(channels, channels, 3, padding=1),
            nn.GroupNorm(1, channels),  # not batch norm: a record must not depend on its batch
            nn.GELU(),
            nn.Conv1d(channels, channels, 3, padding=1),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.gelu(x + self.layers(x))


class Autoencoder(nn.Module):
    """Encoder and decoder with a latent of `widths[-1]` numbers a hop of prod(strides) samples.

    Args:
        widths: channels after each stride, for example (48, 96, 128).
        strides: as many even numbers, for example (4, 4, 4) for a hop of 64 samples (256 ms).
        linear: add the linear maps.
        samples: the length n that `decode` returns.
    """

    def __init__(
        self, widths: list[int], strides: list[int], linear: bool = False, samples: int = 2500
    ):
        super().__init__()
        self.widths, self.strides = list(widths), list(strides)
        self.linear, self.samples = linear, samples
        self.hop = math.prod(strides)
        self.positions = -(-samples // self.hop)
        down, up = [], []
        channels = [LEADS, *widths]
        for i, stride in enumerate(strides):
            a, b = channels[i], channels[i + 1]
            down += [nn.Conv1d(a, b, 2 * stride, stride, padding=stride // 2), ResidualBlock(b)]
            up = [
                ResidualBlock(b),
                nn.ConvTranspose1d(b, a, 2 * stride, stride, padding=stride // 2),
                *up,
            ]
        dim, window = channels[-1], {"stride": self.hop, "padding": self.hop // 2}
        self.down = nn.Sequential(*down, nn.Conv1d(dim, dim, 1))
        self.up = nn.Sequential(nn.Conv1d(dim, dim, 1), *up)
        if linear:
            self.linear_down = nn.Conv1d(LEADS, dim, 2 * self.hop, **window)
            self.linear_up = nn.ConvTranspose1d(dim, LEADS, 2 * self.hop, **window)

    def encode(self, x: torch.Tensor) -> torch.Tensor:
        """(B, 12, n) mV -> z (B, T, D) with T = ceil(n / hop); the end is padded with zeros."""
        x = nn.functional.pad(x, (0, self.positions * self.hop - x.shape[-1]))
        z = self.down(x)
        if self.linear:
            z = z + self.linear_down(x)
        return z.transpose(1, 2)

    def decode(self, z: torch.Tensor) -> torch.Tensor:
        """z (B, T, D) -> (B, 12, n) mV."""
        z = z.transpose(1, 2)
        y = self.up(z)
        if self.linear:
            y = y + self.linear_up(z)
        return y[..., : self.samples]

    def freeze_encoder(self) -> None:
        """From here on only the decoder trains."""
        self.down.requires_grad_(False)
        if self.linear:
            self.linear_down.requires_grad_(False)

    def lengths(self, n_valid: torch.Tensor) -> torch.Tensor:
        """How many positions hold signal: n_valid (B,) samples -> (B,)."""
        return (n_valid + self.hop - 1) // self.hop

    def valid(self, n_valid: torch.Tensor) -> torch.Tensor:
        """Which positions hold signal: n_valid (B,) samples -> boolean (B, T)."""
        places = torch.arange(self.positions, device=n_valid.device)
        return places < self.lengths(n_valid)[:, None]

    def config(self) -> dict:
        """What rebuilds an equal, untrained instance."""
        return {
            "widths": self.widths,
            "strides": self.strides,
            "linear": self.linear,
            "samples": self.samples,
        }


def masked_l1(x: torch.Tensor, y: torch.Tensor, n_valid: torch.Tensor) -> torch.Tensor:
    """Mean |x - y| in mV over the valid samples; x, y (B, 12, n), n_valid (B,)."""
    mask = (torch.arange(x.shape[-1], device=x.device) < n_valid[:, None])[:, None]
    return ((x - y).abs() * mask).sum() / (mask.sum() * x.shape[1])
