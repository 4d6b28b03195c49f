"""Packed rows against padded sequences in a CPU training step of the language model.

    bash run_all.sh bench packed_lines

Why `ecglib.language.packing` packs short sequences into rows of about PACK_LENGTH tokens. Sixteen
reports, as long as those of the simulated hospitals, follow twelve prefix vectors each, in three
ways that take turns in one process: packed (`lines`), in two micro-batches sorted by length
(`halves`), and all padded to the longest. `largest_difference` is that of their losses. The model
is the asset smollm2, which `bash run_all.sh --prefetch` fetches.
"""

import time
from functools import partial

import numpy as np
import torch
from _common import write
from _small_model import small_model

from ecglib.language import packing
from ecglib.language.packing import Text, answer_loss, assign_bins, collate, microbatches

BATCH, PREFIX, STEPS = 16, 12, 6
# tokens per packed row, parts
WAYS = {"lines": (packing.PACK_LENGTH, 1), "halves": (1, 2), "padded": (1, 1)}


def texts(step: int) -> list[Text]:
    """Reports with a median of 14 tokens and 31 at the 95th percentile."""
    draw = np.random.default_rng(step)
    lengths = np.exp(draw.normal(np.log(14), 0.48, BATCH)).round().astype(int).clip(4, 60)
    return [Text([5, 6], [*range(100, 100 + n), 2]) for n in lengths]


def step_seconds(model: torch.nn.Module, way: str, step: int) -> tuple[float, float]:
    """Seconds of one step, forward and backward, and its loss."""
    capacity, parts = WAYS[way]
    packing.assign_bins = partial(assign_bins, capacity=capacity)
    prefix = torch.randn(BATCH, PREFIX, 576, generator=torch.Generator().manual_seed(step)) * 0.1
    batch, total = texts(step), 0.0
    scored = sum(len(text.answer) for text in batch)
    lengths = [len(text) for text in batch]
    begun = time.perf_counter()
    leaf = prefix.requires_grad_()
    for group in microbatches(list(range(BATCH)), lengths, parts):
        with torch.autocast("cpu", torch.bfloat16):
            full = torch.full((len(group),), PREFIX)
            part = collate([[batch[i]] for i in group], 2)
            loss = answer_loss(model, leaf[group], full, part, scored)
        loss.backward()
        total += float(loss.detach())
    return time.perf_counter() - begun, total


def main() -> None:
    """Measure, print and write reports/benchmarks/packed_lines.json."""
    seconds: dict[str, list[float]] = {way: [] for way in WAYS}
    difference = 0.0
    with small_model() as (model, machine):
        for step in range(-1, STEPS):  # the first is not counted
            times = {way: step_seconds(model, way, max(step, 0)) for way in WAYS}
            if step >= 0:
                for way, (time_taken, _) in times.items():
                    seconds[way].append(time_taken)
            losses = [loss for _, loss in times.values()]
            difference = max(difference, max(losses) - min(losses))
    mean = {way: float(np.mean(times)) for way, times in seconds.items()}
    result = {
        "value": mean["lines"],
        "unit": "seconds per step",
        "reference": {"what": "two halves sorted by length", "value": mean["halves"]},
        "ratio": mean["halves"] / mean["lines"],
        "padded_ratio": mean["padded"] / mean["lines"],
        "largest_difference": difference,
        "threads": machine.threads,
        "dtype": "bfloat16",
    }
    write("packed_lines", result, ("torch", "transformers"))


if __name__ == "__main__":
    main()
