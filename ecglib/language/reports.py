"""Write the reports of test records with a trained ECG-Tok, as a step."""

from pathlib import Path

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from ecglib.cohorts.store import Cohort
from ecglib.language import base as base_model
from ecglib.language.ecg_tok import latents
from ecglib.language.generate import answer
from ecglib.language.prefix import load_ear
from ecglib.language.texts import decode, report_prompt
from ecglib.training.device import Machine


def write(out: Path, inputs: dict[str, Path], config: dict, seed: int, machine: Machine) -> None:
    """Step: `reports.parquet` with row, text, tokens, stop_reason for the rows asked for.

    Inputs: `cohort`, `tokenizer`, `codes`, `base`, `system`. Config: `rows` (record numbers),
    `ecgs` (whose ECG each one is given: the same numbers, or others for the shuffled control),
    `batch`, `max_new`.
    """
    machine.configure_torch()
    base = base_model.load(inputs["base"], machine)
    model = base_model.load_lora(base, inputs["system"] / "lora", trainable=False)
    ear = load_ear(inputs["system"]).to(machine.device)
    rows, ecgs = np.array(config["rows"]), np.array(config["ecgs"])
    sites = Cohort.open(inputs["cohort"]).records["site"].to_numpy()[rows]
    z, lengths = latents(inputs, ecgs)
    written = []
    for start in tqdm(range(0, len(rows), config["batch"]), desc="reports"):
        part = slice(start, start + config["batch"])
        with (
            torch.no_grad(),
            machine.autocast(),
        ):
            trunk = ear(z[part].to(machine.device), lengths[part].to(machine.device))
            full = torch.full((len(trunk),), trunk.shape[1], device=machine.device)
            prompts = [[base.ids(report_prompt(site))] for site in sites[part]]
            replies = answer(model, trunk, full, prompts, base.eos, config["max_new"])
        written += [reply for (reply,) in replies]
    pd.DataFrame(
        {
            "row": rows,
            "text": [decode(base, reply.ids) for reply in written],
            "tokens": [len(reply.ids) for reply in written],
            "stop_reason": [reply.stop_reason for reply in written],
        }
    ).to_parquet(out / "reports.parquet", index=False)
