"""What tokenizers lose, a few ECGs at a time: reconstructions, and errors of the latents."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import torch

from ecglib.cohorts.store import Cohort
from ecglib.tokenizers.bpe import BPETokenizer
from ecglib.tokenizers.latent import LatentTokenizer
from ecglib.tokenizers.leadwise import LeadwiseTokenizer

CHUNK = 64  # ECGs in memory at a time
Part = Callable[[slice], np.ndarray]
"""Some of the records -> their signals (n, 12, 2500) in mV."""


def originals(cohort: Cohort, rows: np.ndarray) -> Part:
    """The ECGs of `rows`, as they stand in the cohort."""
    return lambda part: cohort.signals(rows[part])


def reconstructions(
    tokenizer: LatentTokenizer | LeadwiseTokenizer | BPETokenizer,
    cohort: Cohort,
    rows: np.ndarray,
    stages: int | None = None,
) -> Part:
    """The ECGs of `rows` through a tokenizer.

    Args:
        stages: of a residual quantiser, use the first so many codes of each position; 0 leaves the
            quantiser out, so that what is lost is the autoencoder's part.
    """
    n_valid = cohort.records["n_valid"].to_numpy()

    @torch.no_grad()
    def some(part: slice) -> np.ndarray:
        x, n = torch.from_numpy(cohort.signals(rows[part])), torch.tensor(n_valid[rows[part]])
        if stages == 0:
            return tokenizer.signals(tokenizer.latents(x)).numpy()
        codes = tokenizer.encode(x, n)
        if stages is None:
            return tokenizer.decode(codes).numpy()
        return tokenizer.decode_first(codes, stages).numpy()

    return some


@torch.no_grad()
def latent_error(tokenizer: LatentTokenizer, cohort: Cohort, rows: np.ndarray) -> pd.DataFrame:
    """How far the quantised latents are from the latents.

    Returns:
        One row an ECG, summed over its valid positions: `error`, |z - zhat|^2, and `spread`,
        |z - m|^2 with m the mean of all valid latents. Their totals' quotient is the relative
        quantisation error.
    """
    n_valid = torch.tensor(cohort.records["n_valid"].to_numpy()[rows])
    error, square, total, count = [], [], [], []
    for start in range(0, len(rows), CHUNK):
        part = slice(start, start + CHUNK)
        x, n = torch.from_numpy(cohort.signals(rows[part])), n_valid[part]
        z = tokenizer.latents(x)
        inside = tokenizer.valid(n)[..., None]
        lost = (z - tokenizer.vectors(tokenizer.encode(x, n))) * inside
        z = (z * inside).double()
        error.append(lost.double().square().sum((1, 2)))
        square.append(z.square().sum((1, 2)))
        total.append(z.sum(1))
        count.append(inside.sum((1, 2)))
    total, count = torch.cat(total), torch.cat(count)  # (n, D), (n,)
    mean = total.sum(0) / count.sum()
    spread = torch.cat(square) - 2 * total @ mean + count * mean.square().sum()
    return pd.DataFrame({"error": torch.cat(error).numpy(), "spread": spread.numpy()})
