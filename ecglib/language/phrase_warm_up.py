"""Phrase warm-up (ours): a prefix learns to point to words that its training reports use.

The labels are phrases: clauses between full stops, commas or semicolons that many training reports
have in common. Whether a report has a phrase is a comparison of texts. The labeller that scores
reports has no part in it, and neither has the truth of the waveform.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import torch
from torch import nn

from ecglib.cohorts.store import Cohort
from ecglib.language import base as base_model
from ecglib.language.base import Base
from ecglib.language.system import load_prefix, save_prefix
from ecglib.language.train_system import count_flops, start_budget, write_budget, write_history
from ecglib.training import seeds
from ecglib.training.device import Machine
from ecglib.training.loop import Schedule, fit


def clauses(report: str) -> list[str]:
    """ "Sinus rhythm. Normal ECG." -> ["sinus rhythm", "normal ecg"]."""
    parts = re.split(r"[.,;\n]+(?!\d)", report.lower())
    return [" ".join(part.split()) for part in parts if part.strip()]


def common_phrases(reports: Iterable[str], least: int, most: int) -> list[str]:
    """The commonest clauses of `least` reports or more, at most `most`, in the order in which
    reports state them. Raises ValueError: no clause is so common."""
    reports = list(reports)
    counts: Counter[str] = Counter()
    places: Counter[str] = Counter()
    for report in reports:
        stated = dict.fromkeys(clauses(report))
        counts.update(stated.keys())
        places.update({phrase: place / len(stated) for place, phrase in enumerate(stated)})
    common = [phrase for phrase, count in counts.items() if count >= least]
    if not common:
        raise ValueError(
            f"expected a phrase in {least} of {len(reports)} reports, got none; lower `least`"
        )
    common = sorted(common, key=lambda phrase: (-counts[phrase], phrase))[:most]
    return sorted(common, key=lambda phrase: (places[phrase] / counts[phrase], phrase))


def has_phrases(reports: Iterable[str], phrases: list[str]) -> torch.Tensor:
    """Which report has which phrase: float32 (reports, phrases)."""
    stated = [set(clauses(report)) for report in reports]
    return torch.tensor([[float(phrase in own) for phrase in phrases] for own in stated])


def phrase_directions(base: Base, phrases: list[str]) -> torch.Tensor:
    """One unit vector per phrase, orthogonal to the others: (phrases, d_llm), at most d_llm.

    The mean embedding of its tokens, then the nearest set of orthogonal vectors (U V^T of the
    singular value decomposition), because phrases share words: four names contain "left", and one
    of these phrases would otherwise half name the other three.
    """
    embedding = base.model.get_input_embeddings().weight.detach().float()
    means = torch.stack([embedding[base.encode(" " + phrase)].mean(0) for phrase in phrases])
    u, _, v = torch.linalg.svd(means, full_matrices=False)
    return u @ v


class PhraseHead(nn.Module):
    """Reads phrases in prefix vectors: logit_j = <v_s(j) / scale, direction_j> / 4 + b_j.

    The directions are fixed, so the vectors learn: they move towards the words of their phrases.
    With V vectors each has its own phrases, s(j), in the order in which reports state them.

    `directions`: (phrases, d_llm); `scale`: root mean square of word embeddings.
    """

    def __init__(self, directions: torch.Tensor, scale: float):
        super().__init__()
        self.register_buffer("directions", directions)
        self.bias = nn.Parameter(torch.full((len(directions),), -2.0))
        self.scale = scale

    def forward(self, vectors: torch.Tensor, stated: torch.Tensor) -> torch.Tensor:
        """Binary cross-entropy of (B, V, d_llm) against what reports state, (B, phrases)."""
        number = torch.arange(len(self.directions), device=vectors.device)
        own = vectors.float()[:, number * vectors.shape[1] // len(number)] / self.scale
        logits = 0.25 * (own * self.directions).sum(-1) + self.bias
        return nn.functional.binary_cross_entropy_with_logits(logits, stated)


def warm_up(out: Path, inputs: dict[str, Path], config: dict, seed: int, machine: Machine) -> None:
    """Step: train the prefix of a system on phrases of the training reports, without the base.

    Config:
        steps: updates.
        batch: ECGs per update.
        learning_rate: of the prefix; that of the head is ten times as high.
        least: training reports that a phrase needs.
        most: phrases, at most.

    Inputs: cohort, base, prefix (of the system that is trained), tokenizer (optional), codes
        (optional).
    """
    machine.configure_torch()
    base = base_model.load(inputs["base"], machine)
    cohort = Cohort.open(inputs["cohort"])
    rows, steps = cohort.reported("train"), config["steps"]
    prefix = load_prefix(inputs["prefix"]).train().to(machine.device)
    ecgs, reports = prefix.read_ecgs(inputs, rows), cohort.records["report"].iloc[rows]
    phrases = common_phrases(reports, config["least"], min(config["most"], base.width))
    stated = has_phrases(reports, phrases)
    head = PhraseHead(phrase_directions(base, phrases), base.embedding_scale).to(machine.device)

    def loss_at(step: int) -> list[Callable[[], torch.Tensor]]:
        """The losses of one update, as functions for `training.loop.fit`."""
        drawn = seeds.epoch_rows(len(rows), config["batch"], step, seed, "phrases")

        def loss() -> torch.Tensor:
            vectors, _ = prefix(*(part[drawn].to(machine.device) for part in ecgs))
            return head(vectors, stated[drawn].to(machine.device))

        return [loss]

    flops, schedule = count_flops(loss_at(0)), Schedule(steps, warmup=min(20, steps // 4))
    rates = {"prefix": config["learning_rate"], "head": 10 * config["learning_rate"]}
    modules = {"prefix": prefix, "head": head}
    write_history(out, fit(loss_at, modules, rates, schedule, seed, out, "phrases"))
    views = steps * config["batch"]
    now = {"updates": steps, "ecg_views": views, "supervised_tokens": 0, "flops": flops * steps}
    write_budget(out, start_budget(inputs), now | {"labels": min(views, len(rows))})
    save_prefix(prefix, out)
    np.savetxt(out / "phrases.txt", phrases, fmt="%s")
