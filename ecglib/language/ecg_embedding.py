"""The extended vocabulary of HeartLLM: one new embedding row an ECG code, and two brackets.

    row ids: 0 .. K-1 the codes, K = <start_ecg>, K + 1 = <end_ecg>
The rows live beside the model's own matrix, which stays frozen: training only them equals the
released practice of training everything and restoring the text rows. They are tied: the same rows
embed a code and score it.
"""

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from ecglib.training.seeds import generator


class EcgRows(nn.Module):
    """`codewords` + 2 rows of d_llm numbers."""

    def __init__(self, codewords: int, width: int):
        super().__init__()
        self.codewords = codewords
        self.weight = nn.Parameter(torch.zeros(codewords + 2, width))

    @property
    def start(self) -> int:
        """The row of <start_ecg>."""
        return self.codewords

    @property
    def end(self) -> int:
        """The row of <end_ecg>."""
        return self.codewords + 1

    def bracket(self, codes: torch.Tensor) -> torch.Tensor:
        """codes (B, T) -> row ids (B, T + 2): <start_ecg> codes <end_ecg>."""
        edge = codes.new_ones(len(codes), 1)
        return torch.cat([self.start * edge, codes, self.end * edge], 1)

    def embed(self, ids: torch.Tensor) -> torch.Tensor:
        """row ids (...) -> input embeddings (..., d_llm)."""
        return nn.functional.embedding(ids, self.weight)

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """hidden (..., d_llm) -> scores of the new rows (..., K + 2)."""
        return hidden @ self.weight.to(hidden.dtype).T

    def save(self, folder: Path) -> None:
        """Write `rows.safetensors`."""
        save_file({"weight": self.weight.detach().cpu().contiguous()}, folder / "rows.safetensors")


def load_rows(folder: Path) -> EcgRows:
    """Read back what `EcgRows.save` wrote."""
    weight = load_file(folder / "rows.safetensors")["weight"]
    rows = EcgRows(len(weight) - 2, weight.shape[1])
    rows.weight.data.copy_(weight)
    return rows


@torch.no_grad()
def initialise(rows: EcgRows, text: torch.Tensor, grid: torch.Tensor | None, seed: int) -> None:
    """Draw the rows from N(mean, covariance) of the text embeddings (the library default that the
    released code relies on), or let codes that are neighbours on the FSQ grid start as neighbours.

    Args:
        text: (V, d) the model's token embeddings.
        grid: None for independent rows; else (K, dims) the codes' grid points in [0, 1]:
            row_k = mean + sum_d (2 g_kd - 1) u_d + a tenth of an independent draw, with u_d drawn
            like the rows, scaled so that a row has the text's variance.
    """
    source = text.float().cpu()
    mean, n = source.mean(0), len(source)
    spread = source - mean
    draw = generator(seed, "rows")

    def gaussian(count: int) -> torch.Tensor:
        """Samples of N(0, cov): random combinations of the centred text rows."""
        return torch.randn(count, n, generator=draw) @ spread / n**0.5

    independent = gaussian(len(rows.weight))
    if grid is not None:
        axes = gaussian(grid.shape[1])
        levels = 2 * grid.float() - 1
        shared = levels @ axes / levels.square().mean(0).sum().sqrt()
        independent[: len(grid)] = shared + 0.1 * independent[: len(grid)]
    rows.weight.copy_(mean + independent)
