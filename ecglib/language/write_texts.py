"""Writing with any language system: reports of records, and answers to questions about them.

Decoding is greedy. The prefix is computed once and shared by all prompts about its ECG.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import nn
from tqdm import tqdm
from transformers import DynamicCache

from ecglib.cohorts.store import Cohort
from ecglib.language.packing import backbone
from ecglib.language.system import open_system, report_prompt
from ecglib.training.device import Machine


def write(out: Path, inputs: dict[str, Path], config: dict, seed: int, machine: Machine) -> None:
    """Step: `texts.parquet`, one row per report and one per question, written greedily.

    Columns: number (of the question; -1 for a report), row (the record), text, tokens,
    stop_reason (eos or length).

    Config:
        rows: record numbers.
        ecgs (optional): the record numbers whose ECGs stand in front instead, for the shuffled
            control; the same as `rows` where absent.
        batch: ECGs at a time.
        max_new: tokens of a text at most.

    Inputs:
        cohort: the cohort.
        base: the prepared language model.
        system: the trained system.
        tokenizer (optional): read by ECG-Tok.
        codes (optional): of the tokenizer, read by all systems with one.
        questions (optional): asked after the report, those about `rows` in `test.parquet`.
    """
    machine.configure_torch()
    rows, size = np.array(config["rows"]), config["batch"]
    system = open_system(inputs, machine, np.array(config.get("ecgs", config["rows"])))
    base, sites = system.base, Cohort.open(inputs["cohort"]).records["site"].to_numpy()
    asked = {row: [(-1, report_prompt(sites[row]))] for row in rows}  # number and prompt
    if "questions" in inputs:
        table = pd.read_parquet(inputs["questions"] / "test.parquet")
        for one in table[table["row"].isin(rows)].itertuples():
            asked[one.row].append((one.number, one.question))
    lines = []
    for start in tqdm(range(0, len(rows), size), desc="write"):
        group = rows[start : start + size]
        prompts = [[base.encode(prompt) for _, prompt in asked[row]] for row in group]
        with torch.no_grad(), machine.autocast():
            prefix = system.ecg_prefix(slice(start, start + size))
            replies = generate(system.model, *prefix, prompts, base.eos, config["max_new"])
        for row, of_row in zip(group, replies, strict=True):
            for (number, _), (ids, stop_reason) in zip(asked[row], of_row, strict=True):
                lines.append((number, row, base.decode(ids), len(ids), stop_reason))
    columns = ["number", "row", "text", "tokens", "stop_reason"]
    pd.DataFrame(lines, columns=columns).to_parquet(out / "texts.parquet", index=False)


@torch.no_grad()
def generate(
    model: nn.Module,
    prefix: torch.Tensor,
    prefix_lengths: torch.Tensor,
    prompts: list[list[list[int]]],
    eos: int,
    max_new: int,
) -> list[list[tuple[list[int], str]]]:
    """Answers to several prompts about each ECG of a batch.

    Args:
        model: causal language model (bare or PEFT-wrapped).
        prefix: (B, P, d) embeddings of the ECG; prefix_lengths (B,) valid positions.
        prompts: for each ECG a list of non-empty prompts (token ids).
        eos: the token that ends an answer; max_new: tokens of an answer at most.

    Returns:
        For each ECG its answers, in the order of its prompts: token ids without the end token, and
        why generation stopped (eos or length).

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
    answers: list[list[tuple[list[int], str]]] = [[] for _ in prompts]
    for number, tokens in zip(owner, written, strict=True):
        stopped = tokens[-1] == eos
        answers[number].append((tokens[:-1], "eos") if stopped else (tokens, "length"))
    return answers
