"""Warm-up targets that a language model already knows: the words that name the findings."""

from collections.abc import Iterable

import torch
from torch import nn

from ecglib.labels.findings import FINDINGS
from ecglib.labels.label_set import ABSENT, PRESENT
from ecglib.labels.labeller import read_findings
from ecglib.language.base import Base


def mentioned(reports: Iterable[str]) -> torch.Tensor:
    """What reports state as present, read by the rule labeller: float32 (reports, findings)."""
    said = [read_findings(report) for report in reports]
    return torch.tensor([[float(s.get(i, ABSENT) == PRESENT) for i in FINDINGS] for s in said])


def directions(base: Base) -> torch.Tensor:
    """One unit vector a finding, orthogonal to the others: (findings, d_llm).

    The mean embedding of its name's tokens; then the nearest set of orthogonal vectors (U V^T of
    the singular value decomposition), since names share words: with "left" in four of them, one
    finding would otherwise half name the other three.
    """
    embedding = base.model.get_input_embeddings().weight.detach().float()
    names = [base.ids(" " + finding.name) for finding in FINDINGS.values()]
    means = torch.stack([embedding[ids].mean(0) for ids in names])
    u, _, v = torch.linalg.svd(means, full_matrices=False)
    return u @ v


class Naming(nn.Module):
    """Says which findings some vectors name: logit_j = <v_s(j) / scale, word_j> / 4 + b_j.

    The directions are fixed, so what learns are the vectors: they move towards the words of the
    findings that they stand for, about half of a word's length each. A language model that copies
    words from its context needs little training to say them.

    With several vectors each has its own findings, s(j), in the order in which reports state them:
    the first rhythms, the last what comes last.

    Args:
        words: (findings, d_llm) from `directions`; scale: root mean square of word embeddings.
        slots: how many vectors there are.
    """

    def __init__(self, words: torch.Tensor, scale: float, slots: int = 1):
        super().__init__()
        self.register_buffer("words", words)
        self.register_buffer("slot", torch.arange(len(FINDINGS)) * slots // len(FINDINGS))
        self.bias = nn.Parameter(torch.full((len(words),), -2.0))
        self.scale = scale

    def forward(self, vectors: torch.Tensor, said: torch.Tensor) -> torch.Tensor:
        """Binary cross-entropy of (B, slots, d_llm) against what reports say, (B, findings)."""
        own = vectors.float()[:, self.slot] / self.scale  # (B, findings, d_llm)
        logits = 0.25 * (own * self.words).sum(-1) + self.bias
        return nn.functional.binary_cross_entropy_with_logits(logits, said)
