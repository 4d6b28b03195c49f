"""An autoencoder with a quantiser of its latent vectors between encoder and decoder."""

from pathlib import Path

import torch
from torch import nn

from ecglib.tokenizers import contract
from ecglib.tokenizers.autoencoder import Autoencoder
from ecglib.tokenizers.codebooks import Quantised
from ecglib.tokenizers.qinco import QINCo
from ecglib.tokenizers.rvq import ResidualVQ
from ecglib.tokenizers.strided_autoencoder import StridedAutoencoder
from ecglib.tokenizers.vq import VQ

AXES = ("time", "channel")


class LatentTokenizer(nn.Module):
    """VQ, RVQ or QINCo tokens of ECG-Tok: codes (B, T, S).

    Args:
        autoencoder: its latents are (B, positions, channels).
        quantiser: of vectors as long as the axis that is not the sequence.
        axis: "time", one vector per time step, as in the paper's text; or "channel", one vector
            per channel over all time steps, as in the released code.

    Raises ValueError: an unknown axis, or a quantiser of vectors of another length.
    """

    def __init__(
        self,
        autoencoder: Autoencoder | StridedAutoencoder,
        quantiser: VQ | ResidualVQ | QINCo,
        axis: str = "time",
    ):
        super().__init__()
        if axis not in AXES:
            raise ValueError(f"expected an axis out of {', '.join(AXES)}, got {axis!r}")
        self.autoencoder, self.quantiser, self.axis = autoencoder, quantiser, axis
        if quantiser.dim != self.shape()[1]:
            wanted = f"{self.shape()[1]} numbers with axis {axis!r}"
            text = f"expected a quantiser of vectors of {wanted}, got one of {quantiser.dim}"
            raise ValueError(f"{text}; change its dim")

    def shape(self) -> tuple[int, int]:
        """Vectors per ECG, and numbers per vector."""
        positions, channels = self.autoencoder.positions, self.autoencoder.dim
        return (positions, channels) if self.axis == "time" else (channels, positions)

    @property
    def method(self) -> str:
        """The name used in tables and figures."""
        return self.quantiser.method

    def forward(self, x: torch.Tensor, n_valid: torch.Tensor | None = None) -> Quantised:
        """(B, 12, n) mV -> reconstruction (B, 12, n), codebook loss, commitment loss.

        Latents of the padding after n_valid (B,) samples are quantised, since the decoder reads
        them, but do not count in the losses.
        """
        z = self.latents(x)
        valid = None if n_valid is None else self.valid(n_valid).flatten()
        quantised, codebook_loss, commitment_loss = self.quantiser(z.flatten(0, 1), valid)
        y = self.signals(quantised.unflatten(0, z.shape[:2]))
        return y, codebook_loss, commitment_loss

    def latents(self, x: torch.Tensor) -> torch.Tensor:
        """(B, 12, n) mV -> the vectors that are quantised (B, T, D)."""
        z = self.autoencoder.encode(x)
        return z if self.axis == "time" else z.transpose(1, 2)

    def signals(self, z: torch.Tensor) -> torch.Tensor:
        """Vectors (B, T, D) -> (B, 12, n) mV."""
        return self.autoencoder.decode(z if self.axis == "time" else z.transpose(1, 2))

    def valid(self, n_valid: torch.Tensor) -> torch.Tensor:
        """Which vectors hold signal: n_valid (B,) samples -> boolean (B, T)."""
        if self.axis == "time":
            positions = torch.arange(self.shape()[0], device=n_valid.device)
            return self.autoencoder.hop * positions < n_valid[:, None]
        return torch.ones(len(n_valid), self.shape()[0], dtype=torch.bool, device=n_valid.device)

    @torch.no_grad()
    def encode(self, x: torch.Tensor, n_valid: torch.Tensor | None = None) -> torch.Tensor:
        """(B, 12, n) mV -> codes (B, T, S); samples from n_valid (B,) on are read as zeros."""
        contract.check_signals(x, self.autoencoder.samples)
        z = self.latents(contract.mask_padding(x, n_valid))
        return self.quantiser.encode(z.flatten(0, 1)).unflatten(0, z.shape[:2])

    def vectors(self, codes: torch.Tensor, codebooks: int | None = None) -> torch.Tensor:
        """codes (B, T, S) -> zhat (B, T, D), of the first `codebooks` codes or of all."""
        contract.check_codes(codes, self.quantiser.codewords)
        last = -1 if codebooks is None else codebooks - 1
        return self.quantiser.partial_sums(codes.flatten(0, 1))[last].unflatten(0, codes.shape[:2])

    @torch.no_grad()
    def decode(self, codes: torch.Tensor, codebooks: int | None = None) -> torch.Tensor:
        """codes (B, T, S) -> (B, 12, n) mV; with `codebooks` from the first codes (lower rate)."""
        return self.signals(self.vectors(codes, codebooks))

    @torch.no_grad()
    def features(self, codes: torch.Tensor, n_valid: torch.Tensor) -> contract.Features:
        """codes (B, T, S) -> vectors (B, T, D) and the number of positions with signal (B,)."""
        return self.vectors(codes), self.valid(n_valid).sum(1)

    def to_ids(self, codes: torch.Tensor) -> torch.Tensor:
        """codes (B, T, S) -> flat integers (B, T * S)."""
        return contract.to_ids(codes, self.quantiser.codewords)

    def from_ids(self, ids: torch.Tensor) -> torch.Tensor:
        """flat integers (B, T * S) -> codes (B, T, S)."""
        return contract.from_ids(ids, self.quantiser.codes_per_vector, self.quantiser.codewords)

    def rate(self) -> contract.Rate:
        """Vocabulary, tokens and bits of one full-length ECG."""
        q = self.quantiser
        return contract.uniform_rate(self.shape()[0], q.codes_per_vector, q.codewords)

    def save(self, folder: Path) -> None:
        """Write safetensors and JSON into `folder`."""
        config = {"method": self.method, "autoencoder": self.autoencoder.config()}
        config |= {"quantiser": self.quantiser.config(), "axis": self.axis}
        contract.save_model(self.state_dict(), config, folder)


class PcaRVQ(LatentTokenizer):
    """The floor without training: a residual quantiser of principal components, see `pca_rvq`."""

    method = "pca_rvq"
