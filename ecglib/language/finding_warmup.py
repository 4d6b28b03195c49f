"""Finding warm-up: a prefix learns to point to words that the language model already knows.

The targets are the findings that the training reports state, read in their text by the rule
labeller and never taken from the waveform's truth.
"""

from collections.abc import Callable, Iterable
from pathlib import Path

import torch
from torch import nn

from ecglib.cohorts.store import Cohort
from ecglib.labels.findings import FINDINGS
from ecglib.labels.label_set import ABSENT, PRESENT
from ecglib.labels.labeller import read_findings
from ecglib.language import base as base_model
from ecglib.language.base import Base
from ecglib.language.system import load_prefix, save_prefix, write_history
from ecglib.training import seeds
from ecglib.training.device import Machine
from ecglib.training.loop import Schedule, fit


def stated_findings(reports: Iterable[str]) -> torch.Tensor:
    """The findings that reports state as present: float32 (reports, findings)."""
    states = [read_findings(report) for report in reports]
    return torch.tensor([[float(s.get(i, ABSENT) == PRESENT) for i in FINDINGS] for s in states])


def finding_directions(base: Base) -> torch.Tensor:
    """One unit vector per finding, orthogonal to the others: (findings, d_llm).

    The mean embedding of its name's tokens, then the nearest set of orthogonal vectors (U V^T of
    the singular value decomposition), because names share words: four names contain "left", and
    one of these findings would otherwise half name the other three.
    """
    embedding = base.model.get_input_embeddings().weight.detach().float()
    names = [base.encode(" " + finding.name) for finding in FINDINGS.values()]
    means = torch.stack([embedding[ids].mean(0) for ids in names])
    u, _, v = torch.linalg.svd(means, full_matrices=False)
    return u @ v


class FindingHead(nn.Module):
    """Reads findings in prefix vectors: logit_j = <v_s(j) / scale, direction_j> / 4 + b_j.

    The directions are fixed, so the vectors learn: they move towards the words of their findings,
    by about half of a word's length each. A language model that copies words from its context needs
    little training to write them. With V vectors each has its own findings, s(j), in the order in
    which reports state them: the first vector has the rhythms.

    `directions`: (findings, d_llm); `scale`: root mean square of word embeddings.
    """

    def __init__(self, directions: torch.Tensor, scale: float):
        super().__init__()
        self.register_buffer("directions", directions)
        self.bias = nn.Parameter(torch.full((len(directions),), -2.0))
        self.scale = scale

    def forward(self, vectors: torch.Tensor, stated: torch.Tensor) -> torch.Tensor:
        """Binary cross-entropy of (B, V, d_llm) against what reports state, (B, findings)."""
        number = torch.arange(len(FINDINGS), device=vectors.device)
        own = vectors.float()[:, number * vectors.shape[1] // len(FINDINGS)] / self.scale
        logits = 0.25 * (own * self.directions).sum(-1) + self.bias
        return nn.functional.binary_cross_entropy_with_logits(logits, stated)


def warm_up(out: Path, inputs: dict[str, Path], config: dict, seed: int, machine: Machine) -> None:
    """Step: train the prefix of any system on the findings that the training reports state.

    The LoRA takes no part. HeartLLM's warm-up comes after its next-token pretraining: embeddings
    far from the origin would make the next-token scores, which they give too, useless at first.

    Config:
        steps: updates.
        batch: ECGs per update.
        learning_rate: of the prefix; that of the head is ten times as high.

    Inputs: cohort, base, prefix (of the system that is trained), tokenizer (optional), codes
        (optional).
    """
    machine.configure_torch()
    base = base_model.load(inputs["base"], machine)
    cohort = Cohort.open(inputs["cohort"])
    rows = cohort.rows("train")
    prefix = load_prefix(inputs["prefix"]).train().to(machine.device)
    ecgs, name = prefix.read_ecgs(inputs, rows), prefix.warm_up_name
    stated = stated_findings(cohort.records["report"].iloc[rows])
    head = FindingHead(finding_directions(base), base.embedding_scale).to(machine.device)

    def loss_at(step: int) -> list[Callable[[], torch.Tensor]]:
        """The losses of one update, as functions for `training.loop.fit`."""
        drawn = seeds.draw_rows(len(rows), config["batch"], seed, name, step)

        def loss() -> torch.Tensor:
            vectors = prefix.finding_vectors(*(part[drawn].to(machine.device) for part in ecgs))
            return head(vectors, stated[drawn].to(machine.device))

        return [loss]

    schedule = Schedule(config["steps"], warmup=min(20, config["steps"] // 4))
    rates = {"prefix": config["learning_rate"], "head": 10 * config["learning_rate"]}
    losses = fit(loss_at, {"prefix": prefix, "head": head}, rates, schedule, seed, out, name)
    save_prefix(prefix, out)
    write_history(out, losses)
