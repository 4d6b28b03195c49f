"""The latents behind a trained encoder, computed once: quantisers learn on vectors, not on ECGs."""

from pathlib import Path

import numpy as np
import torch

from ecglib.cohorts.store import Cohort
from ecglib.tokenizers.latent import LatentTokenizer
from ecglib.tokenizers.load import load
from ecglib.training.device import Machine

CHUNK = 64  # ECGs in memory at a time


@torch.no_grad()
def latents_of(tokenizer: LatentTokenizer, cohort: Cohort, rows: np.ndarray) -> torch.Tensor:
    """Latents (N, D) of the given records, those of the padding left out."""
    device, parts = next(tokenizer.buffers()).device, []
    for start in range(0, len(rows), CHUNK):
        chunk = rows[start : start + CHUNK]
        x = torch.from_numpy(cohort.signals(chunk)).to(device)
        n_valid = torch.tensor(cohort.records["n_valid"].to_numpy()[chunk])
        parts.append(tokenizer.latents(x).cpu()[tokenizer.valid(n_valid)])
    return torch.cat(parts)


def cache(out: Path, inputs: dict[str, Path], config: dict, seed: int, machine: Machine) -> None:
    """Step: `tokenizer_train.npy` and `validation.npy`, float16 (N, D), the latents of both roles.

    Inputs: cohort, tokenizer (trained).

    Config:
        validation_ecgs: how many, at most.
    """
    machine.configure_torch()
    cohort = Cohort.open(inputs["cohort"])
    tokenizer = load(inputs["tokenizer"]).to(machine.device)
    for role, most in (("tokenizer_train", None), ("validation", config["validation_ecgs"])):
        z = latents_of(tokenizer, cohort, cohort.rows(role)[:most])
        np.save(out / f"{role}.npy", z.numpy().astype(np.float16))


def read(folder: Path, role: str = "tokenizer_train") -> torch.Tensor:
    """Cached latents (N, D), float16."""
    return torch.from_numpy(np.load(folder / f"{role}.npy"))
