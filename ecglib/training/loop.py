"""The training loop of every model; an interrupted training resumes to the same weights."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import nn
from tqdm import tqdm

from ecglib.training import checkpoint, ranks
from ecglib.training.memory import Parts, within
from ecglib.training.seeds import sub_seed

BETAS = (0.9, 0.98)  # of AdamW


@dataclass(frozen=True)
class Schedule:
    """How long and how fast to train; steps are updates."""

    steps: int
    warmup: int = 20  # steps of the linear rise to the peak learning rate
    grad_clip: float = 1.0  # largest L2 norm of the gradient over all trained parameters
    weight_decay: float = 0.0
    final_lr_share: float = 0.0  # share of the peak learning rate at which the cosine ends
    checkpoint_every: int = 100  # steps

    def lr_share(self, step: int) -> float:
        """Share of the peak learning rate at `step` (from 0): a linear rise to 1, then a cosine."""
        if step < self.warmup:
            return (step + 1) / self.warmup
        progress = (step - self.warmup) / max(1, self.steps - self.warmup)
        cosine = 0.5 * (1 + math.cos(math.pi * progress))
        return self.final_lr_share + (1 - self.final_lr_share) * cosine


def fit(
    loss_at: Callable[[int], list[Callable[[], torch.Tensor]]],
    modules: dict[str, nn.Module],
    learning_rates: dict[str, float],
    schedule: Schedule,
    seed: int,
    folder: Path,
    name: str,
    parts: Parts | None = None,
    before: Callable[[int], None] | None = None,
) -> list[float]:
    """Train the parameters of `modules` that require a gradient.

    All random draws of step `i` depend on (seed, name, i) only. An interrupted training therefore
    resumes to the same weights as an uninterrupted one. Several processes share the micro-batches
    of each update (`training.ranks`); the first one writes the checkpoints.

    Args:
        loss_at: maps a step to the losses of its micro-batches, as functions. Each is called,
            back-propagated and freed before the next one is called.
        modules: the trained modules by name.
        learning_rates: the peak learning rate of each module, by the same names.
        folder: the step's output folder; the checkpoint is `folder/"checkpoint"/name`.
        name: of this training, for seeds, checkpoint and progress bar.
        parts: how many micro-batches `loss_at` makes; doubled where memory runs out.
        before: called with each step before it is made.

    Returns:
        The loss of every step, summed over its micro-batches.

    Raises:
        FloatingPointError: a loss is not finite.
        torch.OutOfMemoryError: memory runs out, and the micro-batches cannot be smaller.
    """
    groups = []
    for key, module in modules.items():
        parameters = [p for p in module.parameters() if p.requires_grad]
        peak = learning_rates[key]
        groups.append({"params": parameters, "lr": peak, "peak": peak})
    optimizer = torch.optim.AdamW(
        groups, betas=BETAS, weight_decay=schedule.weight_decay, fused=True
    )
    saved_at = folder / "checkpoint" / name
    first, losses = checkpoint.load(saved_at, modules, optimizer)
    parameters = [p for group in groups for p in group["params"]]
    device = parameters[0].device

    def backward(step: int) -> float:
        """The gradients of an update, summed over its micro-batches, and its loss."""
        optimizer.zero_grad(set_to_none=True)
        torch.manual_seed(sub_seed(seed, name, step))  # dropout draws from the global generator
        losses, total = loss_at(step), 0.0
        for number in ranks.own(range(len(losses))):
            if number:  # its draws are the same, whichever process computes it
                torch.manual_seed(sub_seed(seed, name, step, number))
            loss = losses[number]()
            loss.backward()
            total += loss.item()
        return total

    progress = tqdm(range(first, schedule.steps), initial=first, total=schedule.steps, desc=name)
    for step in progress:
        for group in optimizer.param_groups:
            group["lr"] = group["peak"] * schedule.lr_share(step)
        if before:
            before(step)
        total = ranks.total(within(partial(backward, step), parts, name, device), device)
        ranks.add_gradients(parameters)
        if not math.isfinite(total):
            raise FloatingPointError(
                f"{name}: expected a finite loss, got {total} at step {step}; lower the rate"
            )
        nn.utils.clip_grad_norm_(parameters, schedule.grad_clip)
        optimizer.step()
        losses.append(total)
        is_due = (step + 1) % schedule.checkpoint_every == 0 and step + 1 < schedule.steps
        if is_due and ranks.rank() == 0:
            checkpoint.save(saved_at, modules, optimizer, step + 1, losses)
    return losses
