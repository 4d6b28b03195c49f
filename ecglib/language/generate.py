"""Greedy decoding: the ECG is computed once, then shared by all the prompts asked of it."""

from dataclasses import dataclass

import torch
from torch import nn
from transformers import DynamicCache

from ecglib.language.packing import backbone


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
    written: list[list[int]] = [[] for _ in flat]
    alive = list(range(len(flat)))  # prompts still being answered; the others leave the batch
    for _ in range(max_new):
        hidden = core(
            inputs_embeds=embed(ids),
            attention_mask=mask,
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
        ).last_hidden_state[:, -1]
        token = model.get_output_embeddings()(hidden).argmax(-1)
        for row, one in zip(alive, token.tolist(), strict=True):
            written[row].append(one)
        going = (token != eos).nonzero()[:, 0]
        if len(going) == 0:
            break
        if len(going) < len(alive):
            alive = [alive[i] for i in going.tolist()]
            cache.batch_select_indices(going)
        ids, positions = token[going, None], positions[going, -1:] + 1
        mask = torch.cat([mask[going], mask.new_ones(len(going), 1)], 1)
    answers = [_cut(tokens, eos) for tokens in written]
    grouped: list[list[Answer]] = [[] for _ in prompts]
    for ecg, reply in zip(owner, answers, strict=True):
        grouped[ecg].append(reply)
    return grouped


def _cut(ids: list[int], eos: int) -> Answer:
    return Answer(ids[:-1], "eos") if ids[-1] == eos else Answer(ids, "length")
