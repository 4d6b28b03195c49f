"""An autoencoder with a quantiser of its latent vectors between encoder and decoder."""

from pathlib import Path

import torch
from torch import nn

from ecglib.tokenizers import contract
from ecglib.tokenizers.autoencoder import Autoencoder
from ecglib.tokenizers.fsq import FSQ
from ecglib.tokenizers.qinco import QINCo
from ecglib.tokenizers.rvq import ResidualVQ
from ecglib.tokenizers.vq import VQ

AXES = ("time", "channel")


class LatentTokenizer(nn.Module):
    """VQ, RVQ or QINCo tokens of ECG-Tok, or FSQ in its autoencoder: codes (B, T, S).

    Args:
        autoencoder: its latents are (B, positions, channels).
        quantiser: of vectors as long as the axis that is not the sequence.
        axis: "time", one vector a time step, as the paper's text; or "channel", one vector a
            channel over all time steps, as the released code.
    """

    def __init__(
        self, autoencoder: Autoencoder, quantiser: VQ | ResidualVQ | QINCo | FSQ, axis: str = "time"
    ):
        super().__init__()
        if axis not in AXES:
            raise ValueError(f"axis is {axis!r}; choose one of {', '.join(AXES)}")
        self.autoencoder, self.quantiser, self.axis = autoencoder, quantiser, axis
        if quantiser.dim != self.shape()[1]:
            raise ValueError(
                f"with axis {axis!r} the quantiser needs vectors of {self.shape()[1]}, "
                f"not {quantiser.dim}"
            )

    def shape(self) -> tuple[int, int]:
        """Vectors an ECG, and numbers a vector."""
        positions, channels = self.autoencoder.positions, self.autoencoder.widths[-1]
        return (positions, channels) if self.axis == "time" else (channels, positions)

    @property
    def method(self) -> str:
        """The name used in tables and figures."""
        return self.quantiser.method

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
            return self.autoencoder.valid(n_valid)
        return torch.ones(len(n_valid), self.shape()[0], dtype=torch.bool, device=n_valid.device)

    @torch.no_grad()
    def encode(self, x: torch.Tensor, n_valid: torch.Tensor | None = None) -> torch.Tensor:
        """(B, 12, n) mV -> codes (B, T, S); what lies behind n_valid (B,) is read as silence."""
        contract.check_signals(x, self.autoencoder.samples)
        z = self.latents(contract.silenced(x, n_valid))
        return self.quantiser.assign(z.flatten(0, 1)).unflatten(0, z.shape[:2])

    def vectors(self, codes: torch.Tensor) -> torch.Tensor:
        """codes (B, T, S) -> zhat (B, T, D)."""
        contract.check_codes(codes, self.quantiser.codewords)
        return self.quantiser.decode(codes.flatten(0, 1)).unflatten(0, codes.shape[:2])

    @torch.no_grad()
    def decode_first(self, codes: torch.Tensor, stages: int) -> torch.Tensor:
        """Codes (B, T, S) -> (B, 12, n) mV from the first `stages` of them: a lower rate."""
        contract.check_codes(codes, self.quantiser.codewords)
        z = self.quantiser.partial_sums(codes.flatten(0, 1))[stages - 1]
        return self.signals(z.unflatten(0, codes.shape[:2]))

    @torch.no_grad()
    def decode(self, codes: torch.Tensor) -> torch.Tensor:
        """codes (B, T, S) -> (B, 12, n) mV."""
        return self.signals(self.vectors(codes))

    @torch.no_grad()
    def embed(
        self, codes: torch.Tensor, n_valid: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """codes (B, T, S) -> vectors (B, T, D) and how many positions hold signal (B,)."""
        return self.vectors(codes), self.valid(n_valid).sum(1)

    def ids(self, codes: torch.Tensor) -> torch.Tensor:
        """codes (B, T, S) -> flat integers (B, T * S)."""
        return contract.flat_ids(codes, self.quantiser.codewords)

    def codes_of(self, ids: torch.Tensor) -> torch.Tensor:
        """flat integers (B, T * S) -> codes (B, T, S)."""
        return contract.unflat_ids(ids, self.quantiser.stages, self.quantiser.codewords)

    def rate(self) -> contract.Rate:
        """Vocabulary, tokens and bits of one full-length ECG."""
        q = self.quantiser
        return contract.uniform_rate(self.shape()[0], q.stages, q.codewords)

    def save(self, folder: Path) -> None:
        """Write safetensors and JSON into `folder`."""
        config = {
            "method": self.method,
            "autoencoder": self.autoencoder.config(),
            "quantiser": self.quantiser.config(),
            "axis": self.axis,
        }
        contract.save_model(self, config, folder)
