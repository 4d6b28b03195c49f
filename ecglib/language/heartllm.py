"""HeartLLM: ECG tokens become words of the language model, with one new embedding each.

    token ids: 0 .. K-1 the codes, K = <start_ecg>, K + 1 = <end_ecg>

Stage 1 of the paper is `tokenizers.train.train_leadwise`, stage 2 `pretrain`, stage 3
`language.train_system` on reports and questions with the ECG tokens in front.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import nn
from transformers import DynamicCache

from ecglib.cohorts.store import Cohort
from ecglib.language import base as base_model
from ecglib.language.base import Base
from ecglib.language.packing import backbone
from ecglib.language.system import Shapes, draw_prefix, full_lengths, open_system, save_prefix
from ecglib.language.train_system import fit_system, open_trainable, start_budget
from ecglib.tokenizers.encode import read_codes
from ecglib.tokenizers.leadwise import LeadwiseTokenizer
from ecglib.tokenizers.load import load as load_tokenizer
from ecglib.training import seeds
from ecglib.training.device import Machine


class EcgTokenEmbedding(nn.Module):
    """The extended vocabulary: `codewords` + 2 vectors of d_llm numbers.

    They are kept apart from the model's own matrix, which stays frozen: training only them equals
    the released practice of training all and restoring those of the text. They are tied: the same
    vectors embed a code and score it.
    """

    kind = "heartllm"

    def __init__(self, codewords: int, width: int, tokens: int):
        super().__init__()
        self.config = {"codewords": codewords, "width": width, "tokens": tokens}
        self.codewords, self.positions = codewords, tokens + 2  # with <start_ecg> and <end_ecg>
        self.weight = nn.Parameter(torch.zeros(codewords + 2, width))

    @classmethod
    def build(cls, config: dict, shapes: Shapes) -> "EcgTokenEmbedding":
        """One of zeros, to be drawn by `draw_embeddings`."""
        return cls(shapes.codewords, shapes.width, shapes.positions)

    def read_ecgs(self, inputs: dict[str, Path], rows: np.ndarray) -> tuple[torch.Tensor]:
        """Codes of these records (N, T)."""
        return (read_codes(inputs["codes"], rows)[..., 0],)

    def bracket(self, codes: torch.Tensor) -> torch.Tensor:
        """codes (B, T) -> token ids (B, T + 2): <start_ecg> codes <end_ecg>."""
        edge = codes.new_full((len(codes), 1), self.codewords)
        return torch.cat([edge, codes, edge + 1], 1)

    def embed(self, ids: torch.Tensor) -> torch.Tensor:
        """token ids (...) -> input embeddings (..., d_llm)."""
        return nn.functional.embedding(ids, self.weight)

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """hidden (..., d_llm) -> scores of the new tokens (..., K + 2)."""
        return hidden @ self.weight.to(hidden.dtype).T

    def forward(self, codes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """codes (B, T) -> the prefix (B, T + 2, d_llm), brackets included, and its lengths (B,).

        Padding tokens of a short recording stay inside the brackets, as in pretraining.
        """
        embeddings = self.embed(self.bracket(codes))
        return embeddings, full_lengths(embeddings)


Prefix = EcgTokenEmbedding


@torch.no_grad()
def draw_embeddings(
    embedding: EcgTokenEmbedding, text: torch.Tensor, grid: torch.Tensor | None, seed: int
) -> None:
    """Draw the vectors from N(mean, covariance) of the text embeddings (the library default that
    the released code relies on), or let neighbours on the FSQ grid start as neighbours.

    `text`: (V, d) the model's token embeddings. `grid`: None for independent vectors; else (K,
    dims) the codes' grid points in [0, 1]: vector_k = mean + sum_d (2 g_kd - 1) u_d + a tenth of an
    independent draw, with u_d drawn like the vectors, scaled so that a vector has the text's
    variance.
    """
    source = text.float().cpu()
    mean, n = source.mean(0), len(source)
    centred = source - mean
    draw = seeds.generator(seed, "ECG-token embeddings")

    def gaussian(count: int) -> torch.Tensor:
        """Samples of N(0, cov): random combinations of the centred text embeddings."""
        return torch.randn(count, n, generator=draw) @ centred / n**0.5

    independent = gaussian(len(embedding.weight))
    if grid is not None:
        axes = gaussian(grid.shape[1])
        levels = 2 * grid.float() - 1
        shared = levels @ axes / levels.square().mean(0).sum().sqrt()
        independent[: len(grid)] = shared + 0.1 * independent[: len(grid)]
    embedding.weight.copy_(mean + independent)


def new_prefix(
    base: Base, tokenizer: LeadwiseTokenizer, neighbours: str, seed: int
) -> EcgTokenEmbedding:
    """Untrained embeddings; `neighbours`: grid (on the FSQ grid they start alike) or independent
    (released). Raises ValueError: another word."""
    if neighbours not in ("grid", "independent"):
        raise ValueError(f"expected neighbours grid or independent, got {neighbours!r}")
    prefix, fsq = draw_prefix(EcgTokenEmbedding, base, tokenizer, {}, seed), tokenizer.fsq
    grid = fsq.codes_to_grid(torch.arange(fsq.codewords)) if neighbours == "grid" else None
    draw_embeddings(prefix, base.model.get_input_embeddings().weight, grid, seed)
    return prefix


def initialise(
    out: Path, inputs: dict[str, Path], config: dict, seed: int, machine: Machine
) -> None:
    """Step: ECG-token embeddings as they are drawn, without LoRA: the untrained model.

    Config:
        neighbours: grid (codes that are neighbours on the FSQ grid start alike) or independent (as
            released).

    Inputs: cohort, base, tokenizer (lead-wise), codes.
    """
    machine.configure_torch()
    base, tokenizer = base_model.load(inputs["base"], machine), load_tokenizer(inputs["tokenizer"])
    save_prefix(new_prefix(base, tokenizer, config["neighbours"], seed), out)


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

    def loss_at(step: int) -> list[Callable[[], torch.Tensor]]:
        """The losses of one update, as functions for `training.loop.fit`."""
        drawn = seeds.epoch_rows(len(codes), config["batch"], step, seed, "next tokens")

        def loss(group: torch.Tensor) -> torch.Tensor:
            with machine.autocast():
                ids = codes[group].to(machine.device)
                losses = next_token_losses(system.model, system.prefix, ids)
            return losses.mean() * len(group) / len(drawn)

        return [partial(loss, group) for group in drawn.chunk(config["parts"])]

    @torch.no_grad()
    def look() -> float:
        with machine.autocast():
            return float(
                next_token_losses(system.model, system.prefix, held_codes.to(machine.device)).mean()
            )

    ecgs = config["batch"]
    cost = ecgs, ecgs * system.prefix.positions, ecgs * codes.shape[1]
    costs, spent = (lambda step: cost), start_budget(inputs)
    fit_system(system, loss_at, costs, look, config, seed, out, "next_tokens", spent)


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
    """Step: `codes.npy`, int32 (T,): the first tokens of an ECG as read, the others as predicted.

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
    np.save(out / "codes.npy", np.array(written, dtype=np.int32))
