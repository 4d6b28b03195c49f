"""What every tokenizer offers, and the relation between its codes and its flat integers.

Every tokenizer has a training step (in `train` or `bpe`) and these methods:
    encode(x, n_valid) -> codes (B, T, S)       decode(codes) -> (B, 12, n) mV
    features(codes, n_valid) -> vectors (B, T, D), lengths (B,), for an adapter or a classifier
    to_ids(codes) -> (B, T * S) integers         from_ids(ids) -> codes, without loss
    rate() -> Rate                               save(folder), and `load.load(folder)`
For byte pairs, T is the number of tokens of the longest ECG; shorter sequences end in -1.

A quantiser of latent vectors (`rvq`, `qinco`) owns its loss:
    forward(z, valid) -> quantised, codebook_loss, commitment_loss
    encode(z (N, D)) -> codes (N, S)             decode(codes) -> zhat (N, D)
    partial_sums(codes) -> zhat after 1, 2, ... codes, (S, N, D)
It has `codebooks` (S, K, D), `dim` D, `codewords` K, `codes_per_vector` S and `idle` (S, K), see
`codebooks.revive`.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file

from ecglib.signals.leads import LEADS, RATE


@dataclass(frozen=True)
class Rate:
    """The cost of one ECG: tokens for a language model, and bits with fixed-length codes."""

    vocabulary_size: int
    tokens_per_ecg: int
    bits_per_ecg: float


Features = tuple[torch.Tensor, torch.Tensor]
"""Vectors float32 (n, T, D), and valid lengths int64 (n,)."""


def to_ids(codes: torch.Tensor, codewords: int) -> torch.Tensor:
    """codes (B, T, S) in [0, K) -> ids (B, T * S) in [0, S * K): each codebook has its own range.
    Example: K = 64, the codes [[[5, 2]]] of one position and two codebooks become [[5, 66]]."""
    offset = torch.arange(codes.shape[-1], device=codes.device) * codewords
    return (codes + offset).flatten(1)


def from_ids(ids: torch.Tensor, codebooks: int, codewords: int) -> torch.Tensor:
    """The inverse of `to_ids`; raises ValueError for an id outside its codebook's range."""
    offset = torch.arange(codebooks, device=ids.device) * codewords
    codes = ids.unflatten(1, (-1, codebooks)) - offset
    if ((codes < 0) | (codes >= codewords)).any():
        raise ValueError(
            f"expected token ids of {codebooks} codebooks x {codewords} codewords, position by "
            "position, got ids outside their codebook's range; give ids that `to_ids` made"
        )
    return codes


def uniform_rate(positions: int, codebooks: int, codewords: int) -> Rate:
    """The rate of `positions` x `codebooks` codes out of `codewords`, without side information."""
    tokens = positions * codebooks
    return Rate(codebooks * codewords, tokens, tokens * math.log2(codewords))


def check_signals(x: torch.Tensor, samples: int) -> None:
    """Refuse what no tokenizer can read: expected is x (B, 12, n <= samples), finite, in mV. Raises
    ValueError: another shape, more samples than the tokenizer was made for (most often a recording
    at another rate), or numbers that are not finite."""
    if x.ndim != 3 or x.shape[1] != len(LEADS):
        text = f"expected an ECG of shape (B, {len(LEADS)}, n), got {tuple(x.shape)}"
        raise ValueError(f"{text}; arrange the leads by name")
    if x.shape[2] > samples:
        raise ValueError(
            f"expected at most {samples} samples per lead ({samples / RATE:g} s at {RATE} Hz), "
            f"got {x.shape[2]}; resample or crop the ECG"
        )
    if not torch.isfinite(x).all():
        wrong = int((~torch.isfinite(x)).sum())
        raise ValueError(f"expected finite voltages, got {wrong} that are not; clean the ECG first")


def mask_padding(x: torch.Tensor, n_valid: torch.Tensor | None) -> torch.Tensor:
    """x (B, 12, n) with zeros from sample n_valid (B,) on; unchanged without n_valid."""
    if n_valid is None:
        return x
    inside = torch.arange(x.shape[2], device=x.device) < n_valid.to(x.device)[:, None]
    return torch.where(inside[:, None], x, 0.0)


def check_codes(codes: torch.Tensor, codewords: int, lowest: int = 0) -> None:
    """Raise ValueError for a code outside the range from `lowest` to `codewords` - 1."""
    outside = codes[(codes < lowest) | (codes >= codewords)]
    if len(outside):
        text = f"expected codes of {codewords} codewords, got code {int(outside[0])}"
        raise ValueError(f"{text}; give codes that this tokenizer made")


def save_model(tensors: Mapping[str, torch.Tensor], config: dict, folder: Path) -> None:
    """Write the tensors as `model.safetensors`, and what rebuilds the model as `config.json`."""
    folder.mkdir(parents=True, exist_ok=True)
    copies = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    save_file(copies, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(config, indent=1, sort_keys=True))
