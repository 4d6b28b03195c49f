"""The training loop of every model; an interrupted training resumes to the same weights."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn
from tqdm import tqdm

from ecglib.training import checkpoint
from ecglib.training.seeds import sub_seed


@dataclass(frozen=True)
class Schedule:
    """How long and how fast to train.

    Attributes:
        steps: updates.
        warmup: updates during which the learning rate rises linearly to its peak.
        grad_clip: largest allowed L2 norm of the gradient over all trained parameters.
        betas, weight_decay: of AdamW.
        final_lr_share: share of the peak learning rate at which the cosine ends.
        checkpoint_every: updates between two checkpoints.
    """

    steps: int
    warmup: int = 20
    grad_clip: float = 1.0
    betas: tuple[float, float] = (0.9, 0.98)
    weight_decay: float = 0.0
    final_lr_share: float = 0.0
    checkpoint_every: int = 100

    def lr_share(self, step: int) -> float:
        """Share of the peak learning rate at `step`, which counts from 0.

        It rises linearly to 1, then follows a cosine down to `final_lr_share`.
        """
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
) -> list[float]:
    """Train the parameters of `modules` that require a gradient.

    All random draws of step `i` depend on (seed, name, i) only. An interrupted training therefore
    resumes to the same weights as an uninterrupted one.

    Args:
        loss_at: maps a step to the losses of its micro-batches, as functions. Each is called,
            back-propagated and freed before the next one is called.
        modules: the trained modules by name.
        learning_rates: the peak learning rate of each module, by the same names.
        schedule: steps, learning rate over the steps, and options of the optimiser.
        seed: the run's seed.
        folder: the step's output folder; the checkpoint is `folder/"checkpoint"/name`.
        name: of this training, for seeds, checkpoint and progress bar.

    Returns:
        The loss of every step, summed over its micro-batches.

    Raises:
        FloatingPointError: a loss is not finite.
    """
    groups = [
        {
            "params": [p for p in module.parameters() if p.requires_grad],
            "lr": learning_rates[key],
            "peak": learning_rates[key],
        }
        for key, module in modules.items()
    ]
    optimizer = torch.optim.AdamW(groups, betas=schedule.betas, weight_decay=schedule.weight_decay)
    saved_at = folder / "checkpoint" / name
    first, losses = checkpoint.load(saved_at, modules, optimizer)
    parameters = [p for group in groups for p in group["params"]]
    progress = tqdm(range(first, schedule.steps), initial=first, total=schedule.steps, desc=name)
    for step in progress:
        for group in optimizer.param_groups:
            group["lr"] = group["peak"] * schedule.lr_share(step)
        optimizer.zero_grad(set_to_none=True)
        torch.manual_seed(sub_seed(seed, name, step))  # dropout draws from the global generator
        total = 0.0
        for micro_loss in loss_at(step):
            loss = micro_loss()
            loss.backward()
            total += loss.item()
        if not math.isfinite(total):
            raise FloatingPointError(
                f"{name}: expected a finite loss, got {total} at step {step}; "
                "lower the learning rate"
            )
        nn.utils.clip_grad_norm_(parameters, schedule.grad_clip)
        optimizer.step()
        losses.append(total)
        if (step + 1) % schedule.checkpoint_every == 0 and step + 1 < schedule.steps:
            checkpoint.save(saved_at, modules, optimizer, step + 1, losses)
    return losses
