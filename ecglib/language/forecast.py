"""What next-token pretraining has learned: losses on held-out ECGs, and a continued ECG."""

from pathlib import Path

import numpy as np
import torch
from transformers import DynamicCache

from ecglib.language.answers import load_system
from ecglib.language.heartllm import next_token_losses
from ecglib.language.packing import backbone
from ecglib.tokenizers.encode import read_codes
from ecglib.training.device import Machine


def held_out(out: Path, inputs: dict[str, Path], config: dict, seed: int, machine: Machine) -> None:
    """Step: `losses.npy`, float32 (len(rows), T) nats; inputs: `codes`, `base`, `system`."""
    machine.configure_torch()
    _, model, ear = load_system(inputs, machine)
    codes = read_codes(inputs["codes"], np.array(config["rows"]))[..., 0]
    losses = []
    with (
        torch.no_grad(),
        machine.autocast(),
    ):
        for part in codes.split(config["batch"]):
            losses.append(next_token_losses(model, ear, part.to(machine.device)).float().cpu())
    np.save(out / "losses.npy", torch.cat(losses).numpy())


def continue_ecg(
    out: Path, inputs: dict[str, Path], config: dict, seed: int, machine: Machine
) -> None:
    """Step: read `context` tokens of record `row`, write the rest greedily; `codes.npy` int16 (T,).

    Inputs: `codes`, `base`, `system`.
    """
    machine.configure_torch()
    _, model, ear = load_system(inputs, machine)
    codes = read_codes(inputs["codes"], np.array([config["row"]]))[..., 0]
    ids = ear.bracket(codes)[:, : config["context"] + 1].to(machine.device)
    written, cache = ids[0, 1:].tolist(), DynamicCache()
    with (
        torch.no_grad(),
        machine.autocast(),
    ):
        while len(written) < codes.shape[1]:
            hidden = backbone(model)(
                inputs_embeds=ear.embed(ids).to(model.dtype), past_key_values=cache, use_cache=True
            ).last_hidden_state[:, -1]
            token = ear.logits(hidden)[:, : ear.codewords].argmax(-1)  # a code, never a bracket
            written.append(int(token))
            ids = token[:, None]
    np.save(out / "codes.npy", np.array(written, dtype=np.int16))
