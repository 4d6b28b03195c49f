"""What a tokenizer makes of a noisy ECG whose signal without noise is known (HeartLLM, Fig. 4c)."""

from collections.abc import Container, Iterable, Mapping

import numpy as np
import pandas as pd
import torch
from scipy.signal import butter, sosfiltfilt

from ecglib.fidelity.faithfulness import compare, measured
from ecglib.signals.leads import RATE
from ecglib.tokenizers.load import Tokenizer

SMOOTHER_HZ = 40.0  # low-pass, the plain way to smooth; monitors have it


def smooth(x: np.ndarray) -> np.ndarray:
    """x (n, 12, 2500) through a zero-phase low-pass of 40 Hz (second order, forth and back)."""
    sos = butter(2, SMOOTHER_HZ, "low", fs=RATE, output="sos")
    return sosfiltfilt(sos, x, axis=-1).astype(np.float32)


@torch.no_grad()
def outputs(tokenizers: Mapping[str, Tokenizer], x: np.ndarray) -> dict[str, np.ndarray]:
    """ECGs (n, 12, 2500) in mV as they are (`input`), smoothed (`smoother`) and by method."""
    signals, n_valid = torch.from_numpy(x), torch.full((len(x),), x.shape[2])
    decoded = {n: t.decode(t.encode(signals, n_valid)).numpy() for n, t in tokenizers.items()}
    return {"input": x, "smoother": smooth(x)} | decoded


def respond(
    tokenizers: Mapping[str, Tokenizer],
    clean: np.ndarray,
    noisy: Iterable[tuple[str, np.ndarray]],
    close_up: Container[str],
    workers: int,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Errors of noisy ECGs, of their smoothed form and of their reconstructions.

    Args:
        clean: (n, 12, 2500) mV, without noise.
        noisy: names and (n, 12, 2500) of the same ECGs with noise.
        close_up: names of those in which intervals and ST are measured too.
        workers: processes that measure.

    Returns:
        first columns method, row (number of the ECG), item and score in mV (root mean square over
        leads and samples). Item `to_clean:NAME` is the distance of the output from the clean ECG,
        `passed:NAME` that from the output of the clean ECG: what the noise changes. Second,
        columns method, row, item (`pr:NAME`, `st_level:NAME` of each lead), original (of the clean
        ECG) and reconstruction (of the output), as in `faithfulness.compare`.
    """
    errors, pairs = [], []
    undisturbed, truth = outputs(tokenizers, clean), _measurements(clean, workers)
    for name, signals in noisy:
        for method, output in outputs(tokenizers, signals).items():
            columns = {"method": method, "row": np.arange(len(clean))}
            for item, other in (("to_clean", clean), ("passed", undisturbed[method])):
                score = {"item": f"{item}:{name}", "score": _rms(output - other)}
                errors.append(pd.DataFrame(columns | score))
            if name in close_up:
                pair = compare(truth, _measurements(output, workers))
                pair["item"] = pair["item"].str.split(":").str[0] + f":{name}"
                pairs.append(pair.assign(method=method))
    return pd.concat(errors, ignore_index=True), pd.concat(pairs, ignore_index=True)


def _rms(difference: np.ndarray) -> np.ndarray:
    """Root mean square of (n, 12, T) over leads and samples, (n,)."""
    return np.sqrt(np.square(difference, dtype=np.float64).mean(axis=(1, 2)))


def _measurements(signals: np.ndarray, workers: int) -> pd.DataFrame:
    n_valid = np.full(len(signals), signals.shape[2])
    return measured(lambda part: signals[part], n_valid, workers)[0]
