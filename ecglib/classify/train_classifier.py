"""Trains any multi-label classifier of ECGs, and writes the same files for each.

Every epoch visits each training ECG once, or `repeats` times. The order of the ECGs depends on the
seed alone, so all classifiers of one seed and batch size that learn from the same ECGs see the same
batches. The validation patients are scored after each epoch. With `keep_best` the weights of the
epoch with the lowest validation loss are kept, and otherwise those after the last step: then no
split selects anything.

    scores.parquet     row, label (index of the 77, or of the columns of the targets), score
                       (probability) of the rows of the roles validation, test and transfer
    history.csv        step, loss
    validation.csv     epoch, loss, macro_auc, each on the validation rows after that epoch
    budget.csv         one line: parameters, mflops_per_ecg, epochs, ecg_views, labelled_ecgs
    labels.csv         label: the scored ones, in the order of the network's outputs
    model.safetensors, config.json
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from ecglib.classify.loss import masked_bce
from ecglib.classify.targets import binary_targets, score_table
from ecglib.classify.validation import Validation
from ecglib.cohorts.loader import Loader
from ecglib.cohorts.store import Cohort
from ecglib.tokenizers.contract import save_model
from ecglib.training import seeds
from ecglib.training.device import Machine
from ecglib.training.loop import Schedule, fit

CHUNK = 256  # ECGs scored at a time
HELD_OUT = ("validation", "test", "transfer")
Read = Callable[[np.ndarray], tuple[torch.Tensor, torch.Tensor]]
"""Record numbers (B,) -> the network's inputs: values (B, ...) and valid lengths (B,)."""


@dataclass(frozen=True)
class Task:
    """What is learned from which ECGs.

    Attributes:
        cohort: holds the label states.
        labels: the scored ones, as columns of `states`.
        rows: record numbers of the training ECGs.
        read: gives the network's inputs for record numbers.
        states: int8 (N, labels), of `targets.label_states`.
    """

    cohort: Cohort
    labels: list[int]
    rows: np.ndarray
    read: Read
    states: np.ndarray

    def targets(self, rows: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        """Targets float32 and known cells bool, each (len(rows), labels)."""
        target, known = binary_targets(self.states[rows][:, self.labels])
        return torch.from_numpy(target), torch.from_numpy(known)


def held_out_rows(cohort: Cohort) -> np.ndarray:
    """Record numbers that are scored, ascending: of the roles validation, test and transfer."""
    return np.sort(np.concatenate([cohort.rows(role) for role in HELD_OUT]))


def train_and_score(
    out: Path,
    network: nn.Module,
    task: Task,
    config: dict,
    name: str,
    seed: int,
    machine: Machine,
    weight_decay: float,
    keep_best: bool = False,
) -> None:
    """Train a network and write the files of the module's list into `out`.

    Args:
        network: maps values and lengths to logits (B, labels), and has `config()`.
        config: of the step; its keys epochs, batch and learning_rate are read, and repeats: how
            often an epoch has each training ECG, once without it.
        name: of the training, for the draws of its steps and for its checkpoint.
        weight_decay: of AdamW.
        keep_best: keep the weights of the epoch with the lowest validation loss.
    """
    network.to(machine.device).train()
    order = seeds.sub_seed(seed, "classify", "order")
    views = np.repeat(task.rows, config.get("repeats", 1))
    loader = Loader(task.cohort, views, config["batch"], order)
    validation_rows = task.cohort.rows("validation")
    targets = task.targets(validation_rows)
    validation = Validation(out / "checkpoint", name, *targets, keep_best)

    def validate(epoch: int) -> None:
        logits = predict(network, task.read, validation_rows, machine.device)
        validation.add(epoch, network, logits)

    def loss_at(step: int) -> list:
        epoch, number = divmod(step, len(loader))
        if epoch and not number:
            validate(epoch)
        rows = loader.order(epoch)[number]
        batch = [part.to(machine.device) for part in (*task.read(rows), *task.targets(rows))]
        return [lambda: masked_bce(network(*batch[:2]), *batch[2:])]

    steps, rates = config["epochs"] * len(loader), {name: config["learning_rate"]}
    schedule = Schedule(steps, warmup=min(100, steps // 5), weight_decay=weight_decay)
    losses = fit(loss_at, {name: network}, rates, schedule, seed, out, name)
    validate(config["epochs"])
    history = pd.DataFrame({"step": range(len(losses)), "loss": losses})
    history.to_csv(out / "history.csv", index=False)
    validation.finish(out, network)
    write_scores(out, network, task.read, held_out_rows(task.cohort), task.labels, machine.device)
    counts = {"epochs": config["epochs"], "ecg_views": config["epochs"] * len(views)}
    counts["labelled_ecgs"] = len(task.rows)
    write_budget(out, network.cpu(), task.read(task.rows[:1]), **counts)
    pd.DataFrame({"label": task.labels}).to_csv(out / "labels.csv", index=False)
    save_model(network.state_dict(), network.config(), out)


@torch.no_grad()
def predict(network: nn.Module, read: Read, rows: np.ndarray, device: str) -> torch.Tensor:
    """Logits (len(rows), labels) on the CPU, in evaluation mode; the mode is restored."""
    training = network.training
    network.eval()
    parts = [torch.zeros(0, network.config()["labels"])]
    for chunk in np.split(rows, range(CHUNK, len(rows), CHUNK)):
        if len(chunk):
            parts.append(network(*(part.to(device) for part in read(chunk))).cpu())
    network.train(training)
    return torch.cat(parts)


def write_scores(
    out: Path, network: nn.Module, read: Read, rows: np.ndarray, labels: list[int], device: str
) -> None:
    """Write scores.parquet of some rows."""
    logits = predict(network.to(device), read, rows, device)
    scores = torch.sigmoid(logits.double()).numpy()  # in float32, high ones would be equal
    score_table(rows, labels, scores).to_parquet(out / "scores.parquet", index=False)


def write_budget(out: Path, network: nn.Module, ecg: tuple[torch.Tensor, ...], **counts) -> None:
    """Write budget.csv: the network's size, its operations for the inputs `ecg`, and `counts`."""
    row = {"parameters": sum(parameter.numel() for parameter in network.parameters())}
    row["mflops_per_ecg"] = forward_operations(network, *ecg) / 1e6
    pd.DataFrame([row | counts]).to_csv(out / "budget.csv", index=False)


def forward_operations(network: nn.Module, values: torch.Tensor, lengths: torch.Tensor) -> int:
    """Multiplications and additions in the products and convolutions of a forward pass on the CPU,
    each counted as one operation."""
    network.eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(values, lengths)
    return counter.get_total_flops()
