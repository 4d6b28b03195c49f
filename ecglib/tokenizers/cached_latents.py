"""The latents behind a trained encoder, computed once: quantisers learn on vectors, not on ECGs."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from ecglib.cohorts.store import Cohort
from ecglib.tokenizers.latent import LatentTokenizer
from ecglib.tokenizers.load import load
from ecglib.training.device import Machine

CHUNK = 64  # ECGs in memory at a time


@torch.no_grad()
def _parts(tokenizer: LatentTokenizer, cohort: Cohort, rows: np.ndarray) -> Iterator[torch.Tensor]:
    """Latents (n, D) of a few ECGs at a time, those of the padding left out."""
    device = next(tokenizer.buffers()).device
    for start in range(0, len(rows), CHUNK):
        chunk = rows[start : start + CHUNK]
        x = torch.from_numpy(cohort.signals(chunk)).to(device)
        n_valid = torch.tensor(cohort.records["n_valid"].to_numpy()[chunk])
        yield tokenizer.latents(x).cpu()[tokenizer.valid(n_valid)]


def latents_of(tokenizer: LatentTokenizer, cohort: Cohort, rows: np.ndarray) -> torch.Tensor:
    """Latents (N, D) of the given records, those of the padding left out."""
    return torch.cat(list(_parts(tokenizer, cohort, rows)))


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
        rows, done = cohort.rows(role)[:most], 0
        n_valid = torch.tensor(cohort.records["n_valid"].to_numpy()[rows])
        shape = int(tokenizer.valid(n_valid).sum()), tokenizer.shape()[1]
        z = np.lib.format.open_memmap(out / f"{role}.npy", "w+", np.float16, shape)
        for part in _parts(tokenizer, cohort, rows):  # never all of them in memory
            z[done : done + len(part)] = part.numpy().astype(np.float16)
            done += len(part)
        z.flush()


def read(folder: Path, role: str = "tokenizer_train") -> torch.Tensor:
    """Cached latents (N, D), float16, read from the disk as they are needed."""
    return torch.from_numpy(np.load(folder / f"{role}.npy", mmap_mode="c"))
