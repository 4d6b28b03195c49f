"""Answer questions and write reports with a tuned HeartLLM, as a step."""

from pathlib import Path

import pandas as pd
import torch
from torch import nn
from tqdm import tqdm

from ecglib.cohorts.store import Cohort
from ecglib.language import base as base_model
from ecglib.language.adapter import Constant
from ecglib.language.base import Base
from ecglib.language.ecg_embedding import EcgRows, load_rows
from ecglib.language.generate import answer
from ecglib.language.heartllm import trunk_of
from ecglib.language.prefix import load_ear
from ecglib.language.texts import decode, report_prompt
from ecglib.tokenizers.encode import read_codes
from ecglib.training.device import Machine


def load_system(
    inputs: dict[str, Path], machine: Machine
) -> tuple[Base, nn.Module, EcgRows | Constant]:
    """Base, LoRA model and ECG rows (or the control's constant) of a tuned system."""
    base = base_model.load(inputs["base"], machine)
    model = base_model.load_lora(base, inputs["system"] / "lora", trainable=False)
    control = (inputs["system"] / "ear.json").exists()
    ear = load_ear(inputs["system"]) if control else load_rows(inputs["system"])
    return base, model, ear.to(machine.device)


def reply(out: Path, inputs: dict[str, Path], config: dict, seed: int, machine: Machine) -> None:
    """Step: `answers.parquet`, one row a question of `questions/test.parquet` and one a report.

    Columns: number (of the question; -1 for a report), row, text, tokens, stop_reason. Inputs:
    `cohort`, `codes`, `base`, `questions`, `system`. Config: `batch`, `max_new`, and `partner`: {}
    or, for the shuffled control, the row whose ECG each row is shown instead.
    """
    machine.configure_torch()
    base, model, ear = load_system(inputs, machine)
    table = pd.read_parquet(inputs["questions"] / "test.parquet")
    sites = Cohort.open(inputs["cohort"]).records["site"].to_numpy()
    by_row = {row: part for row, part in table.groupby("row", sort=True)}
    rows, found = list(by_row), []
    partner = {int(k): v for k, v in config["partner"].items()}
    shown = [partner.get(row, row) for row in rows]
    for start in tqdm(range(0, len(rows), config["batch"]), desc="answers"):
        group = rows[start : start + config["batch"]]
        codes = read_codes(inputs["codes"], shown[start : start + config["batch"]])[..., 0]
        prompts = [
            [base.ids(report_prompt(sites[row])), *map(base.ids, by_row[row]["question"])]
            for row in group
        ]
        with (
            torch.no_grad(),
            machine.autocast(),
        ):
            trunk, full = trunk_of(ear, codes.to(machine.device))
            replies = answer(model, trunk, full, prompts, base.eos, config["max_new"])
        for row, row_replies in zip(group, replies, strict=True):
            numbers = [-1, *by_row[row]["number"]]
            for number, one in zip(numbers, row_replies, strict=True):
                text = decode(base, one.ids)
                found.append((number, row, text, len(one.ids), one.stop_reason))
    columns = ["number", "row", "text", "tokens", "stop_reason"]
    pd.DataFrame(found, columns=columns).to_parquet(out / "answers.parquet", index=False)
