"""The classifier of ECG-Tok on frozen embeddings: a one-dimensional EfficientNetV2.

The paper names the network (section 2.4); the release has its sizes (`b0_v2`).
The first `PLAIN_STAGES` stages are plain convolutions with norm and swish, as released: their
expansion is not used. The others are MBConv blocks (Sandler et al. 2018; Tan and Le 2021):

    e = swish(norm(E x));  d = swish(norm(depthwise(e)));  g = sigmoid(U swish(S mean(d)))
    y = norm(P (d * g)),  plus x where shape and stride allow

Positions behind the end of a recording never reach a valid one: they are zero in every convolution
and left out of the statistics of the norms and of all means. Tensors are (B, T, C), since products
over the last axis are the fastest on a CPU.

As in the reference code of EfficientNetV2, and unknown of the release: block i of n is skipped with
a chance of i / n times `stochastic_depth` (Huang et al. 2016), and S has a quarter of the channels
of the block's input.
"""

from typing import NamedTuple

import torch
from torch import nn

PLAIN_STAGES = 2
SQUEEZE = 4  # channels of the block's input per channel of S


class Valid(NamedTuple):
    """Which positions of a padded batch hold signal.

    Attributes:
        mask: (B, T, 1), 1 or 0.
        index: int64 (n,), the valid positions of the batch with its two first axes joined.
        lengths: (B, 1), valid positions of each ECG.
    """

    mask: torch.Tensor
    index: torch.Tensor
    lengths: torch.Tensor


def valid_positions(lengths: torch.Tensor, positions: int, dtype: torch.dtype) -> Valid | None:
    """The valid positions of a batch with lengths (B,); None where nothing is padded."""
    if lengths.is_meta or bool((lengths >= positions).all()):  # --dry-run has no data
        return None
    mask = torch.arange(positions, device=lengths.device) < lengths[:, None]
    return Valid(mask[..., None].to(dtype), mask.flatten().nonzero()[:, 0], lengths[:, None])


def mean_over_time(x: torch.Tensor, valid: Valid | None) -> torch.Tensor:
    """(B, T, C) -> mean over the valid positions (B, C)."""
    return x.sum(1) / x.shape[1] if valid is None else (x * valid.mask).sum(1) / valid.lengths


class Norm(nn.BatchNorm1d):
    """Batch normalisation of (B, T, C) with statistics of the valid positions alone."""

    def forward(self, x: torch.Tensor, valid: Valid | None) -> torch.Tensor:
        flat = x.flatten(0, 1)
        if valid is None or not self.training:
            return super().forward(flat).view_as(x)
        inside = super().forward(flat[valid.index])
        return torch.zeros_like(flat).index_copy(0, valid.index, inside).view_as(x)


