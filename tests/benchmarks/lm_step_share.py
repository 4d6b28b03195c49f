"""How much of a small language model's training step is matrix products at full speed.

    bash run_all.sh bench lm_step_share

A step is one of `training.loop.fit`: forward and backward pass of `packing.answer_loss` and the
update of all 3.7 million weights, for 16 ECGs, each with a report and six questions behind a prefix
of 12 positions (ECG-Tok) or 160 (HeartLLM). Its share is its rate of floating-point operations
(counted by torch) over that of the products of its linear layers alone, forward and backward, at
their shapes and in their number format, each at its best. Both are the best of some repeats that
take turns in one process.

`value` is the share in float32, where products and all that is between them run on the same units
of the processor, at the prefix where it is lower. Some processors have units for products in
bfloat16, several times as fast. There the products nearly vanish, the rest does not, and the share
falls, although the step takes less time: `share_in_bfloat16` says so.

`steps` has each prefix and number format, and beside it what the same step takes with the forward
pass of transformers, on rows that are packed up to 128 tokens. `largest_difference` is that of the
two losses of the first step in float32.
"""

import tempfile
import time
from itertools import pairwise
from pathlib import Path

import torch
from _common import write
from _small_llama import WIDTH, answer_losses, llama, train
from torch.utils.flop_counter import FlopCounterMode

from ecglib.language import packed_llama
from ecglib.training.device import Machine, choose_machine

REPEATS, STEPS, LEAST = 6, 5, 0.4
SHAPES = {(WIDTH, WIDTH): 4, (WIDTH, 3 * WIDTH): 2, (3 * WIDTH, WIDTH): 1}  # of a layer: in, out
OURS = packed_llama.computes


def use(way: str) -> None:
    """Choose the forward pass: ours or transformers."""
    packed_llama.computes = OURS if way == "ours" else lambda core, device: False


class Step:
    """The step at one prefix length and number format, by one of the two ways."""

    def __init__(self, positions: int, machine: Machine, way: str):
        self.model, self.way = llama(), way
        self.loss_at = answer_losses(self.model, positions, machine)
        use(way)
        with FlopCounterMode(display=False) as counter:
            loss = self.loss_at(0)[0]()
            loss.backward()
        self.first_loss, self.flops = loss.item(), counter.get_total_flops()
        self.seconds = float("inf")

    def repeat(self) -> None:
        """Some steps; the best one counts."""
        begun: list[float] = []

        def loss_at(step: int) -> list:
            begun.append(time.perf_counter())
            return self.loss_at(0)  # always the same work

        use(self.way)
        with tempfile.TemporaryDirectory() as folder:
            train(self.model, loss_at, STEPS, Path(folder))
        times = [after - before for before, after in pairwise(begun)]
        self.seconds = min(self.seconds, *times)


class Products:
    """The products of the linear layers for some tokens, forward and backward."""

    def __init__(self, tokens: int, dtype: torch.dtype):
        self.best: dict[tuple, float] = {}
        self.operands = {
            shape: [torch.randn(size).to(dtype) for size in sizes]
            for shape in SHAPES
            for sizes in [((tokens, shape[0]), (shape[1], shape[0]), (tokens, shape[1]))]
        }
        self.tokens = tokens

    def repeat(self) -> None:
        """Each product some times; the best one counts."""
        for shape, (x, weight, gradient) in self.operands.items():
            calls = {
                "output": lambda x=x, weight=weight: torch.nn.functional.linear(x, weight),
                "input": lambda weight=weight, gradient=gradient: gradient @ weight,
                "weight": lambda x=x, gradient=gradient: gradient.T @ x,
            }
            for name, call in calls.items():
                for _ in range(STEPS):
                    begun = time.perf_counter()
                    call()
                    taken = time.perf_counter() - begun
                    self.best[shape, name] = min(self.best.get((shape, name), taken), taken)

    @property
    def rate(self) -> float:
        """Operations per second of a layer's products."""
        flops = sum(3 * count * 2 * self.tokens * i * o for (i, o), count in SHAPES.items())
        seconds = sum(SHAPES[shape] * taken for (shape, _), taken in self.best.items())
        return flops / seconds


def main() -> None:
    """Measure, print and write reports/benchmarks/lm_step_share.json."""
    chosen = choose_machine({"device": "cpu", "dtype": "auto", "threads": 2})
    rows, difference = [], 0.0
    for dtype in ("bfloat16", "float32"):
        machine = Machine("cpu", dtype, 2, "a benchmark")
        machine.configure_torch()
        for positions, tokens in ((12, 2100), (160, 4500)):
            ways = {way: Step(positions, machine, way) for way in ("ours", "transformers")}
            products = Products(tokens, machine.torch_dtype)
            for _ in range(REPEATS):
                for measured in (products, *ways.values()):
                    measured.repeat()
            ours, theirs = ways.values()
            if dtype == "float32":
                difference = max(difference, abs(ours.first_loss - theirs.first_loss))
            rate = ours.flops / ours.seconds
            rows.append(
                {
                    "dtype": dtype,
                    "prefix": positions,
                    "share": rate / products.rate,
                    "tflops_per_second": rate / 1e12,
                    "products_tflops_per_second": products.rate / 1e12,
                    "milliseconds": 1000 * ours.seconds,
                    "milliseconds_with_transformers": 1000 * theirs.seconds,
                }
            )
    lowest = {
        dtype: min(row["share"] for row in rows if row["dtype"] == dtype)
        for dtype in ("bfloat16", "float32")
    }
    share = lowest["float32"]
    result = {
        "value": share,
        "unit": "operations per second of a training step over those of its products, in float32",
        "reference": {"what": "the least asked", "value": LEAST},
        "ratio": share / LEAST,
        "share_in_bfloat16": lowest["bfloat16"],
        "format_that_the_machine_chooses": chosen.dtype,
        "largest_difference": difference,
        "threads": chosen.threads,
        "steps": rows,
    }
    write("lm_step_share", result, ("torch", "transformers"))


if __name__ == "__main__":
    main()
