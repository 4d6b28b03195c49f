"""A multi-label classifier on frozen token embeddings: it measures what the tokens preserve.

A small 1-D residual network over the positions with attention pooling. It replaces the 1-D
EfficientNetV2 that ECG-Tok trains on the same input (section 2.4) and is about as deep as the first
stages of the released head. Every tokenizer gets the same network, the same batches and the same
number of steps. The weights after the last step are scored: no checkpoint is selected on any split.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import nn

from ecglib.classify.targets import binary_targets, score_table, scored_labels
from ecglib.cohorts.store import Cohort
from ecglib.tokenizers.contract import save_model
from ecglib.tokenizers.encode import read_latents
from ecglib.tokenizers.load import load
from ecglib.training import seeds
from ecglib.training.device import Machine
from ecglib.training.loop import Schedule, fit

CHUNK = 512  # ECGs scored at a time
WEIGHT_DECAY = 0.02


class Block(nn.Module):
    """x + Conv(Dropout(GELU(Conv(LayerNorm(x))))) over the valid positions; (B, T, C) to same."""

    def __init__(self, width: int, dropout: float):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.conv1 = nn.Conv1d(width, width, 5, padding=2)
        self.conv2 = nn.Conv1d(width, width, 5, padding=2)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """x (B, T, C), mask (B, T, 1) of 0 and 1; padding enters every convolution as zeros."""
        h = (self.norm(x) * mask).transpose(1, 2)
        h = self.dropout(nn.functional.gelu(self.conv1(h))) * mask.transpose(1, 2)
        return x + self.conv2(h).transpose(1, 2)


class Probe(nn.Module):
    """Embeddings (B, T, D) and their valid lengths (B,) -> logits (B, labels).

    Args:
        dim: D of the embeddings.
        labels: number of outputs.
        width: channels of the network.
        blocks: number of residual blocks.
        heads: attention heads; each pools the positions with its own weights.
        dropout: share of values set to zero in training.
    """

    def __init__(self, dim: int, labels: int, width: int, blocks: int, heads: int, dropout: float):
        super().__init__()
        self._config = {"dim": dim, "labels": labels, "width": width, "blocks": blocks}
        self._config |= {"heads": heads, "dropout": dropout}
        self.register_buffer("mean", torch.zeros(dim))
        self.register_buffer("scale", torch.ones(dim))
        self.input_projection = nn.Linear(dim, width)
        self.blocks = nn.ModuleList(Block(width, dropout) for _ in range(blocks))
        self.norm = nn.LayerNorm(width)
        self.attention = nn.Linear(width, heads)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(width * heads, labels)

    def config(self) -> dict:
        """Arguments that rebuild an equal, untrained instance."""
        return dict(self._config)

    def forward(self, x: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """x (B, T, D), lengths (B,) >= 1 -> logits (B, labels)."""
        mask = (torch.arange(x.shape[1], device=x.device) < lengths[:, None])[..., None]
        h = self.input_projection((x - self.mean) / self.scale)
        for block in self.blocks:
            h = block(h, mask.to(h.dtype))
        h = self.norm(h)
        weight = self.attention(h).masked_fill(~mask, -torch.inf).softmax(1)  # (B, T, heads)
        pooled = torch.einsum("bth,btc->bhc", weight, h).flatten(1)
        return self.classifier(self.dropout(pooled))


def masked_bce(logits: torch.Tensor, target: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
    """Mean binary cross-entropy over the known cells; all arguments (B, labels)."""
    cell = nn.functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
    return (cell * known).sum() / known.sum().clamp(min=1)


@torch.no_grad()
def predict(probe: Probe, vectors: torch.Tensor, lengths: torch.Tensor, device: str) -> np.ndarray:
    """Probabilities (N, labels) of a probe in evaluation mode."""
    probe.to(device).eval()
    chunks = zip(vectors.split(CHUNK), lengths.split(CHUNK), strict=True)
    return np.concatenate(
        [torch.sigmoid(probe(x.to(device), n.to(device))).cpu().numpy() for x, n in chunks]
    )


def train(out: Path, inputs: dict[str, Path], config: dict, seed: int, machine: Machine) -> None:
    """Step: train a probe on the training rows, score the validation and test rows.

    Writes model.safetensors, config.json, labels.csv (the scored labels), history.csv and
    scores.parquet (row, label as an index of the 77, score = probability).

    Inputs: cohort, tokenizer (frozen), codes (of the whole cohort).

    Config:
        width: channels of the probe.
        blocks: residual blocks.
        heads: attention heads of the pooling.
        dropout: share of values set to zero in training.
        steps: updates.
        batch: ECGs per update.
        learning_rate: peak of the schedule.
        min_positives: training ECGs in which a scored label is present (and absent).
    """
    machine.configure_torch()
    torch.manual_seed(seeds.sub_seed(seed, "probe"))
    cohort = Cohort.open(inputs["cohort"])
    labels, rows = scored_labels(cohort, config["min_positives"]), cohort.rows("train")
    tokenizer = load(inputs["tokenizer"])
    vectors, lengths = read_latents(tokenizer, inputs["codes"], cohort, rows)
    target, known = map(torch.from_numpy, binary_targets(cohort.labels[rows][:, labels]))
    sizes = {key: config[key] for key in ("width", "blocks", "heads", "dropout")}
    probe = Probe(vectors.shape[-1], len(labels), **sizes)
    valid = vectors[torch.arange(vectors.shape[1]) < lengths[:, None]]
    probe.mean.copy_(valid.mean(0))
    probe.scale.copy_(valid.std(0) + 1e-6)
    probe.to(machine.device).train()

    def loss_at(step: int) -> list:
        drawn = seeds.draw_rows(len(rows), config["batch"], seed, "probe", step)
        batch = [tensor[drawn].to(machine.device) for tensor in (vectors, lengths, target, known)]
        return [lambda: masked_bce(probe(*batch[:2]), *batch[2:])]

    steps, rates = config["steps"], {"probe": config["learning_rate"]}
    schedule = Schedule(steps, warmup=min(20, steps // 5), weight_decay=WEIGHT_DECAY)
    losses = fit(loss_at, {"probe": probe}, rates, schedule, seed, out, "probe")
    history = pd.DataFrame({"step": range(len(losses)), "loss": losses})
    history.to_csv(out / "history.csv", index=False)
    held_out = np.sort(np.concatenate([cohort.rows("validation"), cohort.rows("test")]))
    latents = read_latents(tokenizer, inputs["codes"], cohort, held_out)
    scores = predict(probe, *latents, machine.device)
    score_table(held_out, labels, scores).to_parquet(out / "scores.parquet", index=False)
    pd.DataFrame({"label": labels}).to_csv(out / "labels.csv", index=False)
    save_model(probe.cpu().state_dict(), probe.config(), out)
