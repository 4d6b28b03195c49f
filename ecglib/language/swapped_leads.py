"""Codes of ECGs whose leads stand in another order, as if a file had been read by position.

MIMIC-IV-ECG stores aVF before aVL, PTB-XL aVL before aVF. HeartLLM's released code reads both by
position. Here leads are read by name, so the mistake has to be made on purpose.
"""

from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from ecglib.cohorts.store import Cohort
from ecglib.signals.leads import LEADS
from ecglib.tokenizers.load import load
from ecglib.training.device import Machine

BATCH = 64


@torch.no_grad()
def encode(out: Path, inputs: dict[str, Path], config: dict, seed: int, machine: Machine) -> None:
    """Step: `codes.npy` as in `tokenizers.encode`, where some ECGs have two leads exchanged.

    Inputs:
        cohort: the cohort.
        tokenizer: a trained one whose sequences have one length.
        codes: of the whole cohort, for all other ECGs.

    Config:
        rows: record numbers of the ECGs.
        leads: names of the two leads.

    Raises ValueError: not two leads of the twelve.
    """
    machine.configure_torch()
    if len(set(config["leads"]) & set(LEADS)) != 2 or len(config["leads"]) != 2:
        raise ValueError(f"expected two leads of {', '.join(LEADS)}, got {config['leads']}")
    one, other = (LEADS.index(lead) for lead in config["leads"])
    order = np.arange(len(LEADS))
    order[[one, other]] = other, one
    cohort, tokenizer = Cohort.open(inputs["cohort"]), load(inputs["tokenizer"]).to(machine.device)
    rows, codes = np.array(config["rows"]), np.load(inputs["codes"] / "codes.npy")
    n_valid = cohort.records["n_valid"].to_numpy()
    for part in tqdm(np.array_split(rows, -(-len(rows) // BATCH)), desc="encode"):
        x = torch.from_numpy(cohort.signals(part)[:, order]).to(machine.device)
        codes[part] = tokenizer.encode(x, torch.from_numpy(n_valid[part])).cpu().numpy()
    np.save(out / "codes.npy", codes)
