"""HeartLLM: ECG tokens become words of the language model, with one new embedding each.

    token ids: 0 .. K-1 the codes, K = <start_ecg>, K + 1 = <end_ecg>

Stage 1 of the paper is `tokenizers.train.train_leadwise`, stage 2 `language.next_tokens`, stage 3
`language.train_system` on reports and questions with the ECG tokens in front.
"""

from pathlib import Path

import numpy as np
import torch
from torch import nn

from ecglib.cohorts.store import Cohort
from ecglib.language import base as base_model
from ecglib.language.base import Base
from ecglib.language.system import Shapes, draw_prefix, full_lengths, save_prefix
from ecglib.tokenizers.encode import read_codes
from ecglib.tokenizers.leadwise import LeadwiseTokenizer
from ecglib.tokenizers.load import load as load_tokenizer
from ecglib.training import seeds
from ecglib.training.device import Machine


class EcgTokenEmbedding(nn.Module):
    """The extended vocabulary: `codewords` + 2 vectors of d_llm numbers.

    They are kept apart from the model's own matrix. Training only them equals the released practice
    of training all and restoring those of the text. They are tied: the same vectors embed a code
    and score it, here with a bias.

    Args:
        codewords: K; width: d_llm; tokens: per ECG.
        levels, dims: of FSQ. Each level of each of its numbers has a vector, and a code is the sum
            of those of its levels and of one of its own. With 0 levels it has only its own.
    """

    kind = "heartllm"

    def __init__(self, codewords: int, width: int, tokens: int, levels: int = 0, dims: int = 0):
        super().__init__()
        self.config = {"codewords": codewords, "width": width, "tokens": tokens}
        self.config |= {"levels": levels, "dims": dims}
        self.codewords, self.positions = codewords, tokens + 2  # with <start_ecg> and <end_ecg>
        self.own = nn.Parameter(torch.zeros(codewords + 2, width))
        self.of_levels = nn.Parameter(torch.zeros(dims, levels, width))
        self.bias = nn.Parameter(torch.zeros(codewords + 2))  # of the scores

    @classmethod
    def build(cls, config: dict, shapes: Shapes) -> "EcgTokenEmbedding":
        """One of zeros, to be drawn by `draw_embeddings`."""
        grid = {key: config.get(key, 0) for key in ("levels", "dims")}
        return cls(shapes.codewords, shapes.width, shapes.positions, **grid)

    def read_ecgs(self, inputs: dict[str, Path], rows: np.ndarray) -> tuple[torch.Tensor]:
        """Codes of these records (N, T)."""
        return (read_codes(inputs["codes"], rows)[..., 0],)

    @property
    def weight(self) -> torch.Tensor:
        """The vectors of the codes and of the two brackets: (K + 2, d_llm)."""
        if not len(self.of_levels):
            return self.own
        shared = torch.zeros_like(self.own[:1])
        for of_number in self.of_levels:  # code = sum_d level_d levels^d, so the first is fastest
            shared = (of_number[:, None] + shared).flatten(0, 1)
        return torch.cat([self.own[:-2] + shared, self.own[-2:]])

    def bracket(self, codes: torch.Tensor) -> torch.Tensor:
        """codes (B, T) -> token ids (B, T + 2): <start_ecg> codes <end_ecg>."""
        edge = codes.new_full((len(codes), 1), self.codewords)
        return torch.cat([edge, codes, edge + 1], 1)

    def embed(self, ids: torch.Tensor) -> torch.Tensor:
        """token ids (...) -> input embeddings (..., d_llm)."""
        return nn.functional.embedding(ids, self.weight)

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """hidden (..., d_llm) -> scores of the new tokens (..., K + 2)."""
        return hidden @ self.weight.to(hidden.dtype).T + self.bias

    def forward(self, codes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """codes (B, T) -> the prefix (B, T + 2, d_llm), brackets included, and its lengths (B,).

        Padding tokens of a short recording stay inside the brackets, as in pretraining.
        """
        embeddings = self.embed(self.bracket(codes))
        return embeddings, full_lengths(embeddings)


Prefix = EcgTokenEmbedding


@torch.no_grad()
def draw_embeddings(embedding: EcgTokenEmbedding, text: torch.Tensor, seed: int) -> None:
    """Draw vectors from N(mean, covariance) of the text embeddings (V, d).

    This is the documented rule of the library default that the released code relies on. In the
    version that it pins, a faulty check copies the mean instead, and later versions scale the
    covariance by 1e-9. So the released vectors start equal or nearly so.

    With levels, neighbours on the FSQ grid start as neighbours: the vectors of the levels of each
    number lie on a line, their sum has the text's variance, and a tenth of an independent draw
    comes on top.
    """
    source = text.float().cpu()
    mean, n = source.mean(0), len(source)
    draw = seeds.generator(seed, "ECG-token embeddings")

    def gaussian(count: int) -> torch.Tensor:
        """Samples of N(0, cov): random combinations of the centred text embeddings."""
        return torch.randn(count, n, generator=draw) @ (source - mean) / n**0.5

    dims, levels, _ = embedding.of_levels.shape
    embedding.own.copy_(mean + gaussian(len(embedding.own)))
    if dims:
        place = torch.linspace(-1, 1, levels)
        axes = gaussian(dims)[:, None] / (dims * place.square().mean()) ** 0.5
        embedding.of_levels.copy_(place[:, None] * axes)
        embedding.own[:-2] = mean + 0.1 * (embedding.own[:-2] - mean)


def new_prefix(
    base: Base, tokenizer: LeadwiseTokenizer, neighbours: str, seed: int
) -> EcgTokenEmbedding:
    """Untrained embeddings; `neighbours`: grid (on the FSQ grid they start alike) or independent
    (the documented rule). Raises ValueError: another word."""
    if neighbours not in ("grid", "independent"):
        raise ValueError(f"expected neighbours grid or independent, got {neighbours!r}")
    fsq = tokenizer.fsq
    sizes = {"levels": fsq.levels, "dims": fsq.dims} if neighbours == "grid" else {}
    prefix = draw_prefix(EcgTokenEmbedding, base, tokenizer, sizes, seed)
    draw_embeddings(prefix, base.model.get_input_embeddings().weight, seed)
    return prefix


def initialise(
    out: Path, inputs: dict[str, Path], config: dict, seed: int, machine: Machine
) -> None:
    """Step: ECG-token embeddings as they are drawn, without LoRA: the untrained model. The bias of
    each score is the logarithm of how often the code occurs in training.

    Config:
        neighbours: grid (codes that are neighbours on the FSQ grid start alike) or independent
            (the documented rule of the release's library, see `draw_embeddings`).

    Inputs: cohort, base, tokenizer (lead-wise), codes.
    """
    machine.configure_torch()
    base, tokenizer = base_model.load(inputs["base"], machine), load_tokenizer(inputs["tokenizer"])
    prefix = new_prefix(base, tokenizer, config["neighbours"], seed)
    codes = read_codes(inputs["codes"], Cohort.open(inputs["cohort"]).rows("train"))
    uses = torch.bincount(codes.flatten(), minlength=prefix.codewords) + 1.0
    prefix.bias.data[:-2] = (uses / uses.sum()).log()
    prefix.bias.data[-2:] = prefix.bias.data[:-2].min()  # a bracket never follows
    save_prefix(prefix, out)
