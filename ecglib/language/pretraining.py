"""Next-ECG-token pretraining (HeartLLM, stage 2), its held-out losses, and a continued ECG."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import nn
from transformers import DynamicCache

from ecglib.cohorts.store import Cohort
from ecglib.language.heartllm import EcgTokenEmbedding
from ecglib.language.packing import backbone
from ecglib.language.system import fit_system, open_system
from ecglib.training import seeds
from ecglib.training.device import Machine

SEED_NAME = "pretrain"  # kept from the first version, so that results stay the same


def next_token_losses(
    model: nn.Module, embedding: EcgTokenEmbedding, codes: torch.Tensor
) -> torch.Tensor:
    """-log P(next ECG token) in nats at each position: codes (B, T) -> (B, T).

    The softmax runs over the K + 2 new tokens: after <start_ecg> only they can follow.
    """
    ids = embedding.bracket(codes)[:, :-1]
    hidden = backbone(model)(
        inputs_embeds=embedding.embed(ids).to(model.dtype), use_cache=False
    ).last_hidden_state[:, :-1]
    scores = embedding.logits(hidden).float()
    return nn.functional.cross_entropy(scores.transpose(1, 2), codes, reduction="none")


def pretrain(out: Path, inputs: dict[str, Path], config: dict, seed: int, machine: Machine) -> None:
    """Step: the LoRA and the ECG-token embeddings learn to predict the next ECG token.

    Config:
        steps: updates.
        batch: ECGs per update.
        parts: micro-batches; more where memory is short.
        lora_rate: learning rate of the LoRA.
        prefix_rate: learning rate of the embeddings.

    Inputs: cohort, codes (of a lead-wise tokenizer), base, prefix (of `heartllm.initialise`),
        lora (of a system that writes reports already).
    """
    machine.configure_torch()
    rows = Cohort.open(inputs["cohort"]).rows("train")
    system = open_system(inputs, machine, rows, trainable=True)
    (codes,) = system.ecgs

    def loss_at(step: int) -> list[Callable[[], torch.Tensor]]:
        drawn = seeds.draw_rows(len(codes), config["batch"], seed, SEED_NAME, step)

        def loss(group: torch.Tensor) -> torch.Tensor:
            with machine.autocast():
                ids = codes[group].to(machine.device)
                losses = next_token_losses(system.model, system.prefix, ids)
            return losses.mean() * len(group) / len(drawn)

        return [partial(loss, group) for group in drawn.chunk(config["parts"])]

    fit_system(system, loss_at, config, seed, out, SEED_NAME)


def held_out(out: Path, inputs: dict[str, Path], config: dict, seed: int, machine: Machine) -> None:
    """Step: `losses.npy`, next-token losses, float32 (len(rows), T) in nats.

    Config:
        rows: record numbers.
        batch: ECGs at a time.

    Inputs: codes (of a lead-wise tokenizer), base, system (a HeartLLM).
    """
    machine.configure_torch()
    system = open_system(inputs, machine, np.array(config["rows"]))
    losses = []
    with torch.no_grad(), machine.autocast():
        for codes in system.ecgs[0].split(config["batch"]):
            part = next_token_losses(system.model, system.prefix, codes.to(machine.device))
            losses.append(part.float().cpu())
    np.save(out / "losses.npy", torch.cat(losses).numpy())


def continue_ecg(
    out: Path, inputs: dict[str, Path], config: dict, seed: int, machine: Machine
) -> None:
    """Step: `codes.npy`, int16 (T,): the first tokens of an ECG as read, the others as predicted.

    Config:
        row: record number.
        context: tokens that are read.

    Inputs: codes (of a lead-wise tokenizer), base, system (a HeartLLM).
    """
    machine.configure_torch()
    system = open_system(inputs, machine, np.array([config["row"]]))
    embedding, (codes,) = system.prefix, system.ecgs
    ids = embedding.bracket(codes)[:, : config["context"] + 1].to(machine.device)
    written, cache = ids[0, 1:].tolist(), DynamicCache()
    with torch.no_grad(), machine.autocast():
        while len(written) < codes.shape[1]:
            hidden = backbone(system.model)(
                inputs_embeds=embedding.embed(ids).to(system.model.dtype),
                past_key_values=cache,
                use_cache=True,
            ).last_hidden_state[:, -1]
            scores = embedding.logits(hidden)[:, : embedding.codewords]  # a code, never a bracket
            token = scores.argmax(-1)
            written.append(int(token))
            ids = token[:, None]
    np.save(out / "codes.npy", np.array(written, dtype=np.int16))
