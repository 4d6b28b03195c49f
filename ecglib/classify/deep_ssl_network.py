"""The network of DeepSSL: strided convolutions, masked spans, a small transformer.

After wav2vec 2.0 (Baevski et al., Advances in Neural Information Processing Systems 2020, section
2), of a size that two cores can train. Every position is normalised over its own channels alone.
The features of an ECG therefore do not depend on the other ECGs of its batch.
"""

import torch
from torch import nn

STRIDES, KERNELS = (4, 4, 2), (11, 5, 3)  # of the convolutions; a position sees 59 samples
HOP = 32  # samples from one position to the next, 128 ms
POSITION_KERNEL, POSITION_GROUPS = 15, 8  # of the position embedding; 15 positions are 1.9 s
DROPOUT = 0.1
INPUT_SCALE = 5.0  # per mV; a lead varies by some 0.2 mV, so biases do not outweigh the signal


def positions(n_valid: torch.Tensor) -> torch.Tensor:
    """Positions that begin inside a recording of so many samples; both int64 (B,)."""
    return torch.div(n_valid + HOP - 1, HOP, rounding_mode="floor")


class SignalEncoder(nn.Module):
    """Signals (B, 12, n) in mV -> latents (B, ceil(n / 32), widths[-1]), normalised by position.
    `widths`: channels after each convolution, as many as `STRIDES`."""

    def __init__(self, widths: list[int]):
        super().__init__()
        layers, before = [], 12
        for width, kernel, stride in zip(widths, KERNELS, STRIDES, strict=True):
            layers += [nn.Conv1d(before, width, kernel, stride, kernel // 2), nn.GELU()]
            before = width
        self.layers = nn.Sequential(*layers)
        self.norm = nn.LayerNorm(before)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(self.layers(INPUT_SCALE * x).transpose(1, 2))


class TransformerLayer(nn.Module):
    """Self-attention and two dense layers, each on normalised input, added to it: pre-norm."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.queries_keys_values = nn.Linear(width, 3 * width)
        self.output = nn.Linear(width, width)
        self.dense = nn.Sequential(
            nn.Linear(width, 2 * width), nn.GELU(), nn.Dropout(DROPOUT), nn.Linear(2 * width, width)
        )
        self.dropout = nn.Dropout(DROPOUT)

    def forward(self, x: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
        """x (B, T, D), valid bool (B, T) -> (B, T, D); nothing attends to a position outside."""
        heads = self.queries_keys_values(self.norm1(x)).unflatten(2, (3, self.heads, -1))
        query, key, value = heads.permute(2, 0, 3, 1, 4)  # each (B, heads, T, D / heads)
        scores = query @ key.transpose(2, 3) / query.shape[-1] ** 0.5
        weights = scores.masked_fill(~valid[:, None, None], -torch.inf).softmax(-1)
        x = x + self.dropout(self.output((weights @ value).transpose(1, 2).flatten(2)))
        return x + self.dropout(self.dense(self.norm2(x)))


class ContrastiveNetwork(nn.Module):
    """Signals -> what the encoder says of each position, and the features with their context.

    Args:
        widths: channels of the three convolutions of the encoder.
        width: D of the features and of the transformer; a multiple of 8.
        layers: transformer layers.
        heads: attention heads of each; divides `width`.
    """

    def __init__(self, widths: list[int], width: int, layers: int, heads: int):
        super().__init__()
        self._config = {"widths": list(widths), "width": width, "layers": layers, "heads": heads}
        self.encoder = SignalEncoder(widths)
        self.projection = nn.Linear(widths[-1], width)
        self.mask_vector = nn.Parameter(0.1 * torch.randn(width))  # instead of a masked position
        options = {"padding": POSITION_KERNEL // 2, "groups": POSITION_GROUPS}
        self.position = nn.Conv1d(width, width, POSITION_KERNEL, **options)
        self.dropout = nn.Dropout(DROPOUT)
        self.layers = nn.ModuleList(TransformerLayer(width, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(width)

    def config(self) -> dict:
        """Arguments that rebuild an equal, untrained instance."""
        return dict(self._config)

    def forward(
        self, x: torch.Tensor, n_valid: torch.Tensor, masked: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Encode and add the context.

        Args:
            x: (B, 12, n) in mV.
            n_valid: samples of each recording, int64 (B,), at least 1.
            masked: bool (B, T), positions that the transformer must not see; None for none.

        Returns:
            Latents (B, T, widths[-1]) of the encoder and features (B, T, D) with context, zero from
            position `positions(n_valid)` on; T = ceil(n / 32).
        """
        latents = self.encoder(x)
        valid = torch.arange(latents.shape[1], device=x.device) < positions(n_valid)[:, None]
        h = self.projection(latents)
        if masked is not None:
            h = torch.where(masked[..., None], self.mask_vector, h)
        h = h * valid[..., None]
        h = h + nn.functional.gelu(self.position(h.transpose(1, 2))).transpose(1, 2)
        h = self.dropout(h)
        for layer in self.layers:
            h = layer(h, valid)
        return latents, self.norm(h) * valid[..., None]
