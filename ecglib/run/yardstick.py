"""Nominal seconds: clock time on a reference machine, so that budgets mean the same everywhere.

Machines of two cores differ by half, and one of them from day to day by a fifth. `work` is the
yardstick, a fixed amount of the work that trainings consist of. It is timed before and after every
step, in the run's number format and with its threads. A step's nominal seconds are its seconds
times (the yardstick's time on the reference machine / its time then).

`work` and `REFERENCE_SECONDS` are frozen: a change makes all earlier nominal seconds another unit.
This file imports nothing of the library, so that no change of it can move the yardstick either.
"""

import os
import time
from functools import lru_cache
from statistics import fmean, median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

OFF = "ECGLIB_NO_YARDSTICK"  # set: nothing is timed, and nominal seconds stay unknown
# The yardstick's seconds, by number format, on the reference machine: that on which the step `rvq`
# of the profile `laptop` at commit fc0c743 takes 33.0 s. Measured on two cores, 2026-11-22: `work`
# in turn with each of 110 training steps; 33.0 x time of `work` / seconds of the whole step, both
# by their medians. By other quantiles it is 30.9 to 31.6 and 15.6 to 16.7 ms.
REFERENCE_SECONDS = {"float32": 0.0311, "bfloat16": 0.0161}
REPEATS = 5  # the median is taken; one more, before them, loads code and memory
LONGEST = 0.6  # seconds after which a busy machine repeats no more
# A reading is used again for so long. It takes 0.1 to 0.2 s, so all cost at most 1 % of a run,
# and many small steps share one reading; a machine's speed drifts over minutes.
FRESH_SECONDS = 20.0

ROWS, WIDTH, LAYERS = 512, 512, 4


def work(x: "torch.Tensor", up: "torch.Tensor", down: "torch.Tensor") -> "torch.Tensor":
    """The yardstick: layers of two matrix products, a bend, a sum and a normalisation.

    x (ROWS, WIDTH), up (WIDTH, 2 * WIDTH), down (2 * WIDTH, WIDTH). Returns (ROWS, WIDTH).
    """
    for _ in range(LAYERS):
        hidden = (x @ up).tanh()
        x = x + hidden @ down
        x = (x - x.mean(1, keepdim=True)) / (x.std(1, keepdim=True) + 1e-3)
    return x


def measure(device: str, dtype: str) -> float:
    """Seconds of `work`, the median of some. Draws no random number and leaves no state behind.

    Args:
        device: "cpu" or "cuda".
        dtype: "float32" or "bfloat16".
    """
    import torch  # not above: the command line, which never measures, starts faster without it

    def waves(*shape: int) -> torch.Tensor:
        """Fixed numbers of the size of weights."""
        count = torch.arange(shape[0] * shape[1], dtype=torch.float32)
        return (0.05 * torch.sin(count)).reshape(shape).to(device, getattr(torch, dtype))

    seconds = []
    with torch.inference_mode():
        x, up, down = waves(ROWS, WIDTH), waves(WIDTH, 2 * WIDTH), waves(2 * WIDTH, WIDTH)
        while len(seconds) < 2 or (len(seconds) <= REPEATS and sum(seconds) < LONGEST):
            begun = time.perf_counter()
            work(x, up, down)
            if device == "cuda":
                torch.cuda.synchronize()
            seconds.append(time.perf_counter() - begun)
    return median(seconds[1:])


@lru_cache(maxsize=1)
def _speed(device: str, dtype: str, period: float) -> float:
    return REFERENCE_SECONDS[dtype] / measure(device, dtype)


def speed(device: str, dtype: str) -> float | None:
    """Reference time / time of the yardstick on this machine now; None if OFF is set."""
    if os.environ.get(OFF):
        return None
    return _speed(device, dtype, time.monotonic() // FRESH_SECONDS)


def nominal(seconds: float, *speeds: float | None) -> float | None:
    """Nominal seconds of work, by the mean of the speeds around it; None where one is unknown."""
    return None if None in speeds else round(seconds * fmean(speeds), 3)
