"""The codes and the frozen embeddings of a cohort, from which other rooms train their models."""

import math
import tempfile
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from ecglib.cohorts.store import Cohort
from ecglib.tokenizers.contract import Features
from ecglib.tokenizers.load import Tokenizer, load
from ecglib.training.device import Machine

CHUNK = 512  # ECGs whose codes become vectors at a time
LARGE = 2**31  # bytes that are kept in memory; 100,000 ECGs need 4 GB at `laptop`, 16 GB at `gpu`


def encode(out: Path, inputs: dict[str, Path], config: dict, seed: int, machine: Machine) -> None:
    """Step: `codes.npy` (N, T, S) of every record, int16, or int32 for vocabularies beyond 32,768.

    Sequences of byte pairs are padded with -1.

    Inputs: cohort, tokenizer (trained).

    Config:
        batch: ECGs per call of the tokenizer.
    """
    machine.configure_torch()
    cohort = Cohort.open(inputs["cohort"])
    tokenizer = load(inputs["tokenizer"]).to(machine.device)
    rows = np.arange(len(cohort.records))
    batches = np.split(rows, range(config["batch"], len(rows), config["batch"]))
    np.save(out / "codes.npy", _encode(tokenizer, cohort, batches, machine.device))


def encode_rows(tokenizer: Tokenizer, cohort: Cohort, rows: np.ndarray) -> np.ndarray:
    """Codes of the given records, (len(rows), T, S), as `encode` stores them."""
    return _encode(tokenizer, cohort, np.array_split(rows, max(1, len(rows) // 64)), "cpu")


@torch.no_grad()
def _encode(
    tokenizer: Tokenizer, cohort: Cohort, batches: list[np.ndarray], device: str
) -> np.ndarray:
    small = tokenizer.rate().vocabulary_size <= np.iinfo(np.int16).max + 1
    n_valid, number = cohort.records["n_valid"].to_numpy(), sum(map(len, batches))
    codes, done = np.empty((number, 0, 0), np.int16 if small else np.int32), 0
    for rows in tqdm(batches, desc="encode"):
        x = torch.from_numpy(cohort.signals(rows)).to(device)
        part = tokenizer.encode(x, torch.from_numpy(n_valid[rows])).cpu().numpy()
        _, length, symbols = part.shape
        # One array from the start: a list of parts keeps freed memory, 30 kB per ECG with RVQ.
        if length > codes.shape[1]:
            more = (0, 0), (0, length - codes.shape[1]), (0, symbols - codes.shape[2])
            codes = np.pad(codes, more, constant_values=-1)
        codes[done : done + len(rows), :length] = part
        done += len(rows)
    return codes


def read_codes(folder: Path, rows: np.ndarray) -> torch.Tensor:
    """Codes of the given records, int64 (len(rows), T, S)."""
    return torch.from_numpy(np.load(folder / "codes.npy", mmap_mode="r")[rows].astype(np.int64))


@torch.no_grad()
def read_latents(tokenizer: Tokenizer, folder: Path, cohort: Cohort, rows: np.ndarray) -> Features:
    """Frozen features of the given records: vectors (len(rows), T, D) float32, valid lengths.

    Codes are decoded a few ECGs at a time, because QINCo's networks need a multiple of the memory
    of their output.
    """
    vectors, lengths, done = None, [], 0
    for part, n in chunks(cohort, rows):
        of_part, valid = tokenizer.features(read_codes(folder, part), n)
        if vectors is None:
            vectors = zeros((len(rows), *of_part.shape[1:]), torch.float32, folder)
        vectors[done : done + len(part)] = of_part
        done += len(part)
        lengths.append(valid)
    return vectors, torch.cat(lengths)


def zeros(shape: tuple[int, ...], dtype: torch.dtype, folder: Path) -> torch.Tensor:
    """Zeros on the CPU. Many of them are in a file without a name on the disk of `folder`, of which
    memory holds what is in use; the file ends with the tensor."""
    like = torch.zeros(0, dtype=dtype).numpy()
    if math.prod(shape) * like.itemsize < LARGE:
        return torch.zeros(shape, dtype=dtype)
    with tempfile.TemporaryFile(dir=folder) as file:
        return torch.from_numpy(np.memmap(file, like.dtype, "w+", shape=shape))


def chunks(cohort: Cohort, rows: np.ndarray) -> list[tuple[np.ndarray, torch.Tensor]]:
    """Record numbers a few at a time, each part with its numbers of valid samples."""
    n_valid = cohort.records["n_valid"].to_numpy()
    parts = [rows[start : start + CHUNK] for start in range(0, len(rows), CHUNK)]
    return [(part, torch.tensor(n_valid[part])) for part in parts]
