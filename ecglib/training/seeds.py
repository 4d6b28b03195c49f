"""Seeds that depend on names, not on the order of calls: a new draw changes no other draw."""

import hashlib
from collections.abc import Callable
from functools import lru_cache, partial

import torch


def sub_seed(seed: int, *names: object) -> int:
    """A 63-bit seed derived from `seed` and a path of names, for example (0, "rvq", "step", 17).

    The same arguments give the same number on every machine and in every process.
    """
    text = "/".join([str(int(seed)), *(str(name) for name in names)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator(seed: int, *names: object) -> torch.Generator:
    """A CPU generator seeded by `sub_seed(seed, *names)`."""
    return torch.Generator().manual_seed(sub_seed(seed, *names))


def draw_rows(n_rows: int, size: int, seed: int, *names: object) -> torch.Tensor:
    """Draw `size` different numbers below `n_rows`, int64 (size,); all of them if there are fewer.

    Each call draws anew: over several steps, some rows come several times and others never.
    """
    return torch.randperm(n_rows, generator=generator(seed, *names))[:size]


def epoch_rows(n_rows: int, size: int, step: int, seed: int, *names: object) -> torch.Tensor:
    """The numbers of update `step` in a walk through epochs, int64 (size,).

    An epoch is a permutation of all numbers below `n_rows`, so each comes once before any comes
    again. A batch at the end of an epoch is filled up from the next one.
    """

    return walk(partial(_order, n_rows, seed, names), n_rows, size, step)


@lru_cache(maxsize=4)  # of millions of vectors, an order takes as long as an update
def _order(n_rows: int, seed: int, names: tuple, epoch: int) -> torch.Tensor:
    """The permutation of an epoch."""
    return torch.randperm(n_rows, generator=generator(seed, *names, "epoch", epoch))


def walk(
    order_of: Callable[[int], torch.Tensor], n_rows: int, size: int, step: int
) -> torch.Tensor:
    """The numbers of update `step` in a walk through epochs whose orders (n_rows,) are given."""
    first, parts = step * size, []
    while first < (step + 1) * size:
        epoch, begin = divmod(first, n_rows)
        parts.append(order_of(epoch)[begin : begin + (step + 1) * size - first])
        first += len(parts[-1])
    return torch.cat(parts)
