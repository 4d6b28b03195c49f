"""What a classifier reads of an ECG: record numbers -> values and their valid lengths.

    signals     (B, 12, 2500) in mV, as stored
    decoded     the same, decoded from a tokenizer's codes: what the tokens hold
    vectors     (B, T, D), a tokenizer's `features` of the codes: what is easy to read in them
    features    (B, T, D) of any other source: features.npy (N, T, D) and lengths.npy (N,)

Codes are decoded once for all records of a training, because QINCo's networks take long.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch

from ecglib.cohorts.store import Cohort
from ecglib.signals.leads import LEADS, SAMPLES
from ecglib.tokenizers.contract import Features, mask_padding
from ecglib.tokenizers.encode import chunks, read_codes, read_latents, zeros
from ecglib.tokenizers.load import Tokenizer, load

Read = Callable[[np.ndarray], Features]
"""Record numbers (B,) -> the network's inputs: values (B, ...) and valid lengths (B,)."""
CODED = ("tokenizer", "codes")
INPUTS = {"signals": (), "decoded": CODED, "vectors": CODED, "features": ("features",)}
MICROVOLTS = 1000.0  # per mV; decoded ECGs are kept as the cohort's are


def reader(
    kind: str, inputs: dict[str, Path], cohort: Cohort, rows: np.ndarray, device: str = "cpu"
) -> Read:
    """A function that reads the given records, and perhaps no others.

    Args:
        kind: one of `INPUTS`.
        inputs: folders by label: tokenizer and codes, or features, as the kind needs.
        rows: record numbers, ascending.
        device: on which codes are decoded; what is read is on the CPU.

    Raises ValueError: an unknown kind, or a missing input.
    """
    if kind not in INPUTS:
        raise ValueError(f"expected reads out of {', '.join(INPUTS)}, got {kind!r}")
    if missing := [name for name in INPUTS[kind] if name not in inputs]:
        raise ValueError(f"{kind} need the inputs {', '.join(INPUTS[kind])}, got no {missing[0]}")
    if kind == "signals":
        return partial(_signals, cohort)
    if kind == "features":
        return partial(_stored, inputs["features"])
    tokenizer, codes = load(inputs["tokenizer"]), inputs["codes"]
    if kind == "decoded":
        return partial(_of_rows, _decoded(tokenizer.to(device), codes, cohort, rows, device), rows)
    return partial(_of_rows, read_latents(tokenizer, codes, cohort, rows), rows)


def _signals(cohort: Cohort, rows: np.ndarray) -> Features:
    n_valid = cohort.records["n_valid"].to_numpy()[rows]
    return torch.from_numpy(cohort.signals(rows)), torch.from_numpy(n_valid.astype(np.int64))


def _stored(folder: Path, rows: np.ndarray) -> Features:
    stored = np.load(folder / "features.npy", mmap_mode="r", allow_pickle=False)
    lengths = np.load(folder / "lengths.npy", mmap_mode="r", allow_pickle=False)
    vectors = torch.from_numpy(np.asarray(stored[rows], dtype=np.float32))
    return vectors, torch.from_numpy(lengths[rows].astype(np.int64))


def _of_rows(values: Features, known: np.ndarray, wanted: np.ndarray) -> Features:
    """Those of some record numbers, out of those of the ascending numbers `known`."""
    index = torch.from_numpy(np.searchsorted(known, wanted))
    x, lengths = values[0][index], values[1][index]
    return (x / MICROVOLTS if x.dtype == torch.int16 else x), lengths


@torch.no_grad()
def _decoded(
    tokenizer: Tokenizer, codes: Path, cohort: Cohort, rows: np.ndarray, device: str
) -> Features:
    """Decoded ECGs int16 (n, 12, 2500) in microvolts, zero behind the end of a short recording, and
    valid samples (n,)."""
    signals, done = zeros((len(rows), len(LEADS), SAMPLES), torch.int16, codes), 0
    for part, n in chunks(cohort, rows):
        x = mask_padding(tokenizer.decode(read_codes(codes, part).to(device)).cpu(), n)
        signals[done : done + len(part)] = (MICROVOLTS * x).round().clamp(-(2**15), 2**15 - 1)
        done += len(part)
    return signals, torch.tensor(cohort.records["n_valid"].to_numpy()[rows], dtype=torch.int64)
