"""The quantised latents of a cohort in the order of time, along whichever axis they were quantised.

A tokenizer with one vector per channel has `features` along the channels. A reader that slides over
time needs the other order, and gets the same numbers in it.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from ecglib.cohorts.store import Cohort
from ecglib.tokenizers.encode import chunks, read_codes
from ecglib.tokenizers.latent import LatentTokenizer
from ecglib.tokenizers.load import load
from ecglib.training.device import Machine


@torch.no_grad()
def _parts(
    tokenizer: LatentTokenizer, codes: Path, cohort: Cohort
) -> Iterator[tuple[np.ndarray, torch.Tensor, torch.Tensor]]:
    """Record numbers, quantised latents (n, positions, channels), and which positions hold signal
    (n, positions), of some ECGs at a time."""
    positions = torch.arange(tokenizer.autoencoder.positions) * tokenizer.autoencoder.hop
    for rows, n_valid in tqdm(chunks(cohort, cohort.rows()), desc="vectors"):
        z = tokenizer.vectors(read_codes(codes, rows))
        z = z if tokenizer.axis == "time" else z.transpose(1, 2)
        yield rows, z, positions < n_valid[:, None]


def write(out: Path, inputs: dict[str, Path], config: dict, seed: int, machine: Machine) -> None:
    """Step: `features.npy`, float16 (N, positions, channels), and `lengths.npy`, int64 (N,), the
    positions of each record that hold signal.

    Inputs: cohort, tokenizer (of latents), codes.
    """
    machine.configure_torch()
    cohort, tokenizer = Cohort.open(inputs["cohort"]), load(inputs["tokenizer"])
    shape = (len(cohort), tokenizer.autoencoder.positions, tokenizer.autoencoder.dim)
    vectors = np.lib.format.open_memmap(out / "features.npy", "w+", np.float16, shape)
    lengths = np.zeros(len(cohort), np.int64)
    for rows, z, valid in _parts(tokenizer, inputs["codes"], cohort):
        vectors[rows], lengths[rows] = z.numpy(), valid.sum(1).numpy()
    vectors.flush()
    np.save(out / "lengths.npy", lengths)


def means(out: Path, inputs: dict[str, Path], config: dict, seed: int, machine: Machine) -> None:
    """Step: `over_time.npy`, float32 (N, channels), the mean over the positions that hold signal,
    and `over_channels.npy`, float32 (N, positions), zero at the others.

    Inputs: cohort, tokenizer (of latents), codes.
    """
    machine.configure_torch()
    cohort, tokenizer = Cohort.open(inputs["cohort"]), load(inputs["tokenizer"])
    parts = {"over_time": [], "over_channels": []}  # the cohort's rows in their order
    for _, z, valid in _parts(tokenizer, inputs["codes"], cohort):
        z = z * valid[..., None]
        parts["over_time"].append((z.sum(1) / valid.sum(1, keepdim=True)).numpy())
        parts["over_channels"].append(z.mean(2).numpy())
    for name, part in parts.items():
        np.save(out / f"{name}.npy", np.concatenate(part))
