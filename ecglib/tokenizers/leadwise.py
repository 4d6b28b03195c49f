"""HeartLLM's tokenizer: one encoder looped over twelve leads, FSQ over the leads of a time step.

(B, 12, n) -> each lead alone through the shared encoder -> concatenated channels (B, T, 12 C) ->
FSQ
-> one of 1,296 codes a time step -> decoder -> (B, 12, n). Hop = 2^depth samples.
"""

import math
from pathlib import Path

import torch
from torch import nn

from ecglib.tokenizers import contract
from ecglib.tokenizers.autoencoder import LEADS
from ecglib.tokenizers.fsq import FSQ

SHARING = ("shared", "twelve", "joint")


class ResInception(nn.Module):
    """LeakyReLU(GroupNorm(branches + match)): kernels 3, 5, 7 and a pooled branch, concatenated."""

    def __init__(self, n_in: int, n_out: int):
        super().__init__()
        quarter = n_out // 4
        self.convolutions = nn.ModuleList(
            nn.Conv1d(n_in, quarter, k, padding=k // 2, bias=False) for k in (3, 5, 7)
        )
        self.pooled = nn.Sequential(
            nn.MaxPool1d(3, 1, 1), nn.Conv1d(n_in, n_out - 3 * quarter, 1, bias=False)
        )
        self.match = nn.Identity() if n_in == n_out else nn.Conv1d(n_in, n_out, 1, bias=False)
        self.norm = nn.GroupNorm(min(8, n_out), n_out)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, n_in, L) -> (B, n_out, L)."""
        branches = torch.cat([*(conv(x) for conv in self.convolutions), self.pooled(x)], 1)
        return nn.functional.leaky_relu(self.norm(branches + self.match(x)))


def _encoder(source: int, channels: int, strides: list[int]) -> nn.Sequential:
    """(B, source, n) -> (B, channels, n / prod(strides))."""
    layers: list[nn.Module] = []
    for i, stride in enumerate(strides):
        begin = channels if i else source
        layers.append(nn.Conv1d(begin, channels, 2 * stride, stride, padding=stride // 2))
        layers.append(ResInception(channels, channels))
    return nn.Sequential(*layers)


class LeadwiseTokenizer(nn.Module):
    """Encoder shared by the leads, FSQ, decoder (HeartLLM; sizes are dials).

    Each stage is a strided convolution and a ResInception block. The released code puts the block
    first, at the full rate: the same receptive field at several times the cost.

    Args:
        channels: per lead.
        strides: of the stages; the hop is their product (released: four times 2 at 500 Hz, 32 ms).
        widths: channels of the decoder, from the latent to the signal, one a stage.
        levels, dims: of the FSQ grid.
        sharing: "shared", one set of encoder weights for all leads (the released code); "twelve", a
            set for each lead (the paper's figure); "joint", one encoder that sees all leads at
            once.
        samples: the length n that `decode` returns.
    """

    method = "fsq"

    def __init__(
        self,
        channels: int,
        strides: list[int],
        widths: list[int],
        levels: int = 6,
        dims: int = 4,
        samples: int = 2500,
        sharing: str = "shared",
    ):
        super().__init__()
        self._config = {
            "channels": channels,
            "strides": list(strides),
            "widths": list(widths),
            "levels": levels,
            "dims": dims,
            "samples": samples,
            "sharing": sharing,
        }
        self.samples, self.hop = samples, math.prod(strides)
        self.positions = -(-samples // self.hop)
        if sharing == "shared":
            self.encoder = _encoder(1, channels, strides)
        elif sharing == "twelve":
            self.encoder = nn.ModuleList(_encoder(1, channels, strides) for _ in range(LEADS))
        elif sharing == "joint":
            self.encoder = _encoder(LEADS, LEADS * channels, strides)
        else:
            raise ValueError(f"sharing is {sharing!r}; choose one of {', '.join(SHARING)}")
        self.fsq = FSQ(LEADS * channels, levels, dims)
        self.widen = nn.Linear(LEADS * channels, widths[0])
        decoder: list[nn.Module] = []
        for source, target, stride in zip(
            widths, [*widths[1:], LEADS], reversed(strides), strict=True
        ):
            decoder.append(ResInception(source, source))
            decoder.append(
                nn.ConvTranspose1d(source, target, 2 * stride, stride, padding=stride // 2)
            )
        self.decoder = nn.Sequential(*decoder)

    def grid(self, x: torch.Tensor) -> torch.Tensor:
        """(B, 12, n) mV -> grid points (B, T, dims), differentiable."""
        x = nn.functional.pad(x, (0, self.positions * self.hop - x.shape[-1]))
        sharing = self._config["sharing"]
        if sharing == "shared":
            h = self.encoder(x.reshape(-1, 1, x.shape[-1])).unflatten(0, (-1, LEADS)).flatten(1, 2)
        elif sharing == "twelve":
            leads = x.split(1, dim=1)
            h = torch.cat([f(lead) for f, lead in zip(self.encoder, leads, strict=True)], 1)
        else:
            h = self.encoder(x)
        return self.fsq.quantise(h.transpose(1, 2))  # h (B, 12 C, T)

    def reconstruct(self, grid: torch.Tensor) -> torch.Tensor:
        """grid points (B, T, dims) -> (B, 12, n) mV, differentiable."""
        h = self.widen(self.fsq.back(grid))
        return self.decoder(h.transpose(1, 2))[..., : self.samples]

    @torch.no_grad()
    def encode(self, x: torch.Tensor, n_valid: torch.Tensor | None = None) -> torch.Tensor:
        """(B, 12, n) mV -> codes (B, T, 1); what lies behind n_valid (B,) is read as silence."""
        contract.check_signals(x, self.samples)
        return self.fsq.codes(self.grid(contract.silenced(x, n_valid)))[..., None]

    @torch.no_grad()
    def decode(self, codes: torch.Tensor) -> torch.Tensor:
        """codes (B, T, 1) -> (B, 12, n) mV."""
        contract.check_codes(codes, self.fsq.codewords)
        return self.reconstruct(self.fsq.grid(codes[..., 0]))

    @torch.no_grad()
    def embed(
        self, codes: torch.Tensor, n_valid: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """codes (B, T, 1) -> grid points (B, T, dims) and how many positions hold signal (B,)."""
        return self.fsq.grid(codes[..., 0]), (n_valid + self.hop - 1) // self.hop

    def ids(self, codes: torch.Tensor) -> torch.Tensor:
        """codes (B, T, 1) -> flat integers (B, T)."""
        return contract.flat_ids(codes, self.fsq.codewords)

    def codes_of(self, ids: torch.Tensor) -> torch.Tensor:
        """flat integers (B, T) -> codes (B, T, 1)."""
        return contract.unflat_ids(ids, 1, self.fsq.codewords)

    def rate(self) -> contract.Rate:
        """Vocabulary, tokens and bits of one full-length ECG."""
        return contract.uniform_rate(self.positions, 1, self.fsq.codewords)

    def save(self, folder: Path) -> None:
        """Write safetensors and JSON into `folder`."""
        contract.save_model(self, {"method": self.method, **self._config}, folder)
