"""Plain against fused attention in one CPU training step of the small language model.

    bash run_all.sh bench attention_cpu

Why `ecglib.language.base.load` asks for plain attention on a CPU. Both are timed in turn in one
process on the same packed batch; `largest_difference` is that of the two losses. The model is the
asset smollm2, which `bash run_all.sh --prefetch` fetches.
"""

import time

import torch
from _common import write
from _small_model import small_model

from ecglib.language.packing import Text, answer_loss, collate


def step_seconds(model: torch.nn.Module, repeats: int) -> tuple[list[float], float]:
    """Seconds of each step (16 rows of 8 + 20 tokens, forward and backward), and the loss."""
    prefix = torch.randn(16, 8, 576, generator=torch.Generator().manual_seed(0)) * 0.1
    texts = [[Text([5, 6, 7], list(range(100 + i, 118 + i)))] for i in range(16)]
    times = []
    for _ in range(repeats):
        begun = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16):
            embeddings = prefix.clone().requires_grad_()
            full = torch.full((16,), 8)
            loss = answer_loss(model, embeddings, full, collate(texts, 2), 16 * 18)
        loss.backward()
        times.append(time.perf_counter() - begun)
    return times, float(loss)


def main() -> None:
    """Measure, print and write reports/benchmarks/attention_cpu.json."""
    with small_model() as (model, machine):
        best, losses = {}, {}
        for _ in range(3):  # in turn, so that a slow moment of the machine meets both
            for kind in ("eager", "sdpa"):
                model.get_base_model().set_attn_implementation(kind)
                times, losses[kind] = step_seconds(model, 3)
                best[kind] = min([best.get(kind, 1e9), *times])
    result = {
        "value": best["eager"],
        "unit": "seconds per step",
        "reference": {"what": "transformers, attn_implementation=sdpa", "value": best["sdpa"]},
        "ratio": best["sdpa"] / best["eager"],
        "largest_difference": abs(losses["eager"] - losses["sdpa"]),
        "threads": machine.threads,
        "dtype": "bfloat16",
    }
    write("attention_cpu", result, ("torch", "transformers"))


if __name__ == "__main__":
    main()
