"""Next-token training on ECG tokens alone, and what a model says about tokens that it never saw.

HeartLLM, stage 2. For systems whose prefix embeds token ids and scores them (`bracket`, `embed`,
`logits`), equally many for each ECG.
"""

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
from ecglib.language.system import open_system
from ecglib.language.train_system import fit_system, open_trainable, start_budget
from ecglib.training import seeds
from ecglib.training.device import Machine
from ecglib.training.memory import Parts

HELD_AT_ONCE = 128  # validation ECGs, so that memory does not grow with them


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
    """Step: the model and the ECG-token embeddings learn to predict the next ECG token.

    Config:
        adapt: full (all weights of the base) or lora.
        rank (optional): of a LoRA, as the next two.
        alpha (optional): scale of its product, times the rank.
        targets (optional): names of the linear layers that get one.
        steps: updates.
        batch: ECGs per update.
        parts: micro-batches; more where memory is short.
        model_rate: learning rate of the LoRA or of the model.
        prefix_rate: learning rate of the embeddings.
        validate_every: updates between looks at the validation patients.
        validation_ecgs: of them, the same at each look.

    Inputs: cohort, base, prefix (of `initialise`), tokenizer (lead-wise), codes.
    """
    machine.configure_torch()
    cohort = Cohort.open(inputs["cohort"])
    system = open_trainable(inputs, config, seed, machine, cohort.rows("train"))
    (codes,) = system.ecgs
    held = cohort.rows("validation")[: config["validation_ecgs"]]
    (held_codes,) = system.prefix.read_ecgs(inputs, held)
    micro = Parts.of(config)

    def loss_at(step: int) -> list[Callable[[], torch.Tensor]]:
        """The losses of one update, as functions for `training.loop.fit`."""
        drawn = seeds.epoch_rows(len(codes), config["batch"], step, seed, "next tokens")

        def loss(group: torch.Tensor) -> torch.Tensor:
            with machine.autocast():
                ids = codes[group].to(machine.device)
                losses = next_token_losses(system.model, system.prefix, ids)
            return losses.mean() * len(group) / len(drawn)

        return [partial(loss, group) for group in drawn.chunk(micro.count)]

    @torch.no_grad()
    def look() -> float:
        with machine.autocast():
            losses = [
                next_token_losses(system.model, system.prefix, part.to(machine.device))
                for part in held_codes.split(HELD_AT_ONCE)
            ]
        return float(torch.cat(losses).mean())

    ecgs = config["batch"]
    cost = ecgs, ecgs * system.prefix.positions, ecgs * codes.shape[1]
    costs, spent = (lambda step: cost), start_budget(inputs)
    fit_system(system, loss_at, costs, look, config, seed, out, "next_tokens", spent, micro)


def held_out(out: Path, inputs: dict[str, Path], config: dict, seed: int, machine: Machine) -> None:
    """Step: `losses.npy`, next-token losses, float32 (len(rows), T) in nats.

    Config:
        rows: record numbers.
        batch: ECGs at a time.

    Inputs: codes (of a lead-wise tokenizer), base, system (a HeartLLM).
    """
    machine.configure_torch()
    system = open_system(inputs, machine, np.array(config["rows"]))
    with torch.no_grad(), machine.autocast():
        parts = [
            next_token_losses(system.model, system.prefix, codes.to(machine.device))
            for codes in system.ecgs[0].split(config["batch"])
        ]
    np.save(out / "losses.npy", torch.cat(parts).float().cpu().numpy())


def continue_ecg(
    out: Path, inputs: dict[str, Path], config: dict, seed: int, machine: Machine
) -> None:
    """Step: `codes.npy`, int32 (1 + samples, T): the first tokens of an ECG as read, the others as
    predicted: in the first row always the most likely one, in the others drawn.

    Config:
        row: record number.
        context: tokens that are read.
        samples: continuations that are drawn from the model's probabilities.

    Inputs: codes (of a lead-wise tokenizer), base, system (a HeartLLM).
    """
    machine.configure_torch()
    system = open_system(inputs, machine, np.array([config["row"]]))
    embedding, draw = system.prefix, seeds.generator(seed, "forecast")
    codes = system.ecgs[0].expand(1 + config["samples"], -1)
    ids = embedding.bracket(codes)[:, : config["context"] + 1].to(machine.device)
    written, cache = [ids[:, 1:].cpu()], DynamicCache()
    with torch.no_grad(), machine.autocast():
        for _ in range(codes.shape[1] - config["context"]):
            hidden = backbone(system.model)(
                inputs_embeds=embedding.embed(ids).to(system.model.dtype),
                past_key_values=cache,
                use_cache=True,
            ).last_hidden_state[:, -1]
            scores = embedding.logits(hidden)[:, : embedding.codewords]  # a code, never a bracket
            chances = scores.float().softmax(-1).cpu()
            token = torch.multinomial(chances, 1, generator=draw)
            token[0] = chances[0].argmax()
            written.append(token)
            ids = token.to(machine.device)
    np.save(out / "codes.npy", torch.cat(written, 1).numpy().astype(np.int32))
