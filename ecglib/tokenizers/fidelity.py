"""Reconstructions of ECGs and errors of their latents, for the comparison of tokenizers."""

from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd
import torch

from ecglib.cohorts.store import Cohort
from ecglib.signals.heartbeats import r_peaks
from ecglib.signals.leads import RATE
from ecglib.tokenizers.latent import LatentTokenizer
from ecglib.tokenizers.load import Tokenizer

CHUNK = 64  # ECGs in memory at a time
R_REACH = 15  # samples (60 ms) on each side of a beat in which R is looked for
R_LOWEST = 0.2  # mV; a lower R is not compared
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
def latent_error(tokenizer: LatentTokenizer, cohort: Cohort, rows: np.ndarray) -> pd.DataFrame:
    """Squared distance of the quantised latents from the latents.

    Returns one row per ECG with sums over its valid positions: `error`, |z - zhat|^2, and `spread`,
    |z - m|^2 with m the mean of all valid latents. The ratio of their totals is the relative
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


def r_amplitude_change(
    original: SignalSlice, reconstruction: SignalSlice, n_valid: np.ndarray
) -> np.ndarray:
    """Median |change| of R as a share of R over the beats and leads of each ECG, (n,).

    Beats are those of the original. R is the highest voltage within 60 ms of a beat, in the
    original and in the reconstruction. It counts where the original has 0.2 mV or more; else NaN.
    """
    pairs = zip(each_ecg(original, n_valid), each_ecg(reconstruction, n_valid), strict=True)
    return np.array([_median_change(x, y) for x, y in pairs])


def _median_change(x: np.ndarray, y: np.ndarray) -> float:
    """The same of one ECG x (12, n) and its reconstruction y."""
    windows = [slice(max(0, beat - R_REACH), beat + R_REACH + 1) for beat in r_peaks(x, RATE)]
    before, after = (
        np.array([signal[:, window].max(1) for window in windows]).reshape(-1, len(signal))
        for signal in (x, y)
    )
    high = before >= R_LOWEST
    if not high.any():
        return float("nan")
    return float(np.median(np.abs(after[high] / before[high] - 1)))
