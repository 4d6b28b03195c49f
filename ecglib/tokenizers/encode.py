"""Codes of a whole cohort, computed once: what classifiers and language models start from."""

from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from ecglib.cohorts.store import Cohort
from ecglib.tokenizers.latent import LatentTokenizer
from ecglib.tokenizers.leadwise import LeadwiseTokenizer
from ecglib.tokenizers.load import load
from ecglib.training.device import Machine


def encode(out: Path, inputs: dict[str, Path], config: dict, seed: int, machine: Machine) -> None:
    """Step: `codes.npy`, int16 (N, T, S) for every record; inputs: `cohort`, `tokenizer`."""
    machine.start()
    cohort = Cohort.open(inputs["cohort"])
    tokenizer = load(inputs["tokenizer"]).to(machine.device)
    n, parts = len(cohort.records), []
    for start in tqdm(range(0, n, config["batch"]), desc="encode"):
        rows = np.arange(start, min(start + config["batch"], n))
        x = torch.from_numpy(cohort.signals(rows)).to(machine.device)
        parts.append(tokenizer.encode(x).to(torch.int16).cpu().numpy())
    np.save(out / "codes.npy", np.concatenate(parts))


def read_codes(folder: Path, rows: np.ndarray) -> torch.Tensor:
    """Codes of some records, int64 (len(rows), T, S)."""
    return torch.from_numpy(np.load(folder / "codes.npy", mmap_mode="r")[rows].astype(np.int64))


@torch.no_grad()
def read_latents(
    tokenizer: LatentTokenizer | LeadwiseTokenizer, folder: Path, cohort: Cohort, rows: np.ndarray
) -> tuple[torch.Tensor, torch.Tensor]:
    """Frozen embeddings of some records: vectors (len(rows), T, D) float32 and valid lengths."""
    n_valid = torch.tensor(cohort.records["n_valid"].to_numpy()[rows])
    return tokenizer.embed(read_codes(folder, rows), n_valid)
