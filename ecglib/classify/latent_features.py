"""The latents before quantisation, as features of a classifier: what quantising costs.

With `untrained` they are those of an equal encoder with initial weights, those of the PCA where it
starts there: a floor of the trained encoder.
"""

from pathlib import Path

import numpy as np
import torch

from ecglib.cohorts.store import Cohort
from ecglib.tokenizers.autoencoder import Autoencoder
from ecglib.tokenizers.contract import mask_padding
from ecglib.tokenizers.encode import chunks
from ecglib.tokenizers.load import load, make_autoencoder
from ecglib.training import seeds
from ecglib.training.device import Machine


@torch.no_grad()
def write_latents(
    out: Path, inputs: dict[str, Path], config: dict, seed: int, machine: Machine
) -> None:
    """Step: features.npy, float16 (N, T, D), and lengths.npy, int64 (N,), of every record.

    Inputs: cohort, tokenizer (with latent vectors).

    Config:
        untrained: draw the encoder's weights anew.
    """
    machine.configure_torch()
    cohort, tokenizer = Cohort.open(inputs["cohort"]), load(inputs["tokenizer"])
    if config["untrained"]:
        trained = tokenizer.autoencoder
        torch.manual_seed(seeds.sub_seed(seed, "untrained"))
        tokenizer.autoencoder = make_autoencoder(trained.config())
        if isinstance(trained, Autoencoder):
            tokenizer.autoencoder.start(trained.components, trained.spread)
    tokenizer.to(machine.device).eval()
    rows = np.arange(len(cohort.records))
    shape = (len(rows), *tokenizer.shape())
    vectors = np.lib.format.open_memmap(out / "features.npy", "w+", np.float16, shape)
    lengths = np.zeros(len(rows), np.int64)
    for part, n in chunks(cohort, rows):
        x = torch.from_numpy(cohort.signals(part)).to(machine.device)
        vectors[part] = tokenizer.latents(mask_padding(x, n)).cpu().numpy().astype(np.float16)
        lengths[part] = tokenizer.valid(n).sum(1).numpy()
    vectors.flush()
    np.save(out / "lengths.npy", lengths)
