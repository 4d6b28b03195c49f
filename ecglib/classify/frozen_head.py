"""The classifiers on frozen features: ECG-Tok's EfficientNetV2, and a linear probe beside it.

Every tokenizer gets the same network, the same batches and the same number of epochs. The weights
after the last step are scored, so no checkpoint is selected on any split; `keep_best` selects one
on the validation patients instead. The linear probe shows which part of a result is the head's own.
"""

from functools import partial
from pathlib import Path

import numpy as np
import torch

from ecglib.classify import train_classifier
from ecglib.classify.efficientnet import EfficientNetV2, LinearProbe
from ecglib.classify.frozen_features import read_features
from ecglib.classify.targets import open_training
from ecglib.tokenizers.contract import Features
from ecglib.training import seeds
from ecglib.training.device import Machine

NETWORKS = ("efficientnet", "linear")
SIZES = ("widths", "depths", "expansions", "kernels", "strides", "dropout", "stochastic_depth")
WEIGHT_DECAY = 0.02
CHUNK = 512  # ECGs of the moments at a time


def train(out: Path, inputs: dict[str, Path], config: dict, seed: int, machine: Machine) -> None:
    """Step: train a head on the features of the training rows, score the held-out rows.

    Writes the files of `train_classifier`.

    Inputs: cohort, tokenizer (optional), codes (optional), features (optional), targets (optional).

    Config:
        kind: of the features: codes, latents, untrained or features (`frozen_features`).
        codebooks (optional): of the kind codes, how many are read, from the first; 0 for all.
        network: efficientnet or linear.
        label_share (optional): share of the training patients with labels; 1 where absent.
        widths (optional): of the EfficientNetV2, as the next six: channels of each stage.
        depths (optional): blocks of each stage.
        expansions (optional): channels inside a block per channel of its input, per stage.
        kernels (optional): positions that a convolution sees, per stage.
        strides (optional): of the first block of each stage.
        dropout (optional): share of pooled values set to zero in training.
        stochastic_depth (optional): block i of n is skipped with i / n times this chance.
        epochs: how often each training ECG is seen, times `repeats`.
        repeats (optional): how often an epoch has each training ECG; once where absent.
        batch: ECGs per update.
        learning_rate: peak of the schedule.
        keep_best (optional): score the epoch with the lowest validation loss, not the last step.
        min_positives: training ECGs in which a scored label is present (and absent).

    Raises ValueError: an unknown network, or features as of `frozen_features.read_features`.
    """
    if config["network"] not in NETWORKS:
        raise ValueError(f"expected a network of {', '.join(NETWORKS)}, got {config['network']!r}")
    machine.configure_torch()
    cohort, states, labels, rows = open_training(inputs, config, seed)
    needed = np.union1d(rows, train_classifier.held_out_rows(cohort))  # QINCo is slow: read once
    options = (config["kind"], config.get("codebooks", 0), seed, machine.device)
    features = read_features(inputs, cohort, needed, *options)
    torch.manual_seed(seeds.sub_seed(seed, "head"))
    network = build_head(config, features[0].shape[-1], len(labels))
    mean, scale = moments(*_of_rows(features, needed, rows))
    network.mean.copy_(mean)
    network.scale.copy_(scale)
    read = partial(_of_rows, features, needed)
    task = train_classifier.Task(cohort, labels, rows, read, states)
    options = (config, "head", seed, machine, WEIGHT_DECAY, config.get("keep_best", False))
    train_classifier.train_and_score(out, network, task, *options)


def build_head(config: dict, dim: int, labels: int) -> EfficientNetV2 | LinearProbe:
    """The untrained network of a step's config, for vectors of `dim` numbers."""
    if config["network"] == "linear":
        return LinearProbe(dim, labels)
    return EfficientNetV2(dim, labels, **{key: config[key] for key in SIZES})


def moments(vectors: torch.Tensor, lengths: torch.Tensor) -> Features:
    """Mean and standard deviation of each number over the valid positions, both (D,)."""
    count, total, squares = 0, 0.0, 0.0
    for x, n in zip(vectors.split(CHUNK), lengths.split(CHUNK), strict=True):
        inside = x[torch.arange(x.shape[1]) < n[:, None]].double()
        count, total = count + len(inside), total + inside.sum(0)
        squares = squares + inside.square().sum(0)
    mean = total / count
    variance = (squares / count - mean.square()).clamp(min=0)
    return mean.float(), variance.sqrt().float() + 1e-6


def _of_rows(features: Features, known: np.ndarray, wanted: np.ndarray) -> Features:
    """The features of some record numbers, out of those of the ascending numbers `known`."""
    index = torch.from_numpy(np.searchsorted(known, wanted))
    return features[0][index], features[1][index]
