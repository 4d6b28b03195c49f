"""One training loop for every model, resumable to the same weights."""

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
class Recipe:
    """How long and how fast to train."""

    steps: int
    warmup: int = 20
    clip: float = 1.0
    betas: tuple[float, float] = (0.9, 0.98)
    weight_decay: float = 0.0
    floor: float = 0.0  # the cosine ends at this share of the peak
    every: int = 100  # steps between checkpoints


def schedule(step: int, recipe: Recipe) -> float:
    """Linear warm-up to 1, then a cosine down to `recipe.floor`; `step` counts from 0."""
    if step < recipe.warmup:
        return (step + 1) / recipe.warmup
    part = (step - recipe.warmup) / max(1, recipe.steps - recipe.warmup)
    return recipe.floor + (1 - recipe.floor) * 0.5 * (1 + math.cos(math.pi * part))


def fit(
    loss_at: Callable[[int], list[Callable[[], torch.Tensor]]],
    modules: dict[str, nn.Module],
    learning_rates: dict[str, float],
    recipe: Recipe,
    seed: int,
    folder: Path,
    name: str,
) -> list[float]:
    """Train the parameters of `modules` that require a gradient.

    Everything random in step `i` is drawn from (seed, name, i), never from what came before, so a
    training that was killed and continued ends with the same weights as one that ran through.

    Args:
        loss_at: given the step, the losses to add up, as functions called one by one
        (micro-batches:
            each is back-propagated and freed before the next).
        modules: the trained modules by name; `learning_rates` has the same names.
        folder: the step's output folder; the checkpoint lies in `folder/"checkpoint"/name`.
        name: of this training, for seeds, checkpoint and progress bar.

    Returns:
        The loss of every step.
    """
    groups = [
        {
            "params": [p for p in module.parameters() if p.requires_grad],
            "lr": learning_rates[key],
            "peak": learning_rates[key],
        }
        for key, module in modules.items()
    ]
    optimizer = torch.optim.AdamW(groups, betas=recipe.betas, weight_decay=recipe.weight_decay)
    where = folder / "checkpoint" / name
    first, losses = checkpoint.load(where, modules, optimizer)
    parameters = [p for group in groups for p in group["params"]]
    progress = tqdm(range(first, recipe.steps), initial=first, total=recipe.steps, desc=name)
    for step in progress:
        for group in optimizer.param_groups:
            group["lr"] = group["peak"] * schedule(step, recipe)
        optimizer.zero_grad(set_to_none=True)
        torch.manual_seed(sub_seed(seed, name, step))  # dropout draws from the global generator
        total = 0.0
        for part in loss_at(step):
            loss = part()
            loss.backward()
            total += loss.item()
        if not math.isfinite(total):
            raise FloatingPointError(f"{name}: the loss of step {step} is {total}; lower the rate")
        if recipe.clip:
            nn.utils.clip_grad_norm_(parameters, recipe.clip)
        optimizer.step()
        losses.append(total)
        if (step + 1) % recipe.every == 0 and step + 1 < recipe.steps:
            checkpoint.save(where, modules, optimizer, step + 1, losses)
    return losses
