"""Several processes that train one model, each on some micro-batches of every update.

`torchrun` starts them (`ecglib.run.torchrun`), and each executes the same step on the same inputs.
Of n processes, process r takes the micro-batches r, r + n, r + 2n, ... of an update. The gradients
of all are added up before the optimiser moves. So each process holds the gradient of the whole
batch and makes the same update. An update of one micro-batch is the work of one process, for which
the others wait.
"""

from collections.abc import Sequence
from typing import TypeVar

import torch
from torch import distributed, nn

T = TypeVar("T")


def count() -> int:
    """How many processes train together; 1 where torchrun did not start them."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def rank() -> int:
    """The number of this process, from 0."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def own(micro_batches: Sequence[T]) -> Sequence[T]:
    """Those micro-batches of an update that this process computes."""
    return micro_batches[rank() :: count()]


def total(value: float, device: str | torch.device) -> float:
    """The sum of a number over all processes."""
    if count() == 1:
        return value
    numbers = torch.tensor([value], dtype=torch.float64, device=device)
    distributed.all_reduce(numbers)
    return numbers.item()


def add_gradients(parameters: Sequence[nn.Parameter]) -> None:
    """Replace the gradient of each parameter by its sum over all processes. A parameter that no
    process has a gradient of keeps none, so that the optimiser leaves it alone."""
    if count() == 1:
        return
    has = torch.tensor([p.grad is not None for p in parameters], device=parameters[0].device)
    has = has.int()
    distributed.all_reduce(has, distributed.ReduceOp.MAX)
    for parameter, is_there in zip(parameters, has.tolist(), strict=True):
        if is_there:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            distributed.all_reduce(parameter.grad)
