"""Writing with any language system: reports of records, and answers to questions about them.

Decoding is greedy. All texts about an ECG are written together, in one row and as in training:
each attends to the prefix and to itself, so the prefix is read and kept once.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import nn
from tqdm import tqdm
from transformers import DynamicCache

from ecglib.cohorts.store import Cohort
from ecglib.language.packed_llama import additive
from ecglib.language.packing import (
    IGNORE,
    PADDING,
    Text,
    backbone,
    behind_prefixes,
    collate,
    visible,
)
from ecglib.language.prompt import Prompt
from ecglib.language.system import open_system, prompted
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
    base, prompt = system.base, Prompt.of(inputs["system"])
    records = Cohort.open(inputs["cohort"]).records.iloc[rows]
    system = prompted(system, prompt, records)  # a control reads about the right patient, too
    asked = {row: [(-1, prompt.report(site))] for row, site in records["site"].items()}
    if "questions" in inputs:
        table = pd.read_parquet(inputs["questions"] / "test.parquet")
        for one in table[table["row"].isin(rows)].itertuples():
            asked[one.row].append((one.number, prompt.question(one.question)))
    prompts = [[base.encode(prompt) for _, prompt in asked[row]] for row in rows]
    replies: dict[int, list[tuple[list[int], str]]] = {}
    by_length = sorted(range(len(rows)), key=lambda i: (len(prompts[i]), sum(map(len, prompts[i]))))
    for start in tqdm(range(0, len(rows), size), desc="write"):
        group = by_length[start : start + size]  # similar ones, which leaves less padding
        with machine.autocast(), torch.no_grad():
            prefix, about = system.ecg_prefix(group), [prompts[i] for i in group]
            answers = generate(system.model, *prefix, about, base.eos, config["max_new"])
        replies |= zip(group, answers, strict=True)
    lines = []
    for i, row in enumerate(rows):
        for (number, _), (ids, stop_reason) in zip(asked[row], replies[i], strict=True):
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
    if not all(prompt for about_one in prompts for prompt in about_one):
        raise ValueError("expected prompts of at least one token, got an empty one")
    device, core, embed = prefix.device, backbone(model), model.get_input_embeddings()
    batch = collate([[Text(prompt, [eos]) for prompt in about_one] for about_one in prompts], eos)
    # of each position in a row: number of its text, and of the text whose next token it writes
    grids = behind_prefixes(batch, prefix_lengths.cpu(), prefix.shape[1])
    segment, position = (grid.to(device) for grid in grids)
    ends = torch.where(batch.targets == IGNORE, PADDING, batch.segment)
    writes = nn.functional.pad(ends, (prefix.shape[1], 0), value=PADDING).to(device)
    text = embed(batch.ids.to(device))
    entering = torch.cat([prefix.to(text.dtype), text], 1)
    allowed = visible(segment, segment).tril()

    written: list[list[list[int]]] = [[[] for _ in about_one] for about_one in prompts]
    owners, cache = torch.arange(len(prompts), device=device), DynamicCache()
    for _ in range(max_new):
        hidden = core(
            inputs_embeds=entering,
            attention_mask=additive(allowed[:, None], entering.dtype),
            position_ids=position,
            past_key_values=cache,
            use_cache=True,
        ).last_hidden_state
        row, column = (writes != PADDING).nonzero(as_tuple=True)
        token = model.get_output_embeddings()(hidden[row, column]).argmax(-1)
        places = (owners[row].tolist(), writes[row, column].tolist(), token.tolist())
        for ecg, number, one in zip(*places, strict=True):
            written[ecg][number].append(one)
        # texts that go on move to the left, and rows in which none does leave the batch
        going = torch.zeros_like(writes, dtype=torch.bool)
        going[row, column] = token != eos
        rows = going.any(1).nonzero()[:, 0]
        if len(rows) == 0:
            break
        if len(rows) < len(owners):
            cache.batch_select_indices(rows)
        ids = torch.full_like(writes, eos)
        ids[row, column] = token
        order = going.int().argsort(dim=1, descending=True, stable=True)[:, : going.sum(1).max()]
        writes = writes.masked_fill(~going, PADDING)
        ids, writes, position = (grid.gather(1, order)[rows] for grid in (ids, writes, position))
        owners, segment, position = (
            owners[rows],
            torch.cat([segment[rows], writes], 1),
            position + 1,
        )
        entering, allowed = embed(ids), visible(writes, segment)
    return [[_finished(tokens, eos) for tokens in of_ecg] for of_ecg in written]


def _finished(tokens: list[int], eos: int) -> tuple[list[int], str]:
    return (tokens[:-1], "eos") if tokens[-1] == eos else (tokens, "length")
