"""Training of a tokenizer's decoder on codes that no longer change."""

from collections.abc import Callable
from pathlib import Path

import torch

from ecglib.tokenizers.encode import read_codes
from ecglib.tokenizers.load import load
from ecglib.tokenizers.train import fit_parts, signal_error, tensors, training_batches
from ecglib.training.device import Machine


def train_decoder(
    out: Path, inputs: dict[str, Path], config: dict, seed: int, machine: Machine
) -> None:
    """Step: the decoder of a latent tokenizer learns to read its codes.

    Inputs:
        cohort: its role tokenizer_train.
        quantiser: a tokenizer, an output of `train_quantiser`.
        codes: the cohort's codes by this tokenizer.

    Config:
        steps: updates.
        batch: ECGs per update.
        learning_rate: peak.
        squared_weight: of the squared error beside L1, per mV.
        codebooks (optional): keep the first ones only, a lower rate (default: all).
    """
    machine.configure_torch()
    tokenizer = load(inputs["quantiser"])
    count = config.get("codebooks", tokenizer.quantiser.codes_per_vector)
    tokenizer.quantiser = tokenizer.quantiser.first(count)
    tokenizer.requires_grad_(False).to(machine.device).train()
    tokenizer.autoencoder.decoder.requires_grad_(True)
    batches = training_batches(inputs["cohort"], config["batch"], seed, "decoder")

    def loss_at(step: int) -> list[Callable[[], torch.Tensor]]:
        batch = batches.at(step)
        x, n_valid = tensors(batch, machine.device)
        codes = read_codes(inputs["codes"], batch.rows)[..., :count].to(machine.device)
        y = tokenizer.signals(tokenizer.vectors(codes))
        return [lambda: signal_error(x, y, n_valid, config["squared_weight"])]

    rates = {"autoencoder": config["learning_rate"]}
    fit_parts(tokenizer, loss_at, rates, config["steps"], seed, out, f"{tokenizer.method}-decoder")
