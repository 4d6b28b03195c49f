"""Seeds that depend on names, not on call order: a new draw in one place shifts no other."""

import hashlib

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
    """`size` different row numbers out of `n_rows`, int64 (size,); all where there are fewer."""
    return torch.randperm(n_rows, generator=generator(seed, *names))[:size]
