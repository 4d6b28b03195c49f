"""Micro-batches that fit into the memory: when it runs out, they are halved."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import torch

from ecglib.training import ranks

T = TypeVar("T")


@dataclass
class Parts:
    """How many micro-batches an update has.

    Attributes:
        count: micro-batches per update.
        most: ECGs per update; a micro-batch has one ECG at least.
    """

    count: int
    most: int

    @classmethod
    def of(cls, config: dict) -> "Parts":
        """Those of a step's `parts` and `batch`; at least one for each process."""
        return cls(max(config["parts"], ranks.count()), config["batch"])

    def double(self) -> bool:
        """Make each half as large; False where each has a single ECG already."""
        before, self.count = self.count, min(2 * self.count, self.most)
        return self.count > before


def within(work: Callable[[], T], parts: Parts | None, name: str, device: str | torch.device) -> T:
    """The result of `work`, done again with smaller micro-batches whenever memory runs out.

    The processes of a training agree, because all must split an update in the same way.

    Args:
        work: may be called several times; reads `parts.count`.
        parts: doubled in place; None where the work cannot be divided.
        name: of the training, for the message.

    Raises:
        torch.OutOfMemoryError: the work cannot be divided further.
    """
    while True:
        result, failure = None, ""
        try:
            result = work()
        except torch.OutOfMemoryError as error:
            failure = str(error).splitlines()[0]
        if not ranks.total(float(bool(failure)), device):
            return result
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        if parts is None or not parts.double():
            raise torch.OutOfMemoryError(
                f"{name}: no memory for one update, whose micro-batches cannot be smaller "
                f"({failure or 'of another process'}); use a smaller model or batch, or a base in "
                "4 bits"
            )
        print(
            f"{name}: out of memory, so an update has {parts.count} micro-batches from here on",
            flush=True,
        )
