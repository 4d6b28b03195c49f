"""The two encoders of byte pairs, compiled by numba.

`MergeEncoder` applies the merges in the order in which they were learned. A merge makes new pairs
only with its own symbol, and these were learned later, if at all. One pass over the merges is
therefore enough, each with a list of the places of its pair.

`LongestMatchEncoder` is the released encoder of ECG-Byte: from the left, always the longest symbol
that fits. It ignores the order of the merges, so it differs from standard byte-pair encoding. The
release builds its tree of symbols anew at every call; here it is built once.
"""

import numpy as np

from ecglib.tokenizers.amplitude_bins import LETTERS
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


class LongestMatchEncoder:
    """Greedy longest match over a vocabulary.

    Args:
        symbols: the letters of each symbol; of two symbols with the same letters the later one is
            used, as in the release.
    """

    def __init__(self, symbols: list[np.ndarray]):
        flat, ends = flatten_symbols(symbols)
        self._child, self._symbol = _tree(flat, ends)

    def __call__(self, letters: np.ndarray) -> np.ndarray:
        """Letters (n,) -> symbols int32 (t,).

        Raises:
            ValueError: no symbol fits at a letter.
        """
        tokens = _match(np.ascontiguousarray(letters, np.uint8), self._child, self._symbol)
        if len(tokens) and tokens[-1] < 0:
            raise ValueError(
                "expected letters that the vocabulary covers, got none of its symbols at letter "
                f"{-int(tokens[-1]) - 1} of the ECG; use a vocabulary with all single letters"
            )
        return tokens


def flatten_symbols(symbols: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """All symbols' letters in one uint8 array, and the end of each symbol in it, int64."""
    flat = np.concatenate(symbols).astype(np.uint8) if symbols else np.zeros(0, np.uint8)
    return flat, np.cumsum([len(letters) for letters in symbols], dtype=np.int64)


@compiled
def _tree(flat, ends):
    """Children of each node by letter (0: none; node 0 is the root) and the symbol ending there."""
    child = np.zeros((len(flat) + 1, LETTERS), np.int32)
    symbol = np.full(len(flat) + 1, -1, np.int32)
    used, start = 1, 0
    for i in range(len(ends)):
        node = 0
        for place in range(start, ends[i]):
            if child[node, flat[place]] == 0:
                child[node, flat[place]] = used
                used += 1
            node = child[node, flat[place]]
        symbol[node] = i
        start = ends[i]
    return child[:used].copy(), symbol[:used].copy()


@compiled
def _match(letters, child, symbol):
    """Symbols; a last negative number -p - 1 means that none fits at place p."""
    tokens, count, place, n = np.empty(len(letters) + 1, np.int32), 0, 0, len(letters)
    while place < n:
        node, at, best, end = 0, place, -1, place
        while at < n:
            node = child[node, letters[at]]
            if node == 0:
                break
            at += 1
            if symbol[node] >= 0:
                best, end = symbol[node], at
        if best < 0:
            tokens[count] = -place - 1
            return tokens[: count + 1].copy()
        tokens[count] = best
        count += 1
        place = end
    return tokens[:count].copy()
