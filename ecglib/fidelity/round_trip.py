"""Reconstructions of ECGs and errors of their latents, for the comparison of tokenizers."""

from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd
import torch

from ecglib.cohorts.store import Cohort
from ecglib.tokenizers.latent import LatentTokenizer
from ecglib.tokenizers.load import Tokenizer

CHUNK = 64  # ECGs in memory at a time
SignalSlice = Callable[[slice], np.ndarray]
"""A slice of the chosen records -> their signals (n, 12, 2500) in mV."""


def each_ecg(signals: SignalSlice, n_valid: np.ndarray) -> Iterator[np.ndarray]:
    """The ECGs one by one, each (12, n) without its padding; `n_valid` (n,) are their samples."""
    for start in range(0, len(n_valid), CHUNK):
        part = slice(start, start + CHUNK)
        for x, n in zip(signals(part), n_valid[part], strict=True):
            yield x[:, :n]


def originals(cohort: Cohort, rows: np.ndarray) -> SignalSlice:
    """The ECGs of `rows` as stored in the cohort."""
    return lambda part: cohort.signals(rows[part])


def reconstructions(
    tokenizer: Tokenizer, cohort: Cohort, rows: np.ndarray, codebooks: int | None = None
) -> SignalSlice:
    """The ECGs of `rows` after encoding and decoding.

    `codebooks`: for a residual quantiser, the number of codes per position that are decoded, all
    where None; 0 decodes the latents themselves, which shows the autoencoder's own error.
    """
    n_valid = cohort.records["n_valid"].to_numpy()

    @torch.no_grad()
    def decode(part: slice) -> np.ndarray:
        x, n = torch.from_numpy(cohort.signals(rows[part])), torch.tensor(n_valid[rows[part]])
        if codebooks == 0:
            return tokenizer.signals(tokenizer.latents(x)).numpy()
        codes = tokenizer.encode(x, n)
        options = {} if codebooks is None else {"codebooks": codebooks}
        return tokenizer.decode(codes, **options).numpy()

    return decode


@torch.no_grad()
def latent_error(
    tokenizer: LatentTokenizer, cohort: Cohort, rows: np.ndarray, codebooks: int | None = None
) -> pd.DataFrame:
    """Squared distance of the quantised latents from the latents, by the first `codebooks` codes.

    Returns one row per ECG with sums over its valid positions: `error`, |z - zhat|^2, and `energy`,
    |z|^2. The ratio of their totals is the relative quantisation error.
    """
    n_valid = torch.tensor(cohort.records["n_valid"].to_numpy()[rows])
    error, energy = [], []
    for start in range(0, len(rows), CHUNK):
        part = slice(start, start + CHUNK)
        x, n = torch.from_numpy(cohort.signals(rows[part])), n_valid[part]
        z, inside = tokenizer.latents(x), tokenizer.valid(n)[..., None]
        lost = (z - tokenizer.vectors(tokenizer.encode(x, n), codebooks)) * inside
        error.append(lost.double().square().sum((1, 2)))
        energy.append((z * inside).double().square().sum((1, 2)))
    return pd.DataFrame({"error": torch.cat(error).numpy(), "energy": torch.cat(energy).numpy()})
