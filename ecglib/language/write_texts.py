"""Writing with any language system: the reports of some records, and answers to questions."""

from pathlib import Path

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from ecglib.cohorts.store import Cohort
from ecglib.language.generate import generate
from ecglib.language.system import open_system
from ecglib.language.texts import report_prompt
from ecglib.training.device import Machine

COLUMNS = ["number", "row", "text", "tokens", "stop_reason"]


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
    numbers: dict[int, list[int]] = {row: [-1] for row in rows}
    prompts = {row: [base.encode(report_prompt(sites[row]))] for row in rows}
    if "questions" in inputs:
        table = pd.read_parquet(inputs["questions"] / "test.parquet")
        table = table[table["row"].isin(rows)]
        for number, row, question in zip(
            table["number"], table["row"], table["question"], strict=True
        ):
            numbers[row].append(number)
            prompts[row].append(base.encode(question))
    lines = []
    for start in tqdm(range(0, len(rows), size), desc="write"):
        group = rows[start : start + size]
        with torch.no_grad(), machine.autocast():
            prefix = system.ecg_prefix(slice(start, start + size))
            asked = [prompts[row] for row in group]
            replies = generate(system.model, *prefix, asked, base.eos, config["max_new"])
        for row, of_row in zip(group, replies, strict=True):
            for number, reply in zip(numbers[row], of_row, strict=True):
                text = base.decode(reply.ids)
                lines.append((number, row, text, len(reply.ids), reply.stop_reason))
    pd.DataFrame(lines, columns=COLUMNS).to_parquet(out / "texts.parquet", index=False)
