"""HeartLLM's tokenizer: one encoder for each of twelve leads, FSQ over the leads of a time step.

(B, 12, n) -> each lead alone through the shared encoder -> concatenated channels (B, T, 12 C) ->
FSQ -> one of 1,296 codes per time step -> decoder -> (B, 12, n).

The option `pca` is ours: encoder and decoder start at the principal components of each lead's
windows, and FSQ at those of all leads together. What the networks add is weighted by numbers that
are learned and start at zero.
"""

import math
from pathlib import Path

import torch
from torch import nn

from ecglib.signals.leads import SAMPLES
from ecglib.tokenizers import contract
from ecglib.tokenizers.codebooks import Quantised
from ecglib.tokenizers.fsq import FSQ
from ecglib.tokenizers.strided_autoencoder import ChannelNorm
from ecglib.tokenizers.window_pca import N_LEADS, windows

SHARING = ("shared", "twelve", "joint")


class ResInception(nn.Module):
    """match(x) + LeakyReLU(norm(branches)): kernels 3, 5, 7 and a pooled branch, concatenated.

    The norm stands inside the branch, as in the paper's equation. Behind the sum, as released, a
    norm over the channels of one position would remove the amplitude of the signal there.
    """

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
        self.norm = ChannelNorm(n_out)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, n_in, L) -> (B, n_out, L)."""
        branches = torch.cat([*(conv(x) for conv in self.convolutions), self.pooled(x)], 1)
        return self.match(x) + nn.functional.leaky_relu(self.norm(branches))


def _encoder(leads: int, channels: int, strides: list[int]) -> nn.Sequential:
    """(B, leads, n) -> (B, channels, n / prod(strides))."""
    layers: list[nn.Module] = []
    for i, stride in enumerate(strides):
        n_in = channels if i else leads
        layers.append(nn.Conv1d(n_in, channels, 2 * stride, stride, padding=stride // 2))
        layers.append(ResInception(channels, channels))
    return nn.Sequential(*layers)


class LeadwiseTokenizer(nn.Module):
    """Encoder shared by the leads, FSQ, decoder (HeartLLM, with other sizes).

    Each stride is a strided convolution and a ResInception block. The released code puts the block
    first, at the full rate: the same receptive field at several times the cost.

    Args:
        channels: per lead.
        strides: of the convolutions; the hop is their product (released: 2, 2, 2, 2; 32 ms).
        widths: channels of the decoder, from the latent to the signal, one per stride.
        levels, dims: of the FSQ grid.
        sharing: "shared", one set of encoder weights for all leads (the released code); "twelve",
            one set per lead (the paper's figure); "joint", one encoder that sees all leads at once.
        samples: the length n that `decode` returns.
        pca: add the linear path.

    Raises ValueError: an unknown `sharing`.
    """

    method = "fsq"

    def __init__(
        self,
        channels: int,
        strides: list[int],
        widths: list[int],
        levels: int = 6,
        dims: int = 4,
        samples: int = SAMPLES,
        sharing: str = "shared",
        pca: bool = False,
    ):
        super().__init__()
        if sharing not in SHARING:
            raise ValueError(f"expected sharing out of {', '.join(SHARING)}, got {sharing!r}")
        self._config = {"channels": channels, "strides": list(strides), "widths": list(widths)}
        self._config |= {"levels": levels, "dims": dims, "samples": samples, "sharing": sharing}
        self._config |= {"pca": pca}
        self.samples, self.hop = samples, math.prod(strides)
        self.positions = -(-samples // self.hop)
        if sharing == "shared":
            self.encoder = _encoder(1, channels, strides)
        elif sharing == "twelve":
            self.encoder = nn.ModuleList(_encoder(1, channels, strides) for _ in range(N_LEADS))
        else:
            self.encoder = _encoder(N_LEADS, N_LEADS * channels, strides)
        self.fsq = FSQ(N_LEADS * channels, levels, dims)
        self.widen = nn.Linear(N_LEADS * channels, widths[0])
        decoder: list[nn.Module] = []
        ends = [*widths[1:], N_LEADS]
        for n_in, n_out, stride in zip(widths, ends, reversed(strides), strict=True):
            decoder.append(ResInception(n_in, n_in))
            decoder.append(nn.ConvTranspose1d(n_in, n_out, 2 * stride, stride, padding=stride // 2))
        self.decoder = nn.Sequential(*decoder)
        self.register_buffer("components", torch.eye(self.hop, channels) if pca else None)
        if pca:
            zeros = {name: torch.zeros(()) for name in ("encoder", "decoder")}
            self.gains = nn.ParameterDict(zeros)  # of what the two networks add

    def forward(self, x: torch.Tensor, n_valid: torch.Tensor | None = None) -> Quantised:
        """(B, 12, n) mV -> reconstruction (B, 12, n), codebook loss, commitment loss (both 0, so
        `n_valid` is not read)."""
        quantised, codebook_loss, commitment_loss = self.fsq(self._features(x))
        return self._signals(quantised), codebook_loss, commitment_loss

    @torch.no_grad()
    def initialise(self, x: torch.Tensor, components: torch.Tensor | None = None) -> None:
        """Set the linear path to P (hop, channels), where there is one, and scale FSQ's projection
        to the features of x (B, 12, n) mV, see `FSQ.initialise`."""
        if self.components is not None:
            self.components.copy_(components)
        h = self._features(x).flatten(0, 1)
        self.fsq.initialise(h, principal=self.components is not None)

    def _features(self, x: torch.Tensor) -> torch.Tensor:
        """(B, 12, n) mV -> the channels of all leads (B, T, 12 C)."""
        x = nn.functional.pad(x, (0, self.positions * self.hop - x.shape[-1]))
        learned = self._encoded(x)
        if self.components is None:
            return learned
        one = windows(x.flatten(0, 1)[:, None], self.hop).transpose(1, 2) @ self.components
        linear = one.unflatten(0, (-1, N_LEADS)).transpose(1, 2).flatten(2)  # (B, T, 12 C)
        return linear + self.gains["encoder"] * learned

    def _encoded(self, x: torch.Tensor) -> torch.Tensor:
        """What the convolutions make of x, (B, T, 12 C)."""
        sharing = self._config["sharing"]
        if sharing == "shared":
            h = self.encoder(x.reshape(-1, 1, x.shape[-1]))
            h = h.unflatten(0, (-1, N_LEADS)).flatten(1, 2)
        elif sharing == "twelve":
            leads = x.split(1, dim=1)
            h = torch.cat([f(lead) for f, lead in zip(self.encoder, leads, strict=True)], 1)
        else:
            h = self.encoder(x)
        return h.transpose(1, 2)

    def _signals(self, quantised: torch.Tensor) -> torch.Tensor:
        """quantised features (B, T, 12 C) -> (B, 12, n) mV."""
        y = self.decoder(self.widen(quantised).transpose(1, 2))
        if self.components is not None:
            leads = quantised.unflatten(2, (N_LEADS, -1)) @ self.components.T  # (B, T, 12, hop)
            y = leads.transpose(1, 2).flatten(2) + self.gains["decoder"] * y
        return y[..., : self.samples]

    @torch.no_grad()
    def encode(self, x: torch.Tensor, n_valid: torch.Tensor | None = None) -> torch.Tensor:
        """(B, 12, n) mV -> codes (B, T, 1); samples from n_valid (B,) on are read as zeros."""
        contract.check_signals(x, self.samples)
        return self.fsq.encode(self._features(contract.mask_padding(x, n_valid)))

    @torch.no_grad()
    def decode(self, codes: torch.Tensor) -> torch.Tensor:
        """codes (B, T, 1) -> (B, 12, n) mV."""
        contract.check_codes(codes, self.fsq.codewords)
        return self._signals(self.fsq.decode(codes))

    @torch.no_grad()
    def features(self, codes: torch.Tensor, n_valid: torch.Tensor) -> contract.Features:
        """codes (B, T, 1) -> grid points (B, T, dims), number of positions with signal (B,)."""
        return self.fsq.codes_to_grid(codes[..., 0]), (n_valid + self.hop - 1) // self.hop

    def to_ids(self, codes: torch.Tensor) -> torch.Tensor:
        """codes (B, T, 1) -> flat integers (B, T)."""
        return contract.to_ids(codes, self.fsq.codewords)

    def from_ids(self, ids: torch.Tensor) -> torch.Tensor:
        """flat integers (B, T) -> codes (B, T, 1)."""
        return contract.from_ids(ids, 1, self.fsq.codewords)

    def rate(self) -> contract.Rate:
        """Vocabulary, tokens and bits of one full-length ECG."""
        return contract.uniform_rate(self.positions, 1, self.fsq.codewords)

    def save(self, folder: Path) -> None:
        """Write safetensors and JSON into `folder`."""
        config = {"method": self.method, **self._config}
        contract.save_model(self.state_dict(), config, folder)
