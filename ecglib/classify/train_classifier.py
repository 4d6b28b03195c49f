"""Trains any classifier of ECGs, and writes the same files for each.

A network reads signals, decoded signals or frozen vectors (`reads`), and starts at random weights
or goes on from another training. Every epoch visits each training ECG once, or `repeats` times. The
order of the ECGs depends on the seed alone, so all classifiers of one seed and batch size that
learn from the same ECGs see the same batches. The validation patients are scored after each epoch.
With `keep_best` the weights of the epoch with the lowest validation loss are kept, and otherwise
those after the last step: then no split selects anything.

    scores.parquet     row, label (index of the 77, or of the columns of the targets), score
                       (probability) of the rows of the roles validation, test and transfer
    history.csv        step, loss
    validation.csv     epoch, loss, macro_auc, each on the validation rows after that epoch
    budget.csv         one line: parameters, mflops_per_ecg, epochs, ecg_views, labelled_ecgs
    labels.csv         label: the scored ones, in the order of the network's outputs
    model.safetensors, config.json
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from safetensors.torch import load_file
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from ecglib.classify.deep_sl import DeepSL
from ecglib.classify.efficientnet import EfficientNetV2, LinearProbe
from ecglib.classify.loss import masked_bce
from ecglib.classify.raw_network import RawNetwork
from ecglib.classify.reads import Read, reader
from ecglib.classify.targets import HELD_OUT, binary_targets, open_training, score_table
from ecglib.classify.validation import Validation
from ecglib.cohorts.loader import Loader
from ecglib.cohorts.store import Cohort
from ecglib.tokenizers.contract import Features, save_model
from ecglib.training import seeds
from ecglib.training.device import Machine
from ecglib.training.loop import Schedule, fit

CHUNK = 256  # ECGs scored at a time
OF_VECTORS = {"efficientnet": EfficientNetV2, "linear": LinearProbe}
OF_SIGNALS = {"raw": RawNetwork, "deep_sl": DeepSL}
WEIGHT_DECAY = {"raw": 0.05, "deep_sl": 0.02, "efficientnet": 0.02, "linear": 0.02}


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


def train(out: Path, inputs: dict[str, Path], config: dict, seed: int, machine: Machine) -> None:
    """Step: train a classifier on the training rows, score the held-out rows.

    Writes the files of the module's list. The mean and scale of each number of a vector are those
    of the training rows.

    Inputs:
        cohort: whose ECGs are read.
        tokenizer (optional): whose codes are read, decoded or as vectors.
        codes (optional): of that tokenizer.
        features (optional): vectors of another source.
        targets (optional): other classes than the 77 labels.
        start (optional): a training of the same network, from whose weights this one goes on.

    Config:
        network: raw, deep_sl, efficientnet or linear.
        reads: signals or decoded for the first two; vectors or features for the others (`reads`).
        widths (optional): as the next eight, sizes of the network, see its class.
        blocks (optional): of raw.
        stem_widths (optional): of deep_sl.
        stem_strides (optional): of deep_sl.
        depths (optional): of deep_sl and efficientnet, as the next four.
        expansions (optional): channels inside a block per channel of its input.
        kernels (optional): positions that a convolution sees.
        strides (optional): of the first block of each stage.
        stochastic_depth (optional): chance to skip the last block.
        dropout (optional): share of pooled values set to zero in training.
        label_share (optional): share of the training patients with labels; 1 where absent.
        epochs: how often each training ECG is seen, times `repeats`.
        repeats (optional): how often an epoch has each training ECG; once where absent.
        batch: ECGs per update.
        learning_rate: peak of the schedule.
        keep_best (optional): score the epoch with the lowest validation loss, not the last step.
        min_positives: training ECGs in which a scored label is present (and absent).

    Raises ValueError: an unknown network, one that reads something else, or a start of another
    network or other labels.
    """
    machine.configure_torch()
    cohort, states, labels, rows = open_training(inputs, config, seed)
    needed = np.union1d(rows, held_out_rows(cohort))
    read = reader(config["reads"], inputs, cohort, needed, machine.device)
    torch.manual_seed(seeds.sub_seed(seed, config["network"]))
    network = build(config, len(labels), read(rows[:1])[0].shape[-1])
    if "start" in inputs:
        _go_on(network, labels, inputs["start"])
    elif config["network"] in OF_VECTORS:
        mean, scale = moments(read, rows)
        network.mean.copy_(mean)
        network.scale.copy_(scale)
    task = Task(cohort, labels, rows, read, states)
    options = (config["network"], seed, machine, WEIGHT_DECAY[config["network"]])
    train_and_score(out, network, task, config, *options, config.get("keep_best", False))


def build(config: dict, labels: int, dim: int = 0) -> nn.Module:
    """The untrained network of a step's config; `dim` numbers per vector, where it reads vectors.
    Raises ValueError: an unknown network, or one that does not read what the config says."""
    name, reads = config["network"], config["reads"]
    kinds = OF_SIGNALS if reads in ("signals", "decoded") else OF_VECTORS
    if name not in kinds:
        text = f"expected a network of {', '.join(kinds)} for reads {reads!r}, got {name!r}"
        raise ValueError(text)
    network = kinds[name]
    sizes = {key: config[key] for key in network.SIZES}
    return network(dim, labels, **sizes) if name in OF_VECTORS else network(labels, **sizes)


def _go_on(network: nn.Module, labels: list[int], start: Path) -> None:
    """Give it the weights of another training of the same network and labels."""
    config = json.loads((start / "config.json").read_text())
    if config != network.config() or pd.read_csv(start / "labels.csv")["label"].tolist() != labels:
        text = f"{start}: expected {network.config()} of the same labels, got {config}"
        raise ValueError(f"{text}; start at a training of the same sizes and targets")
    network.load_state_dict(load_file(start / "model.safetensors"))


def moments(read: Read, rows: np.ndarray) -> Features:
    """Mean and standard deviation of each number over the valid positions, both (D,)."""
    count, total, squares = 0, 0.0, 0.0
    for part in np.split(rows, range(CHUNK, len(rows), CHUNK)):
        x, n = read(part)
        inside = x[torch.arange(x.shape[1]) < n[:, None]].double()
        count, total = count + len(inside), total + inside.sum(0)
        squares = squares + inside.square().sum(0)
    mean = total / count
    variance = (squares / count - mean.square()).clamp(min=0)
    return mean.float(), variance.sqrt().float() + 1e-6


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
