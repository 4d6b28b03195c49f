"""A plain convolutional network on the raw signal: what can be read from an ECG without tokens.

It stands above the probes on tokens, as the networks on the raw signal do in ECG-Tok, Fig. 2. It
gets the stored 12 leads at 250 Hz. Four convolutions with stride shorten them to 128 ms per
position, residual blocks follow, and the mean and the maximum over the positions are classified.
The weights after the last step are scored. Sizes and the number of steps were chosen on validation
patients of simulated cohorts with other seeds.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import nn

from ecglib.classify.probe import masked_bce
from ecglib.classify.targets import binary_targets, score_table, scored_labels
from ecglib.cohorts.loader import Batch, Loader
from ecglib.cohorts.store import Cohort
from ecglib.tokenizers.contract import save_model
from ecglib.training import seeds
from ecglib.training.device import Machine
from ecglib.training.loop import Schedule, fit

CHUNK = 128  # ECGs scored at a time
WEIGHT_DECAY = 0.05
KERNEL, FIRST_KERNEL = 5, 15  # samples
STRIDES = (4, 2, 2, 2)  # of the first convolutions; the residual blocks have none


class ResidualBlock(nn.Module):
    """x + Conv(ReLU(Norm(Conv(ReLU(Norm(x)))))), (B, C, T) to the same."""

    def __init__(self, width: int):
        super().__init__()
        self.norm1, self.norm2 = nn.BatchNorm1d(width), nn.BatchNorm1d(width)
        self.conv1 = nn.Conv1d(width, width, KERNEL, padding=KERNEL // 2)
        self.conv2 = nn.Conv1d(width, width, KERNEL, padding=KERNEL // 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.conv1(torch.relu(self.norm1(x)))
        return x + self.conv2(torch.relu(self.norm2(h)))


class RawNetwork(nn.Module):
    """Signals (B, 12, n) in mV and their valid lengths (B,) -> logits (B, labels).

    Args:
        labels: number of outputs.
        widths: channels after each of the convolutions with the strides `STRIDES`.
        blocks: residual blocks behind them.
        dropout: share of pooled values that are set to zero in training.
    """

    def __init__(self, labels: int, widths: list[int], blocks: int, dropout: float):
        super().__init__()
        self._config = {"labels": labels, "widths": list(widths), "blocks": blocks}
        self._config |= {"dropout": dropout}
        layers, before = [], 12
        for width, stride in zip(widths, STRIDES, strict=True):
            kernel = FIRST_KERNEL if before == 12 else KERNEL
            layers.append(nn.Conv1d(before, width, kernel, stride, kernel // 2))
            layers += [nn.BatchNorm1d(width), nn.ReLU()]
            before = width
        layers += [ResidualBlock(before) for _ in range(blocks)]
        self.layers = nn.Sequential(*layers, nn.BatchNorm1d(before), nn.ReLU())
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(2 * before, labels)

    def config(self) -> dict:
        """Arguments that rebuild an equal, untrained instance."""
        return dict(self._config)

    def forward(self, x: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """x (B, 12, n), lengths (B,) samples -> logits (B, labels)."""
        h = self.layers(x)  # (B, C, T)
        last = torch.div(lengths - 1, int(np.prod(STRIDES)), rounding_mode="floor")[:, None]
        valid = (torch.arange(h.shape[2], device=h.device) <= last)[:, None].to(h.dtype)
        mean = (h * valid).sum(2) / valid.sum(2)
        return self.classifier(self.dropout(torch.cat([mean, (h * valid).amax(2)], dim=1)))


@torch.no_grad()
def predict(network: RawNetwork, cohort: Cohort, rows: np.ndarray, device: str) -> np.ndarray:
    """Probabilities (len(rows), labels) of a network in evaluation mode."""
    network.to(device).eval()
    n_valid = cohort.records["n_valid"].to_numpy()
    parts = []
    for chunk in np.split(rows, range(CHUNK, len(rows), CHUNK)):
        x, lengths = (torch.from_numpy(a) for a in (cohort.signals(chunk), n_valid[chunk]))
        parts.append(torch.sigmoid(network(x.to(device), lengths.to(device))).cpu().numpy())
    return np.concatenate(parts)


def train(out: Path, inputs: dict[str, Path], config: dict, seed: int, machine: Machine) -> None:
    """Step: train the network on the training rows, score the validation and test rows.

    Writes model.safetensors, config.json, history.csv and scores.parquet (row, label as an index of
    the 77, score = probability).

    Inputs: cohort.

    Config:
        widths: channels of the four convolutions with stride.
        blocks: residual blocks.
        dropout: share of pooled values set to zero in training.
        epochs: how often each training ECG is seen.
        batch: ECGs per update.
        learning_rate: peak of the schedule.
        min_positives: training ECGs in which a scored label is present (and absent).
    """
    machine.configure_torch()
    torch.manual_seed(seeds.sub_seed(seed, "raw"))
    cohort = Cohort.open(inputs["cohort"])
    labels = scored_labels(cohort, config["min_positives"])
    sizes = {key: config[key] for key in ("widths", "blocks", "dropout")}
    network = RawNetwork(len(labels), **sizes).to(machine.device).train()
    order = seeds.sub_seed(seed, "raw", "order")
    loader = Loader(cohort, cohort.rows("train"), config["batch"], order)

    def loss_at(step: int) -> list:
        batch = loader.at(step)
        return [lambda: masked_bce(network(*_inputs(batch, machine.device)), *target(batch))]

    def target(batch: Batch) -> list[torch.Tensor]:
        cells = binary_targets(batch.labels[:, labels])
        return [torch.from_numpy(part).to(machine.device) for part in cells]

    steps, rates = config["epochs"] * len(loader), {"raw": config["learning_rate"]}
    schedule = Schedule(steps, warmup=min(100, steps // 5), weight_decay=WEIGHT_DECAY)
    losses = fit(loss_at, {"raw": network}, rates, schedule, seed, out, "raw")
    history = pd.DataFrame({"step": range(len(losses)), "loss": losses})
    history.to_csv(out / "history.csv", index=False)
    held_out = np.sort(np.r_[cohort.rows("validation"), cohort.rows("test")])
    scores = predict(network, cohort, held_out, machine.device)
    score_table(held_out, labels, scores).to_parquet(out / "scores.parquet", index=False)
    save_model(network.cpu().state_dict(), network.config(), out)


def _inputs(batch: Batch, device: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Signals and valid lengths of a batch."""
    lengths = torch.from_numpy(batch.mask.sum(axis=1))
    return torch.from_numpy(batch.signals).to(device), lengths.to(device)
