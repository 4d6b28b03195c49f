"""Validation after each epoch of a training, and the weights of the best epoch.

All of it is on the disk, in the checkpoint folder of the training, so that an interrupted training
resumes with it. A resumed training repeats the epochs since its last checkpoint. An epoch is
therefore compared with earlier epochs only, and replaces what was recorded of later ones.
"""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from safetensors.torch import load_file, save_file
from scipy.stats import rankdata
from torch import nn

from ecglib.classify.loss import masked_bce


class Validation:
    """Loss and macro-AUC by epoch.

    Args:
        folder: of the checkpoints.
        name: of the training.
        target, known: of the validation ECGs, (n, labels).
        keep_best: keep the weights of the epoch with the lowest loss.
    """

    def __init__(
        self, folder: Path, name: str, target: torch.Tensor, known: torch.Tensor, keep_best: bool
    ):
        self.table = folder / f"{name}_validation.json"
        self.weights = folder / f"{name}_best.safetensors"
        self.target, self.known, self.keep_best = target, known, keep_best

    def add(self, epoch: int, network: nn.Module, logits: torch.Tensor) -> None:
        """Record an epoch by its logits (n, labels); keep its weights if it is the best so far."""
        loss = masked_bce(logits, self.target, self.known).item()
        value = macro_auc(self.target.numpy(), self.known.numpy(), logits.numpy())
        earlier = [row for row in self._recorded() if row["epoch"] < epoch]
        self.table.parent.mkdir(parents=True, exist_ok=True)
        if self.keep_best and not any(row["loss"] <= loss for row in earlier):
            tensors = {k: t.detach().cpu().contiguous() for k, t in network.state_dict().items()}
            new = self.weights.with_suffix(".new")
            save_file(tensors, new)
            new.replace(self.weights)
        new = self.table.with_suffix(".new")
        new.write_text(json.dumps([*earlier, {"epoch": epoch, "loss": loss, "macro_auc": value}]))
        new.replace(self.table)

    def finish(self, out: Path, network: nn.Module) -> None:
        """Write validation.csv (epoch, loss, macro_auc), and load the best weights if kept."""
        pd.DataFrame(self._recorded()).to_csv(out / "validation.csv", index=False)
        if self.keep_best:
            network.load_state_dict(load_file(self.weights))

    def _recorded(self) -> list[dict]:
        return json.loads(self.table.read_text()) if self.table.exists() else []


def macro_auc(target: np.ndarray, known: np.ndarray, score: np.ndarray) -> float:
    """Mean over the labels of the AUC on their known cells; all arguments (n, labels).
    A label without a positive or without a negative is left out."""
    values = []
    for label in range(target.shape[1]):
        cells = known[:, label]
        truth, rank = target[cells, label] == 1, rankdata(score[cells, label])
        n1, n0 = int(truth.sum()), int((~truth).sum())
        if n1 and n0:
            values.append((rank[truth].sum() - n1 * (n1 + 1) / 2) / (n1 * n0))
    return float(np.mean(values)) if values else float("nan")
