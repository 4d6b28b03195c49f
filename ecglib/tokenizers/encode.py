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

CHUNK = 512  # ECGs whose codes become vectors at a time


def encode(out: Path, inputs: dict[str, Path], config: dict, seed: int, machine: Machine) -> None:
    """Step: `codes.npy`, int16 (N, T, S) for every record; inputs: `cohort`, `tokenizer`.

    Byte pairs of shorter sequences end in -1.
    """
    machine.configure_torch()
    cohort = Cohort.open(inputs["cohort"])
    tokenizer = load(inputs["tokenizer"]).to(machine.device)
    n, parts, n_valid = len(cohort.records), [], cohort.records["n_valid"].to_numpy()
    for start in tqdm(range(0, n, config["batch"]), desc="encode"):
        rows = np.arange(start, min(start + config["batch"], n))
        x = torch.from_numpy(cohort.signals(rows)).to(machine.device)
        found = tokenizer.encode(x, torch.from_numpy(n_valid[rows])).to(torch.int16)
        parts.append(found.cpu().numpy())
    longest = max(part.shape[1] for part in parts)
    parts = [
        np.pad(p, ((0, 0), (0, longest - p.shape[1]), (0, 0)), constant_values=-1) for p in parts
    ]
    np.save(out / "codes.npy", np.concatenate(parts))


@torch.no_grad()
def encode_rows(
    tokenizer: LatentTokenizer, cohort: Cohort, rows: np.ndarray, batch: int = 64
) -> np.ndarray:
    """Codes of some records, int64 (len(rows), T, S), where no step keeps those of all."""
    n_valid, found = cohort.records["n_valid"].to_numpy(), []
    for part in np.array_split(rows, max(1, len(rows) // batch)):
        x = torch.from_numpy(cohort.signals(part))
        found.append(tokenizer.encode(x, torch.tensor(n_valid[part])).numpy())
    return np.concatenate(found)


def read_codes(folder: Path, rows: np.ndarray) -> torch.Tensor:
    """Codes of some records, int64 (len(rows), T, S)."""
    return torch.from_numpy(np.load(folder / "codes.npy", mmap_mode="r")[rows].astype(np.int64))


@torch.no_grad()
def read_latents(
    tokenizer: LatentTokenizer | LeadwiseTokenizer, folder: Path, cohort: Cohort, rows: np.ndarray
) -> tuple[torch.Tensor, torch.Tensor]:
    """Frozen embeddings of some records: vectors (len(rows), T, D) float32 and valid lengths.

    Decoded a few at a time: QINCo's networks hold several numbers for each one that they return.
    """
    n_valid = cohort.records["n_valid"].to_numpy()
    parts = [rows[start : start + CHUNK] for start in range(0, len(rows), CHUNK)]
    pairs = [tokenizer.embed(read_codes(folder, p), torch.tensor(n_valid[p])) for p in parts]
    vectors, lengths = zip(*pairs, strict=True)
    return torch.cat(vectors), torch.cat(lengths)
