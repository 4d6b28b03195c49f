"""What a classifier on frozen features reads: vectors (n, T, D) of record numbers, and lengths.

The kinds are
    codes       the embeddings of a tokenizer's codes; byte pairs are laid on a grid (`pair_grid`)
    latents     what the encoder gives to the quantiser
    untrained   the same of an equal encoder with initial weights, those of the PCA where it starts
                there: the floor of `latents`
    features    what a self-supervised model wrote: features.npy (N, T, D) and lengths.npy (N,)
"""

from pathlib import Path

import numpy as np
import torch

from ecglib.cohorts.store import Cohort
from ecglib.signals.leads import LEADS
from ecglib.tokenizers import contract
from ecglib.tokenizers.autoencoder import Autoencoder
from ecglib.tokenizers.bpe import BPETokenizer
from ecglib.tokenizers.contract import Features
from ecglib.tokenizers.encode import chunks, join, read_codes, read_latents
from ecglib.tokenizers.latent import LatentTokenizer
from ecglib.tokenizers.load import load, make_autoencoder
from ecglib.training import seeds

KINDS = {"codes": ("tokenizer", "codes"), "latents": ("tokenizer",), "untrained": ("tokenizer",)}
KINDS |= {"features": ("features",)}  # the inputs of each, beside the cohort
CELL = 16  # samples (64 ms) per position of the grid of byte pairs
PAIR_NUMBERS = 4  # per lead and position


def read_features(
    inputs: dict[str, Path],
    cohort: Cohort,
    rows: np.ndarray,
    kind: str,
    codebooks: int = 0,
    seed: int = 0,
    device: str = "cpu",
) -> Features:
    """Frozen features of the given records, in their order.

    Args:
        inputs: folders by label: tokenizer, codes or features, as the kind needs.
        kind: one of `KINDS`.
        codebooks: of the kind codes, how many codebooks are read, from the first; 0 for all.
        seed: draws the initial weights of the kind untrained.
        device: on which an encoder runs; the vectors are on the CPU.

    Raises ValueError: an unknown kind, a missing input, or a tokenizer without such vectors.
    """
    if kind not in KINDS:
        raise ValueError(f"expected a kind out of {', '.join(KINDS)}, got {kind!r}")
    if missing := [name for name in KINDS[kind] if name not in inputs]:
        raise ValueError(f"kind {kind!r}: expected the inputs {KINDS[kind]}, got no {missing[0]}")
    if kind == "features":
        stored = np.load(inputs["features"] / "features.npy", mmap_mode="r", allow_pickle=False)
        lengths = np.load(inputs["features"] / "lengths.npy", allow_pickle=False)[rows]
        vectors = np.asarray(stored[rows], dtype=np.float32)
        return torch.from_numpy(vectors), torch.from_numpy(lengths.astype(np.int64))
    tokenizer = load(inputs["tokenizer"])
    if kind == "codes" and isinstance(tokenizer, BPETokenizer) and not codebooks:
        return _grids(tokenizer, inputs["codes"], cohort, rows)
    if kind == "codes" and not codebooks:
        return read_latents(tokenizer, inputs["codes"], cohort, rows)
    if not isinstance(tokenizer, LatentTokenizer):
        text = f"kind {kind!r} with {codebooks} codebooks: expected a tokenizer with latent vectors"
        raise ValueError(f"{text}, got {tokenizer.method}; read all of its codes")
    if kind == "codes":
        return _first_codebooks(tokenizer, inputs["codes"], cohort, rows, codebooks)
    if kind == "untrained":
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seeds.sub_seed(seed, "untrained"))
            trained = tokenizer.autoencoder
            tokenizer.autoencoder = make_autoencoder(trained.config())
        if isinstance(trained, Autoencoder):
            tokenizer.autoencoder.start(trained.components, trained.spread)
    return _latents(tokenizer.to(device).eval(), cohort, rows, device)


@torch.no_grad()
def _first_codebooks(
    tokenizer: LatentTokenizer, folder: Path, cohort: Cohort, rows: np.ndarray, codebooks: int
) -> Features:
    most = tokenizer.quantiser.codes_per_vector
    if not 0 < codebooks <= most:
        raise ValueError(f"expected 1 to {most} codebooks, or 0 for all, got {codebooks}")
    pairs = []
    for part, n in chunks(cohort, rows):
        vectors = tokenizer.vectors(read_codes(folder, part), codebooks)
        pairs.append((vectors, tokenizer.valid(n).sum(1)))
    return join(pairs)


@torch.no_grad()
def _latents(tokenizer: LatentTokenizer, cohort: Cohort, rows: np.ndarray, device: str) -> Features:
    pairs = []
    for part, n in chunks(cohort, rows):
        signals = contract.mask_padding(torch.from_numpy(cohort.signals(part)).to(device), n)
        pairs.append((tokenizer.latents(signals).cpu(), tokenizer.valid(n).sum(1)))
    return join(pairs)


def _grids(tokenizer: BPETokenizer, folder: Path, cohort: Cohort, rows: np.ndarray) -> Features:
    positions = -(-tokenizer.samples // CELL)
    width = len(LEADS) * PAIR_NUMBERS
    vectors = np.zeros((len(rows), positions, width), np.float32)
    done = 0
    for part, n in chunks(cohort, rows):
        codes = read_codes(folder, part)
        codes = codes[:, : int((codes[..., 0] >= 0).sum(1).max())]
        described, counts = tokenizer.embed(codes, n)
        for x, count, widths, end in zip(
            described.numpy(), counts.tolist(), tokenizer.widths(codes), n.tolist(), strict=True
        ):
            grid = pair_grid(x[:count, :4], widths, end)
            vectors[done, : len(grid)] = grid
            done += 1
    lengths = -(-cohort.records["n_valid"].to_numpy()[rows] // CELL)
    return torch.from_numpy(vectors), torch.from_numpy(lengths.astype(np.int64))


def pair_grid(tokens: np.ndarray, widths: np.ndarray, samples: int) -> np.ndarray:
    """The byte pairs of an ECG on a grid of time and leads.

    Byte pairs have no embedding of their own, and their number differs between the leads. This grid
    is ours; no paper has it. A cell is 64 ms of one lead. Its four numbers describe the tokens that
    it overlaps, weighted by the overlap where a mean is taken: mean of the tokens' mean voltages,
    lowest and highest of their first, mean and last voltages, and mean log2 of their lengths.

    Args:
        tokens: (t, 4) as of `BPETokenizer.embed`: first, mean and last voltage (mV), log2 length.
        widths: samples of each token, (t,); their sum is 12 n.
        samples: n, the valid samples per lead.

    Returns float32 (ceil(n / 16), 48), lead by lead within a position.
    """
    voltages = tokens[:, :3]
    numbers = [tokens[:, 1], voltages.min(1), voltages.max(1), tokens[:, 3]]
    shape = (len(LEADS), samples)
    mean, low, high, length = (np.repeat(of, widths).reshape(shape) for of in numbers)
    starts = np.arange(0, samples, CELL)
    counts = np.diff(np.append(starts, samples))
    cells = [
        np.add.reduceat(mean, starts, axis=1) / counts,
        np.minimum.reduceat(low, starts, axis=1),
        np.maximum.reduceat(high, starts, axis=1),
        np.add.reduceat(length, starts, axis=1) / counts,
    ]
    return np.stack(cells, -1).transpose(1, 0, 2).reshape(len(starts), -1).astype(np.float32)
