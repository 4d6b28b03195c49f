"""The quantised latents of a cohort in the order of time, along whichever axis they were quantised.

A tokenizer with one vector per channel has `features` along the channels. A reader that slides over
time needs the other order, and gets the same numbers in it.
"""

from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from ecglib.cohorts.store import Cohort
from ecglib.tokenizers.encode import chunks, read_codes
from ecglib.tokenizers.load import load
from ecglib.training.device import Machine


@torch.no_grad()
def write(out: Path, inputs: dict[str, Path], config: dict, seed: int, machine: Machine) -> None:
    """Step: `features.npy`, float16 (N, positions, channels), and `lengths.npy`, int64 (N,), the
    positions of each record that hold signal.

    Inputs: cohort, tokenizer (of latents), codes.
    """
    machine.configure_torch()
    cohort, tokenizer = Cohort.open(inputs["cohort"]), load(inputs["tokenizer"])
    autoencoder = tokenizer.autoencoder
    n_valid = cohort.records["n_valid"].to_numpy().astype(np.int64)
    np.save(out / "lengths.npy", -(-n_valid // autoencoder.hop))
    shape = (len(cohort), autoencoder.positions, autoencoder.dim)
    vectors = np.lib.format.open_memmap(out / "features.npy", "w+", np.float16, shape)
    for rows, _ in tqdm(chunks(cohort, cohort.rows()), desc="vectors"):
        z = tokenizer.vectors(read_codes(inputs["codes"], rows))
        vectors[rows] = (z if tokenizer.axis == "time" else z.transpose(1, 2)).numpy()
    vectors.flush()
