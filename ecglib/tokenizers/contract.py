"""What every tokenizer offers, and how its flat integers relate to its codes.

A tokenizer has a training step (in `train.py` or `fit_bpe.py`), and the methods
    encode(x, n_valid) -> codes (B, T, S)       decode(codes) -> (B, 12, n) mV
    embed(codes, n_valid) -> vectors (B, T, D), lengths (B,)
    ids(codes) -> (B, T * S) integers            codes_of(ids) -> codes, without loss
    rate() -> Rate                               save(folder), and `load.load(folder)`
Byte pairs have as many tokens as an ECG needs: T is that of the longest, the others end in -1.
"""

import json
import math
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

LEADS = 12
RATE = 250  # samples a second that every tokenizer works at


@dataclass(frozen=True)
class Rate:
    """What one ECG costs: tokens a language model would see, and bits with fixed-length codes."""

    vocabulary_size: int
    tokens_per_ecg: int
    bits_per_ecg: float


def flat_ids(codes: torch.Tensor, codewords: int) -> torch.Tensor:
    """codes (B, T, S) in [0, K) -> ids (B, T * S) in [0, S * K): each stage has its own range.

    Example: K = 64, the codes [[[5, 2]]] of one position and two stages become [[5, 66]].
    """
    stages = codes.shape[-1]
    offset = torch.arange(stages, device=codes.device) * codewords
    return (codes + offset).flatten(1)


def unflat_ids(ids: torch.Tensor, stages: int, codewords: int) -> torch.Tensor:
    """The inverse of `flat_ids`; raises ValueError for an id outside its stage's range."""
    codes = ids.unflatten(1, (-1, stages)) - torch.arange(stages, device=ids.device) * codewords
    if ((codes < 0) | (codes >= codewords)).any():
        raise ValueError(
            f"token ids are not those of {stages} stages x {codewords} codewords in stage order"
        )
    return codes


def uniform_rate(positions: int, stages: int, codewords: int) -> Rate:
    """The rate of `positions` x `stages` codes out of `codewords`; no side information."""
    tokens = positions * stages
    return Rate(stages * codewords, tokens, tokens * math.log2(codewords))


def check_signals(x: torch.Tensor, samples: int) -> None:
    """Refuse what no tokenizer can read: x should be (B, 12, n <= samples), finite, in mV.

    Raises:
        ValueError: for another shape, more samples than the tokenizer was made for (most often a
            recording at another rate), or numbers that are not finite.
    """
    if x.ndim != 3 or x.shape[1] != LEADS:
        raise ValueError(f"an ECG has {LEADS} leads: expected (B, 12, n), got {tuple(x.shape)}")
    if x.shape[2] > samples:
        raise ValueError(
            f"{x.shape[2]} samples a lead, but the tokenizer reads {samples} at {RATE} Hz "
            f"({samples / RATE:g} s); resample or crop the ECG"
        )
    if not torch.isfinite(x).all():
        wrong = int((~torch.isfinite(x)).sum())
        raise ValueError(f"{wrong} samples are not finite; clean the ECG first")


def silenced(x: torch.Tensor, n_valid: torch.Tensor | None) -> torch.Tensor:
    """x (B, 12, n) with zeros from n_valid (B,) on; unchanged without n_valid."""
    if n_valid is None:
        return x
    inside = torch.arange(x.shape[2], device=x.device) < n_valid.to(x.device)[:, None]
    return torch.where(inside[:, None], x, 0.0)


def check_codes(codes: torch.Tensor, codewords: int) -> None:
    """Raise ValueError for a code that is no row of the codebook."""
    outside = codes[(codes < 0) | (codes >= codewords)]
    if len(outside):
        raise ValueError(f"code {int(outside[0])} is outside the codebook of {codewords} codewords")


def save_model(model: nn.Module, config: dict, folder: Path) -> None:
    """Weights as `model.safetensors`, everything that rebuilds the model as `config.json`."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: t.detach().cpu().contiguous() for name, t in model.state_dict().items()}
    save_file(tensors, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(config, indent=1, sort_keys=True))


def read_config(folder: Path) -> dict:
    """`config.json` of a saved model.

    Raises:
        FileNotFoundError: where it is missing.
        ValueError: where it is no JSON object.
    """
    path = folder / "config.json"
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing; give a folder that a training step wrote")
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is damaged ({error}); train the tokenizer again") from error
    if not isinstance(config, dict):
        raise ValueError(f"{path} holds no settings; train the tokenizer again")
    return config


def load_weights(model: nn.Module, folder: Path) -> None:
    """Strictly load `model.safetensors`.

    Raises:
        FileNotFoundError: where it is missing.
        ValueError: where it is damaged or belongs to a model of other sizes.
    """
    path = folder / "model.safetensors"
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing; give a folder that a training step wrote")
    try:
        model.load_state_dict(load_file(path))
    except (SafetensorError, RuntimeError) as error:
        first = str(error).splitlines()[0]
        raise ValueError(f"{path} is damaged ({first}); train the tokenizer again") from error
