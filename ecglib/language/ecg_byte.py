"""ECG-Byte as a language model: byte pairs of a short segment are words, with an embedding each.

    token ids: 0 .. K-1 the symbols, K = <start_ecg>, K + 1 = <end_ecg>

ECG-Byte, section on the language model. An ECG of 10 s has some 2,300 byte pairs (simulated ECGs,
3,500 merges). The model reads the first `seconds` of it, all leads one after another. The release
reads segments of 2 s.

The default is corrected: every symbol has a vector of its own, which is trained. In the release
new rows start as the mean of the text's and stay as they are (`released`). All are then equal, so
that the model sees how many symbols there are and not which. The authors' README says that training
the rows performed substantially worse.
"""

from pathlib import Path

import numpy as np
import torch

from ecglib.cohorts.store import Cohort
from ecglib.language import base as base_model
from ecglib.language.heartllm import EcgTokenEmbedding, draw_embeddings
from ecglib.language.system import Shapes, draw_prefix, save_prefix
from ecglib.signals.leads import RATE, SAMPLES
from ecglib.tokenizers.bpe import PADDING
from ecglib.tokenizers.encode import chunks
from ecglib.tokenizers.load import load as load_tokenizer
from ecglib.training.device import Machine


class ByteEmbedding(EcgTokenEmbedding):
    """Vectors of the symbols of a byte-pair tokenizer.

    Args:
        codewords: K symbols; width: d_llm.
        tokens: of a segment, on average over training ECGs.
        seconds: of the recording that are read.
        released: the vectors are not trained.
    """

    kind = "ecg_byte"

    def __init__(self, codewords: int, width: int, tokens: int, seconds: float, released: bool):
        super().__init__(codewords, width, tokens)
        self.config = {"codewords": codewords, "width": width, "tokens": tokens}
        self.config |= {"seconds": seconds, "released": released}
        self.own.requires_grad_(not released)

    @classmethod
    def build(cls, config: dict, shapes: Shapes) -> "ByteEmbedding":
        """One of zeros; `config` as of `initialise`."""
        tokens = round(shapes.positions * config["seconds"] * RATE / SAMPLES)
        return cls(shapes.codewords, shapes.width, tokens, config["seconds"], config["released"])

    def read_ecgs(self, inputs: dict[str, Path], rows: np.ndarray) -> tuple[torch.Tensor]:
        """Symbols of the segments of these records, (N, T), -1 behind the last one."""
        cohort, tokenizer = Cohort.open(inputs["cohort"]), load_tokenizer(inputs["tokenizer"])
        return (segments(cohort, tokenizer, rows, self.config["seconds"]),)

    def bracket(self, codes: torch.Tensor) -> torch.Tensor:
        """codes (B, T) -> token ids (B, T + 2): <start_ecg>, symbols, then <end_ecg> and, where
        symbols are lacking, more of it."""
        ids = super().bracket(codes)
        return torch.where(ids == PADDING, self.codewords + 1, ids)

    def forward(self, codes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """codes (B, T) -> the prefix (B, T + 2, d_llm), brackets included, and its lengths (B,)."""
        return self.embed(self.bracket(codes)), (codes != PADDING).sum(1) + 2


Prefix = ByteEmbedding


def segments(cohort: Cohort, tokenizer: object, rows: np.ndarray, seconds: float) -> torch.Tensor:
    """Symbols (N, T) of the first `seconds` of some records, padded with -1."""
    samples, parts = round(seconds * RATE), []
    for group, n_valid in chunks(cohort, rows):
        x = torch.from_numpy(cohort.signals(group)[..., :samples])
        parts += tokenizer.encode(x, n_valid.clamp(max=samples))[..., 0]
    return torch.nn.utils.rnn.pad_sequence(parts, batch_first=True, padding_value=PADDING)


def initialise(
    out: Path, inputs: dict[str, Path], config: dict, seed: int, machine: Machine
) -> None:
    """Step: the vectors of the symbols as they are drawn.

    Config:
        seconds: of the recording that are read.
        released: all vectors are the mean of the text's, and stay so.

    Inputs: cohort (optional), base, tokenizer (byte pairs), codes (optional).
    """
    machine.configure_torch()
    base, tokenizer = base_model.load(inputs["base"], machine), load_tokenizer(inputs["tokenizer"])
    prefix = draw_prefix(ByteEmbedding, base, tokenizer, config, seed)
    text = base.model.get_input_embeddings().weight
    draw_embeddings(prefix, text, seed)
    if config["released"]:
        prefix.own.data[:] = text.float().cpu().mean(0)
    save_prefix(prefix, out)
