"""The loss of every multi-label classifier: cross-entropy over the cells whose state is known."""

import torch
from torch import nn


def masked_bce(logits: torch.Tensor, target: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
    """Mean binary cross-entropy over the known cells; all arguments (B, labels)."""
    cell = nn.functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
    return (cell * known).sum() / known.sum().clamp(min=1)
