"""HeartLLM: ECG tokens become words of the language model.

Stage 1 of the paper is `tokenizers.train.train_leadwise`, stage 2 `language.pretraining`, stage 3
`language.train_system` on reports and questions with the ECG tokens in front.
"""

from pathlib import Path

import numpy as np
import torch

from ecglib.language import base as base_model
from ecglib.language.base import Base
from ecglib.language.ecg_embedding import EcgTokenEmbedding, draw_embeddings
from ecglib.language.system import save_prefix
from ecglib.tokenizers.encode import read_codes
from ecglib.tokenizers.leadwise import LeadwiseTokenizer
from ecglib.tokenizers.load import load as load_tokenizer
from ecglib.training.device import Machine


class Prefix(EcgTokenEmbedding):
    """An ECG's tokens in brackets, by their own embeddings."""

    kind = "heartllm"
    warm_up_name = "warm rows"  # seeds the generator: kept from the first version

    def read_ecgs(self, inputs: dict[str, Path], rows: np.ndarray) -> tuple[torch.Tensor]:
        """Codes of these records (N, T)."""
        return (read_codes(inputs["codes"], rows)[..., 0],)


def new_prefix(base: Base, tokenizer: LeadwiseTokenizer, start: str, seed: int) -> Prefix:
    """Untrained embeddings; `start`: grid (neighbours start alike) or independent (released).

    Raises:
        ValueError: an unknown start.
    """
    if start not in ("grid", "independent"):
        raise ValueError(f"expected embeddings that start from grid or independent, got {start!r}")
    prefix = Prefix(tokenizer.fsq.codewords, base.width)
    grid = (
        tokenizer.fsq.codes_to_grid(torch.arange(tokenizer.fsq.codewords))
        if start == "grid"
        else None
    )
    draw_embeddings(prefix, base.model.get_input_embeddings().weight, grid, seed)
    return prefix


def initialise(
    out: Path, inputs: dict[str, Path], config: dict, seed: int, machine: Machine
) -> None:
    """Step: ECG-token embeddings as they are drawn, without LoRA: the untrained model.

    Config:
        start: grid (neighbours on the FSQ grid start alike) or independent (as released).

    Inputs: tokenizer (lead-wise), base.
    """
    machine.configure_torch()
    base = base_model.load(inputs["base"], machine)
    save_prefix(new_prefix(base, load_tokenizer(inputs["tokenizer"]), config["start"], seed), out)
