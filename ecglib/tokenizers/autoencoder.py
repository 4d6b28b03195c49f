"""The autoencoder around the latent quantisers: principal components, and what a network adds.

    z = P^T w + s f(w / u)          w^ = P q + u g(q / s)

w is a window of an ECG, P its principal components (`window_pca`), s the root mean square of each
component and u that of w. f and g are three convolutions over neighbouring windows. Their last
layers start at zero, so that training starts at the PCA: from its error it can only learn to do
better. This is ours. The paper's autoencoder is in `strided_autoencoder`.
"""

import torch
from torch import nn

from ecglib.signals.leads import SAMPLES
from ecglib.tokenizers.window_pca import N_LEADS, signals, windows


def network(n_in: int, width: int, n_out: int) -> nn.Sequential:
    """(B, n_in, T) -> (B, n_out, T), zero before training; it sees three windows on each side."""
    last = nn.Conv1d(width, n_out, 1)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    first = nn.Conv1d(n_in, width, 5, padding=2)
    return nn.Sequential(first, nn.GELU(), nn.Conv1d(width, width, 3, padding=1), nn.GELU(), last)


class Autoencoder(nn.Module):
    """`dim` latent numbers per window of `hop` samples.

    Args:
        hop: samples of a window, for example 32 (128 ms).
        dim: principal components that are kept.
        width: channels of the two networks; 0 for none, which leaves the PCA.
        samples: the length n that `decode` returns.
    """

    def __init__(self, hop: int, dim: int, width: int, samples: int = SAMPLES):
        super().__init__()
        self.hop, self.dim, self.width, self.samples = hop, dim, width, samples
        self.positions = -(-samples // hop)
        numbers = N_LEADS * hop
        self.register_buffer("components", torch.eye(numbers, dim))
        self.register_buffer("spread", torch.ones(dim))  # s, in mV
        self.encoder = network(numbers, width, dim) if width else None
        self.decoder = network(dim, width, numbers) if width else None

    @torch.no_grad()
    def start(self, components: torch.Tensor, spread: torch.Tensor) -> None:
        """Begin at the PCA: P (12 hop, dim) and the root mean square of each component (dim,)."""
        self.components.copy_(components)
        self.spread.copy_(spread)

    @property
    def unit(self) -> torch.Tensor:
        """u: the root mean square of a voltage in a window."""
        return self.spread.norm() / self.components.shape[0] ** 0.5

    def encode(self, x: torch.Tensor) -> torch.Tensor:
        """(B, 12, n) mV -> z (B, T, dim) with T = ceil(n / hop); the end is padded with zeros."""
        x = nn.functional.pad(x, (0, self.positions * self.hop - x.shape[-1]))
        w = windows(x, self.hop)
        z = w.transpose(1, 2) @ self.components
        if self.encoder is None:
            return z
        return z + self.spread * self.encoder(w / self.unit).transpose(1, 2)

    def decode(self, z: torch.Tensor) -> torch.Tensor:
        """z (B, T, dim) -> (B, 12, n) mV."""
        w = self.components @ z.transpose(1, 2)
        if self.decoder is not None:
            w = w + self.unit * self.decoder((z / self.spread).transpose(1, 2))
        return signals(w, self.hop)[..., : self.samples]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, 12, n) mV -> its reconstruction (B, 12, n), without a quantiser."""
        return self.decode(self.encode(x))

    def config(self) -> dict:
        """The arguments of an equal, untrained instance."""
        sizes = {"hop": self.hop, "dim": self.dim, "width": self.width}
        return {"kind": "pca", **sizes, "samples": self.samples}


def mean_valid(errors: torch.Tensor, n_valid: torch.Tensor) -> torch.Tensor:
    """Mean of errors (B, 12, n) over the leads and the first n_valid (B,) samples."""
    mask = (torch.arange(errors.shape[-1], device=errors.device) < n_valid[:, None])[:, None]
    return (errors * mask).sum() / (mask.sum() * errors.shape[1])
