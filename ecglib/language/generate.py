"""Greedy decoding: the ECG is computed once, then shared by all the prompts asked of it."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn
from transformers import DynamicCache

from ecglib.language.rows import backbone


@dataclass(frozen=True)
class Answer:
    """Generated token ids without the end token, and why generation stopped (eos or length)."""

    ids: list[int]
    stop_reason: str


@torch.no_grad()
def answer(
    model: nn.Module,
    trunk: torch.Tensor,
    trunk_lengths: torch.Tensor,
    prompts: list[list[list[int]]],
    eos: int,
    max_new: int,
) -> list[list[Answer]]:
    """Answers to several prompts about each ECG of a batch.

    Args:
        model: causal language model (bare or PEFT-wrapped).
        trunk: (B, P, d) embeddings of the ECG; trunk_lengths (B,) valid positions.
        prompts: for each ECG a list of non-empty prompts (token ids).
        max_new: tokens at most.

    Returns:
        For each ECG its answers, in the order of its prompts.
    """
    device, width = trunk.device, trunk.shape[1]
    owner = [i for i, asked in enumerate(prompts) for _ in asked]
    flat = [prompt for asked in prompts for prompt in asked]
    if any(not prompt for prompt in flat):
        raise ValueError("a prompt is empty; every question needs at least one token")
    core, embed = backbone(model), model.get_input_embeddings()
    trunk_mask = torch.arange(width, device=device) < trunk_lengths[:, None]
    cache = DynamicCache()
    core(
        inputs_embeds=trunk.to(embed.weight.dtype),
        attention_mask=trunk_mask.long(),
        past_key_values=cache,
        use_cache=True,
    )
    rows = torch.tensor(owner, device=device)
    cache.batch_select_indices(rows)

    length = max(map(len, flat))
    ids = torch.tensor([[eos] * (length - len(p)) + p for p in flat], device=device)
    real = torch.tensor([[0] * (length - len(p)) + [1] * len(p) for p in flat], device=device)
    mask = torch.cat([trunk_mask[rows].long(), real], 1)
    positions = trunk_lengths[rows][:, None] + (real.cumsum(1) - 1).clamp(min=0)
    written = torch.full((len(flat), max_new), eos, device=device)
    done = torch.zeros(len(flat), dtype=torch.bool, device=device)
    for step in range(max_new):
        hidden = core(
            inputs_embeds=embed(ids),
            attention_mask=mask,
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
        ).last_hidden_state[:, -1]
        token = model.get_output_embeddings()(hidden).argmax(-1)
        token = torch.where(done, eos, token)
        written[:, step] = token
        done |= token == eos
        if done.all():
            break
        ids, positions = token[:, None], positions[:, -1:] + 1
        mask = torch.cat([mask, mask.new_ones(len(flat), 1)], 1)
    answers = [_cut(row, bool(end), eos) for row, end in zip(written.tolist(), done, strict=True)]
    grouped: list[list[Answer]] = [[] for _ in prompts]
    for ecg, reply in zip(owner, answers, strict=True):
        grouped[ecg].append(reply)
    return grouped


def _cut(ids: list[int], ended: bool, eos: int) -> Answer:
    return Answer(ids[: ids.index(eos)] if ended else ids, "eos" if ended else "length")


def in_batches(
    n: int, size: int, one: Callable[[list[int]], list[list[Answer]]]
) -> list[list[Answer]]:
    """Run `one` over row numbers 0..n-1 in batches of `size` and join the answers."""
    out: list[list[Answer]] = []
    for start in range(0, n, size):
        out += one(list(range(start, min(start + size, n))))
    return out
