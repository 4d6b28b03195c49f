"""InfoNCE, the loss of contrastive learning, and a training on it (van den Oord et al. 2018)."""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from ecglib.language.system import save_prefix
from ecglib.language.train_system import COSTS, count_flops, write_budget, write_history
from ecglib.training.loop import Schedule, fit


def info_nce(
    left: torch.Tensor, right: torch.Tensor, temperature: float | torch.Tensor
) -> torch.Tensor:
    """Mean of two cross-entropies: which of the n rows of one is the partner of each of the other.

    `left`, `right`: (n, d), row i of both belongs together; they are scaled to length 1 here.
    """
    cosine = nn.functional.normalize(left, dim=-1) @ nn.functional.normalize(right, dim=-1).T
    own = torch.arange(len(cosine), device=cosine.device)
    logits = cosine / temperature
    either = (nn.functional.cross_entropy(one, own) for one in (logits, logits.T))
    return sum(either) / 2


def fit_contrast(
    prefix: nn.Module,
    loss_at: Callable[[int], torch.Tensor],
    config: dict,
    seed: int,
    out: Path,
    name: str,
) -> None:
    """Train on a contrast what a prefix freezes, and save the prefix with its `history.csv` and
    `budget.json`.

    Args:
        prefix: one with a method `freeze`; frozen again when it is saved.
        loss_at: the loss of an update.
        config: `contrast_steps`, `contrast_batch` and `contrast_rate`, as of a step.
        name: of the training, for seeds and checkpoint.
    """
    steps = config["contrast_steps"]

    def losses_at(step: int) -> list[Callable[[], torch.Tensor]]:
        return [lambda: loss_at(step)]

    prefix.freeze(False)
    flops = count_flops(losses_at(0))
    rates, schedule = {"prefix": config["contrast_rate"]}, Schedule(steps, min(20, steps // 4))
    losses = fit(losses_at, {"prefix": prefix}, rates, schedule, seed, out, name)
    prefix.freeze(True)
    save_prefix(prefix, out)
    write_history(out, losses)
    nothing, views = dict.fromkeys(COSTS, 0), steps * config["contrast_batch"]
    now = nothing | {"updates": steps, "ecg_views": views, "flops": steps * flops}
    write_budget(out, nothing, now)
