"""Greedy decoding: the prefix is computed once and shared by all prompts about its ECG."""

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
def generate(
    model: nn.Module,
    prefix: torch.Tensor,
    prefix_lengths: torch.Tensor,
    prompts: list[list[list[int]]],
    eos: int,
    max_new: int,
) -> list[list[Answer]]:
    """Answers to several prompts about each ECG of a batch.

    Args:
        model: causal language model (bare or PEFT-wrapped).
        prefix: (B, P, d) embeddings of the ECG; prefix_lengths (B,) valid positions.
        prompts: for each ECG a list of non-empty prompts (token ids).
        eos: the token that ends an answer.
        max_new: tokens at most.

    Returns:
        For each ECG its answers, in the order of its prompts.

    Raises:
        ValueError: a prompt is empty.
    """
    device, width = prefix.device, prefix.shape[1]
    owner = [i for i, about_one in enumerate(prompts) for _ in about_one]
    flat = [prompt for about_one in prompts for prompt in about_one]
    if any(not prompt for prompt in flat):
        raise ValueError("expected prompts of at least one token, got an empty one")
    core, embed = backbone(model), model.get_input_embeddings()
    prefix_mask = torch.arange(width, device=device) < prefix_lengths[:, None]
    cache = DynamicCache()
    core(
        inputs_embeds=prefix.to(embed.weight.dtype),
        attention_mask=prefix_mask.long(),
        past_key_values=cache,
        use_cache=True,
    )
    ecg = torch.tensor(owner, device=device)
    cache.batch_select_indices(ecg)

    length = max(map(len, flat))
    ids = torch.tensor([[eos] * (length - len(p)) + p for p in flat], device=device)
    real = torch.tensor([[0] * (length - len(p)) + [1] * len(p) for p in flat], device=device)
    mask = torch.cat([prefix_mask[ecg].long(), real], 1)
    positions = prefix_lengths[ecg][:, None] + (real.cumsum(1) - 1).clamp(min=0)
    written: list[list[int]] = [[] for _ in flat]
    alive = list(range(len(flat)))  # unfinished prompts; the others leave the batch
    for _ in range(max_new):
        hidden = core(
            inputs_embeds=embed(ids),
            attention_mask=mask,
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
        ).last_hidden_state[:, -1]
        token = model.get_output_embeddings()(hidden).argmax(-1)
        for prompt, one in zip(alive, token.tolist(), strict=True):
            written[prompt].append(one)
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
    for number, reply in zip(owner, answers, strict=True):
        grouped[number].append(reply)
    return grouped


def _cut(ids: list[int], eos: int) -> Answer:
    return Answer(ids[:-1], "eos") if ids[-1] == eos else Answer(ids, "length")
