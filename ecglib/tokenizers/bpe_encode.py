"""Byte-pair encoding in the order in which the merges were learned; compiled by numba.

A merge makes new pairs only with its own symbol, and these were learned later, if at all. One pass
over the merges is therefore enough, each with a list of the places of its pair.
"""

import numpy as np

from ecglib.tokenizers.bpe_runs import (
    BARRIER,
    FREE,
    cell,
    compiled,
    from_runs,
    is_pair,
    merge_pair,
    merge_run,
    neighbours,
    pair_key,
    to_runs,
    widths,
)


class MergeEncoder:
    """Applies merges in the order in which they were learned (standard byte-pair encoding).

    Args:
        merges: int32 (m, 2).
        alphabet: number of letters.
    """

    def __init__(self, merges: np.ndarray, alphabet: int):
        self.alphabet, self.merges = alphabet, np.ascontiguousarray(merges, np.int32)
        self.widths = widths(self.merges, alphabet)
        self._ranked = _rank_table(self.merges)

    def __call__(self, letters: np.ndarray) -> np.ndarray:
        """int32 (n,) from `join` -> tokens int32 (t,), barriers kept."""
        return _encode(letters, self.widths, self._ranked, self.merges)


@compiled
def _rank_table(merges):
    """Table from a pair to its merge: keys and ranks."""
    size = 64
    while size < 4 * len(merges):
        size *= 2
    keys, ranks = np.full(size, FREE, np.int64), np.zeros(size, np.int32)
    for rank in range(len(merges)):
        key = pair_key(merges[rank, 0], merges[rank, 1])
        at = cell(keys, key)
        if keys[at] == FREE:
            keys[at], ranks[at] = key, rank
    return keys, ranks


@compiled
def _remember(ranked, nodes, used, head, left, right, place):
    """Put a pair at `place` on the list of its merge, if it has one."""
    if left == BARRIER or right == BARRIER:
        return
    key = pair_key(left, right)
    at = cell(ranked[0], key)
    if ranked[0][at] == key:
        rank = ranked[1][at]
        nodes[used[0], 0], nodes[used[0], 1] = place, head[rank]
        head[rank] = used[0]
        used[0] += 1


@compiled
def _encode(letters, width, ranked, merges):
    alphabet, n = len(width) - len(merges), len(letters)
    runs = to_runs(letters, width)
    symbol, count, _, _ = runs
    nodes, used = np.empty((6 * n + 16, 2), np.int32), np.zeros(1, np.int64)
    head = np.full(len(merges), -1, np.int32)
    place = 0
    while place < n:
        s, k = symbol[place], count[place]
        if k > 1:
            _remember(ranked, nodes, used, head, s, s, place)
        place += k
        if place < n:
            _remember(ranked, nodes, used, head, s, symbol[place], place)
    for rank in range(len(merges)):
        a, b, c = merges[rank, 0], merges[rank, 1], np.int32(alphabet + rank)
        node = head[rank]
        while node >= 0:
            place, node = nodes[node, 0], nodes[node, 1]
            if not is_pair(runs, place, a, b):
                continue
            k = count[place]
            if a == b:
                start, total = place, k // 2
                end = merge_run(runs, place, a, c)
            else:
                start, total, _, _ = merge_pair(runs, place, a, b, c)
                end = start + total * width[c]
                if k > 2:
                    _remember(ranked, nodes, used, head, b, b, end)
            x, y = neighbours(runs, start, end)
            if total > 1:
                _remember(ranked, nodes, used, head, c, c, start)
            _remember(ranked, nodes, used, head, x, c, start)
            _remember(ranked, nodes, used, head, c, y, end)
    return from_runs(runs)
