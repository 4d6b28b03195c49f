"""A strided autoencoder in the manner of ECG-Tok's (section 2.2), an option of the training.

The encoder has strided convolutions with residual blocks, as the paper says, but without its
max-pooling, (B, 12, n) mV -> (B, T, D). It gives one latent vector z_t per time step, as the
paper's text has it (the released code takes the channels as the sequence, see deviations). Ours are
the strides, the norm, and the decoder, which is the encoder's mirror image.
"""

import math

import torch
from torch import nn

from ecglib.signals.leads import SAMPLES
from ecglib.tokenizers.window_pca import N_LEADS


class ChannelNorm(nn.LayerNorm):
    """Layer normalisation over the channels of each position; shape (B, C, L) unchanged.

    It looks neither along time nor at other records. A latent vector therefore depends only on the
    signal near its position, and an ECG can be encoded while it is recorded. The released code has
    batch normalisation (ECG-Tok) and group normalisation over the whole record (HeartLLM).
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, L) -> (B, C, L)."""
        return super().forward(x.transpose(1, 2)).transpose(1, 2)


class ResidualBlock(nn.Module):
    """x + Conv(GELU(norm(Conv(x)))), then GELU; shape (B, C, L) unchanged."""

    def __init__(self, channels: int):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv1d(channels, channels, 3, padding=1),
            ChannelNorm(channels),
            nn.GELU(),
            nn.Conv1d(channels, channels, 3, padding=1),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.gelu(x + self.layers(x))


class StridedAutoencoder(nn.Module):
    """Encoder and decoder with `widths[-1]` latent numbers per hop of prod(strides) samples.

    Args:
        widths: channels after each stride, for example (48, 96, 128).
        strides: even numbers, one per width, for example (4, 4, 4) for hops of 64 samples (256 ms).
        samples: the length n that `decode` returns.
    """

    def __init__(self, widths: list[int], strides: list[int], samples: int = SAMPLES):
        super().__init__()
        self.widths, self.strides, self.samples = list(widths), list(strides), samples
        self.hop, self.dim = math.prod(strides), widths[-1]
        self.positions = -(-samples // self.hop)
        down, up = [], []
        channels = [N_LEADS, *widths]
        for i, stride in enumerate(strides):
            a, b = channels[i], channels[i + 1]
            down += [nn.Conv1d(a, b, 2 * stride, stride, padding=stride // 2), ResidualBlock(b)]
            up = [
                ResidualBlock(b),
                nn.ConvTranspose1d(b, a, 2 * stride, stride, padding=stride // 2),
                *up,
            ]
        self.down = nn.Sequential(*down, nn.Conv1d(self.dim, self.dim, 1))
        self.up = nn.Sequential(nn.Conv1d(self.dim, self.dim, 1), *up)

    @property
    def decoder(self) -> nn.Module:
        """What a training of the decoder alone changes."""
        return self.up

    def encode(self, x: torch.Tensor) -> torch.Tensor:
        """(B, 12, n) mV -> z (B, T, D) with T = ceil(n / hop); the end is padded with zeros."""
        x = nn.functional.pad(x, (0, self.positions * self.hop - x.shape[-1]))
        return self.down(x).transpose(1, 2)

    def decode(self, z: torch.Tensor) -> torch.Tensor:
        """z (B, T, D) -> (B, 12, n) mV."""
        return self.up(z.transpose(1, 2))[..., : self.samples]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, 12, n) mV -> its reconstruction (B, 12, n), without a quantiser."""
        return self.decode(self.encode(x))

    def config(self) -> dict:
        """The arguments of an equal, untrained instance."""
        sizes = {"widths": self.widths, "strides": self.strides}
        return {"kind": "strided", **sizes, "samples": self.samples}
