"""ECG-Tok's adapter behind a long instruction: the same words in front of every ECG.

ECG-Tok's paper suspects that the words of an instruction dilute the ECG where few tokens stand for
it. The words here say nothing about an ECG. They are embedded by the base and not trained, so they
change how much text the model reads in front of the ECG, and nothing else.
"""

import shutil
from pathlib import Path

import torch

from ecglib.language import base as base_model
from ecglib.language.adapter import Adapter
from ecglib.language.system import full_lengths, load_prefix, save_prefix
from ecglib.language.train_system import BUDGET
from ecglib.training.device import Machine


class LongPrompt(Adapter):
    """(B, T, D) latents -> (B, pieces + vectors, d_llm).

    Args:
        pieces: word pieces in front of the ECG; their embeddings are the buffer `words`.
        sizes: as of `Adapter`.
    """

    kind = "long_prompt"

    def __init__(self, pieces: int, **sizes):
        super().__init__(**sizes)
        self.config |= {"pieces": pieces}
        self.front, self.positions = pieces, pieces + sizes["vectors"]
        self.register_buffer("words", torch.zeros(pieces, sizes["width"]))

    def forward(self, z: torch.Tensor, lengths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """z (B, T, D), lengths (B,) valid positions -> (B, pieces + vectors, d_llm), (B,)."""
        vectors, _ = super().forward(z, lengths)
        words = self.words.to(vectors.dtype).expand(len(vectors), -1, -1)
        embeddings = torch.cat([words, vectors], 1)
        return embeddings, full_lengths(embeddings)


Prefix = LongPrompt


def put_in_front(
    out: Path, inputs: dict[str, Path], config: dict, seed: int, machine: Machine
) -> None:
    """Step: the adapter of another system, with words in front of it.

    Config:
        text: the words.

    Inputs:
        base: the prepared language model.
        prefix: an adapter, warmed up or not.
    """
    machine.configure_torch()
    base, adapter = base_model.load(inputs["base"], machine), load_prefix(inputs["prefix"])
    pieces = torch.tensor(base.encode(config["text"]), device=machine.device)
    prefix = LongPrompt(pieces=len(pieces), **adapter.config)
    prefix.load_state_dict(adapter.state_dict(), strict=False)  # all but the words
    with torch.no_grad():
        prefix.words.copy_(base.model.get_input_embeddings()(pieces).float())
    save_prefix(prefix, out)
    if (inputs["prefix"] / BUDGET).exists():
        shutil.copyfile(inputs["prefix"] / BUDGET, out / BUDGET)
