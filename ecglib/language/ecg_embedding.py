"""The extended vocabulary: one new embedding per ECG token, and two brackets.

    token ids: 0 .. K-1 the codes, K = <start_ecg>, K + 1 = <end_ecg>

The new embeddings are kept apart from the model's own matrix, which stays frozen: training only
them equals the released practice of training all and restoring those of the text. They are tied:
the same vectors embed a code and score it.
"""

import torch
from torch import nn

from ecglib.language.system import full_lengths
from ecglib.training.seeds import generator

SEED_NAME = (
    "rows"  # seeds the generator: kept from the first version, so that results stay the same
)


class EcgTokenEmbedding(nn.Module):
    """`codewords` + 2 vectors of d_llm numbers."""

    def __init__(self, codewords: int, width: int):
        super().__init__()
        self.config = {"codewords": codewords, "width": width}
        self.codewords = codewords
        self.weight = nn.Parameter(torch.zeros(codewords + 2, width))

    @property
    def start_id(self) -> int:
        """The token <start_ecg>."""
        return self.codewords

    @property
    def end_id(self) -> int:
        """The token <end_ecg>."""
        return self.codewords + 1

    def bracket(self, codes: torch.Tensor) -> torch.Tensor:
        """codes (B, T) -> token ids (B, T + 2): <start_ecg> codes <end_ecg>."""
        edge = codes.new_ones(len(codes), 1)
        return torch.cat([self.start_id * edge, codes, self.end_id * edge], 1)

    def embed(self, ids: torch.Tensor) -> torch.Tensor:
        """token ids (...) -> input embeddings (..., d_llm)."""
        return nn.functional.embedding(ids, self.weight)

    def embed_ecg(self, codes: torch.Tensor) -> torch.Tensor:
        """codes (B, T) -> input embeddings (B, T + 2, d_llm), brackets included."""
        return self.embed(self.bracket(codes))

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """hidden (..., d_llm) -> scores of the new tokens (..., K + 2)."""
        return hidden @ self.weight.to(hidden.dtype).T

    def forward(self, codes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """codes (B, T) -> the prefix (B, T + 2, d_llm), (B,).

        Padding tokens of a short recording stay inside the brackets, as in pretraining.
        """
        embeddings = self.embed_ecg(codes)
        return embeddings, full_lengths(embeddings)

    def finding_vectors(self, codes: torch.Tensor) -> torch.Tensor:
        """The mean embedding of an ECG's codes, without brackets: (B, 1, d_llm)."""
        return self.embed(codes).mean(1, keepdim=True)


@torch.no_grad()
def draw_embeddings(
    embedding: EcgTokenEmbedding, text: torch.Tensor, grid: torch.Tensor | None, seed: int
) -> None:
    """Draw the vectors from N(mean, covariance) of the text embeddings (the library default that
    the released code relies on), or let neighbours on the FSQ grid start as neighbours.

    Args:
        text: (V, d) the model's token embeddings.
        grid: None for independent vectors; else (K, dims) the codes' grid points in [0, 1]:
            vector_k = mean + sum_d (2 g_kd - 1) u_d + a tenth of an independent draw, with u_d
            drawn like the vectors, scaled so that a vector has the text's variance.
    """
    source = text.float().cpu()
    mean, n = source.mean(0), len(source)
    centred = source - mean
    draw = generator(seed, SEED_NAME)

    def gaussian(count: int) -> torch.Tensor:
        """Samples of N(0, cov): random combinations of the centred text embeddings."""
        return torch.randn(count, n, generator=draw) @ centred / n**0.5

    independent = gaussian(len(embedding.weight))
    if grid is not None:
        axes = gaussian(grid.shape[1])
        levels = 2 * grid.float() - 1
        shared = levels @ axes / levels.square().mean(0).sum().sqrt()
        independent[: len(grid)] = shared + 0.1 * independent[: len(grid)]
    embedding.weight.copy_(mean + independent)
