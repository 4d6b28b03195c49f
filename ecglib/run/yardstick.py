"""Nominal seconds: clock time on a reference machine, so that budgets mean the same everywhere.

Machines of two cores differ by half, and one of them from day to day by a fifth. `work` is the
yardstick, a fixed amount of the work that trainings consist of. It is timed before and after every
step, with two threads whatever the run has. A step's nominal seconds are its seconds times (the
yardstick's time on the reference machine / its time then).

`work` and `REFERENCE_SECONDS` are frozen: a change makes all earlier nominal seconds another unit.
This file imports nothing of the library, so that no change of it can move the yardstick either.
"""

import math
import os
import time
from functools import lru_cache
from itertools import pairwise
from statistics import fmean, median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

OFF = "ECGLIB_NO_YARDSTICK"  # set: nothing is timed, and nominal seconds stay unknown
# The yardstick's seconds on the reference machine: that on which the step `rvq` of the profile
# `laptop` at commit fc0c743 takes 33.0 s. Measured on two cores, 2026-11-24: `work` in turn with
# every tenth of 900 training steps; 33.0 x time of `work` / seconds of the whole step, both by
# their medians. By other quantiles it is 18.1 to 19.6 ms.
REFERENCE_SECONDS = 0.0188
REPEATS = 5  # the median is taken; one more, before them, loads code and memory
LONGEST = 0.6  # seconds after which a busy machine repeats no more
# A reading is used again for so long. It takes 0.1 to 0.2 s, so all cost at most 1 % of a run,
# and many small steps share one reading; a machine's speed drifts over minutes.
FRESH_SECONDS = 20.0

ECGS, SAMPLES, STRIDE = 16, 2500, 4
CHANNELS = (12, 48, 96, 128)
THREADS = 2


def work(x: "torch.Tensor", weights: list["torch.Tensor"]) -> list["torch.Tensor"]:
    """The yardstick: an update's work of a small autoencoder of strided convolutions.

    It is what the reference step consists of. Matrix products alone, the first yardstick, are no
    measure: some processors have units for them that speed up little else.

    x (ECGS, 12, SAMPLES); weights, one per stride, (to, from, 2 * STRIDE). Returns their gradients.
    """
    import torch  # not above: the command line, which never measures, starts faster without it
    from torch.nn.functional import conv1d, conv_transpose1d, gelu

    hidden = x
    for weight in weights:
        hidden = gelu(conv1d(hidden, weight, stride=STRIDE, padding=STRIDE // 2))
    for weight in reversed(weights):
        hidden = gelu(conv_transpose1d(hidden, weight, stride=STRIDE, padding=STRIDE // 2))
    error = hidden - x[:, :, : hidden.shape[2]]
    return list(torch.autograd.grad(error.square().mean(), weights))


def measure(device: str) -> float:
    """Seconds of `work` in float32, the median of some, on "cpu" or "cuda".

    Draws no random number and leaves no state behind.
    """
    import torch

    def waves(*shape: int) -> torch.Tensor:
        """Fixed numbers of the size of weights."""
        count = torch.arange(math.prod(shape), dtype=torch.float32)
        return (0.05 * torch.sin(count)).reshape(shape).to(device)

    seconds, threads = [], torch.get_num_threads()
    torch.set_num_threads(THREADS)
    with torch.enable_grad():
        x = waves(ECGS, CHANNELS[0], SAMPLES)
        shapes = [(to, of, 2 * STRIDE) for of, to in pairwise(CHANNELS)]
        weights = [waves(*shape).requires_grad_() for shape in shapes]
        while len(seconds) < 2 or (len(seconds) <= REPEATS and sum(seconds) < LONGEST):
            begun = time.perf_counter()
            work(x, weights)
            if device == "cuda":
                torch.cuda.synchronize()
            seconds.append(time.perf_counter() - begun)
    torch.set_num_threads(threads)
    return median(seconds[1:])


@lru_cache(maxsize=1)
def _speed(device: str, period: float) -> float:
    return REFERENCE_SECONDS / measure(device)


def speed(device: str) -> float | None:
    """Reference time / time of the yardstick on this machine now; None if OFF is set."""
    if os.environ.get(OFF):
        return None
    return _speed(device, time.monotonic() // FRESH_SECONDS)


def nominal(seconds: float, *speeds: float | None) -> float | None:
    """Nominal seconds of work, by the mean of the speeds around it; None where one is unknown."""
    return None if None in speeds else round(seconds * fmean(speeds), 3)
