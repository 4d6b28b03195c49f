"""What every tokenizer offers, and how its flat integers relate to its codes.

A tokenizer has `fit` functions (in `train.py`), and the methods
    encode(x, n_valid) -> codes (B, T, S)       decode(codes) -> (B, 12, n) mV
    embed(codes, n_valid) -> vectors (B, T, D), lengths (B,)
    ids(codes) -> (B, T * S) integers            codes_of(ids) -> codes, without loss
    rate() -> Rate                               save(folder), and `load.load(folder)`
"""

import json
import math
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import nn


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


def save_model(model: nn.Module, config: dict, folder: Path) -> None:
    """Weights as `model.safetensors`, everything that rebuilds the model as `config.json`."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: t.detach().cpu().contiguous() for name, t in model.state_dict().items()}
    save_file(tensors, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(config, indent=1, sort_keys=True))


def read_config(folder: Path) -> dict:
    """`config.json` of a saved model; a missing one is named."""
    path = folder / "config.json"
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing; give a folder that a training step wrote")
    return json.loads(path.read_text())


def load_weights(model: nn.Module, folder: Path) -> None:
    """Strictly load `model.safetensors`."""
    model.load_state_dict(load_file(folder / "model.safetensors"))