class TimeConv(nn.Conv2d):
    """A convolution along time, (B, T, C) -> (B, ceil(T / stride), C'); padding enters as zeros."""

    def __init__(self, before: int, after: int, kernel: int, stride: int, groups: int = 1):
        shape = {"stride": (1, stride), "padding": (0, kernel // 2), "groups": groups}
        super().__init__(before, after, (1, kernel), bias=False, **shape)

    def forward(self, x: torch.Tensor, valid: Valid | None) -> torch.Tensor:
        x = x if valid is None else x * valid.mask
        return super().forward(x.transpose(1, 2).unsqueeze(2)).squeeze(2).transpose(1, 2)


class PlainBlock(nn.Module):
    """swish(norm(conv(x))), plus x where shape and stride allow."""

    def __init__(self, before: int, after: int, kernel: int, stride: int, drop: float):
        super().__init__()
        self.stride, self.drop, self.skip = stride, drop, before == after and stride == 1
        self.conv, self.norm = TimeConv(before, after, kernel, stride), Norm(after)

    def forward(self, x: torch.Tensor, before: Valid | None, after: Valid | None) -> torch.Tensor:
        """x (B, T, C); which positions are valid before and after the stride."""
        h = nn.functional.silu(self.norm(self.conv(x, before), after))
        return x + drop_branch(h, self.drop, self.training) if self.skip else h


class MBConv(nn.Module):
    """An inverted bottleneck with squeeze and excitation, see the module's formulae."""

    def __init__(
        self, before: int, after: int, expansion: int, kernel: int, stride: int, drop: float
    ):
        super().__init__()
        self.stride, self.drop, self.skip = stride, drop, before == after and stride == 1
        inner, squeezed = before * expansion, max(1, before // SQUEEZE)
        self.expand, self.norm1 = nn.Linear(before, inner, bias=False), Norm(inner)
        self.depthwise, self.norm2 = TimeConv(inner, inner, kernel, stride, inner), Norm(inner)
        self.squeeze, self.excite = nn.Linear(inner, squeezed), nn.Linear(squeezed, inner)
        self.project, self.norm3 = nn.Linear(inner, after, bias=False), Norm(after)

    def forward(self, x: torch.Tensor, before: Valid | None, after: Valid | None) -> torch.Tensor:
        """x (B, T, C); which positions are valid before and after the stride."""
        h = nn.functional.silu(self.norm1(self.expand(x), before))
        h = nn.functional.silu(self.norm2(self.depthwise(h, before), after))
        gate = self.excite(nn.functional.silu(self.squeeze(mean_over_time(h, after))))
        h = self.norm3(self.project(h * torch.sigmoid(gate)[:, None]), after)
        return x + drop_branch(h, self.drop, self.training) if self.skip else h


def drop_branch(h: torch.Tensor, chance: float, training: bool) -> torch.Tensor:
    """Stochastic depth: in training, zero the branch of some ECGs and scale that of the others."""
    if not training or chance == 0:
        return h
    kept = torch.rand(len(h), 1, 1, device=h.device) >= chance
    return h * kept / (1 - chance)


class EfficientNetV2(nn.Module):
    """Embeddings (B, T, D) and their valid lengths (B,) -> logits (B, labels).

    Args:
        dim: D of the embeddings.
        labels: number of outputs.
        widths: channels of each stage.
        depths: blocks of each stage.
        expansions: channels inside an MBConv block per channel of its input, one per stage.
        kernels: positions that a convolution of the stage sees, odd.
        strides: of the first block of each stage.
        dropout: share of pooled values that are set to zero in training.
        stochastic_depth: block i of n is skipped in training with i / n times this chance.

    Raises ValueError: the five lists have different lengths, or a kernel is even.
    """

    SIZES = ("widths", "depths", "expansions", "kernels", "strides", "dropout", "stochastic_depth")

    def __init__(
        self,
        dim: int,
        labels: int,
        widths: list[int],
        depths: list[int],
        expansions: list[int],
        kernels: list[int],
        strides: list[int],
        dropout: float,
        stochastic_depth: float,
    ):
        super().__init__()
        stages = {"widths": list(widths), "depths": list(depths), "expansions": list(expansions)}
        stages |= {"kernels": list(kernels), "strides": list(strides)}
        one_length = len({len(numbers) for numbers in stages.values()}) == 1
        if not one_length or any(kernel % 2 == 0 for kernel in kernels):
            text = f"expected lists of one length with odd kernels, got {stages}"
            raise ValueError(f"{text}; give one number of each for every stage")
        self._config = {"dim": dim, "labels": labels, **stages}
        self._config |= {"dropout": dropout, "stochastic_depth": stochastic_depth}
        self.register_buffer("mean", torch.zeros(dim))
        self.register_buffer("scale", torch.ones(dim))
        blocks: list[nn.Module] = []
        before = dim
        for i, after in enumerate(widths):
            for j in range(depths[i]):
                shape = {"kernel": kernels[i], "stride": strides[i] if j == 0 else 1}
                shape["drop"] = stochastic_depth * len(blocks) / sum(depths)
                if i < PLAIN_STAGES:
                    blocks.append(PlainBlock(before, after, **shape))
                else:
                    blocks.append(MBConv(before, after, expansions[i], **shape))
                before = after
        self.blocks = nn.ModuleList(blocks)
        self.head, self.head_norm = nn.Linear(before, before, bias=False), Norm(before)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(before, labels)

    def config(self) -> dict:
        """Arguments that rebuild an equal, untrained instance."""
        return dict(self._config)

    def forward(self, x: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """x (B, T, D), lengths (B,) >= 1 -> logits (B, labels)."""
        h = (x - self.mean) / self.scale
        valid = valid_positions(lengths, h.shape[1], h.dtype)
        for block in self.blocks:
            before = valid
            if block.stride > 1:
                lengths = strided(lengths, block.stride)
                valid = valid_positions(lengths, -(-h.shape[1] // block.stride), h.dtype)
            h = block(h, before, valid)
        h = nn.functional.silu(self.head_norm(self.head(h), valid))
        return self.classifier(self.dropout(mean_over_time(h, valid)))


def strided(lengths: torch.Tensor, stride: int) -> torch.Tensor:
    """Valid positions (B,) behind a convolution with a stride: lengths / stride, rounded up."""
    return torch.div(lengths + stride - 1, stride, rounding_mode="floor")


class LinearProbe(nn.Module):
    """Mean over the valid positions, then a linear layer: the strict probe of the released code.
    Embeddings (B, T, D) and their valid lengths (B,) -> logits (B, labels)."""

    SIZES = ()

    def __init__(self, dim: int, labels: int):
        super().__init__()
        self._config = {"dim": dim, "labels": labels}
        self.register_buffer("mean", torch.zeros(dim))
        self.register_buffer("scale", torch.ones(dim))
        self.classifier = nn.Linear(dim, labels)

    def config(self) -> dict:
        """Arguments that rebuild an equal, untrained instance."""
        return dict(self._config)

    def forward(self, x: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """x (B, T, D), lengths (B,) >= 1 -> logits (B, labels)."""
        x = (x - self.mean) / self.scale
        return self.classifier(mean_over_time(x, valid_positions(lengths, x.shape[1], x.dtype)))
