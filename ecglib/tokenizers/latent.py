"""An autoencoder with a quantiser of its latent vectors between encoder and decoder."""

from pathlib import Path

import torch
from torch import nn

from ecglib.tokenizers import contract
from ecglib.tokenizers.autoencoder import Autoencoder
from ecglib.tokenizers.qinco import QINCo
from ecglib.tokenizers.rvq import ResidualVQ


class LatentTokenizer(nn.Module):
    """RVQ or QINCo tokens of ECG-Tok: codes (B, T, S), one latent vector a time step."""

    def __init__(self, autoencoder: Autoencoder, quantiser: ResidualVQ | QINCo):
        super().__init__()
        self.autoencoder, self.quantiser = autoencoder, quantiser

    @property
    def method(self) -> str:
        """The name used in tables and figures."""
        return self.quantiser.method

    @torch.no_grad()
    def encode(self, x: torch.Tensor) -> torch.Tensor:
        """(B, 12, n) mV -> codes (B, T, S)."""
        z = self.autoencoder.encode(x)
        return self.quantiser.assign(z.flatten(0, 1)).unflatten(0, z.shape[:2])

    def vectors(self, codes: torch.Tensor) -> torch.Tensor:
        """codes (B, T, S) -> zhat (B, T, D)."""
        return self.quantiser.decode(codes.flatten(0, 1)).unflatten(0, codes.shape[:2])

    @torch.no_grad()
    def decode(self, codes: torch.Tensor) -> torch.Tensor:
        """codes (B, T, S) -> (B, 12, n) mV."""
        return self.autoencoder.decode(self.vectors(codes))

    @torch.no_grad()
    def embed(
        self, codes: torch.Tensor, n_valid: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """codes (B, T, S) -> vectors (B, T, D) and how many positions hold signal (B,)."""
        return self.vectors(codes), self.autoencoder.lengths(n_valid)

    def ids(self, codes: torch.Tensor) -> torch.Tensor:
        """codes (B, T, S) -> flat integers (B, T * S)."""
        return contract.flat_ids(codes, self.quantiser.codewords)

    def codes_of(self, ids: torch.Tensor) -> torch.Tensor:
        """flat integers (B, T * S) -> codes (B, T, S)."""
        return contract.unflat_ids(ids, self.quantiser.stages, self.quantiser.codewords)

    def rate(self) -> contract.Rate:
        """Vocabulary, tokens and bits of one full-length ECG."""
        q = self.quantiser
        return contract.uniform_rate(self.autoencoder.positions, q.stages, q.codewords)

    def save(self, folder: Path) -> None:
        """Write safetensors and JSON into `folder`."""
        config = {
            "method": self.method,
            "autoencoder": self.autoencoder.config(),
            "quantiser": self.quantiser.config(),
        }
        contract.save_model(self, config, folder)
