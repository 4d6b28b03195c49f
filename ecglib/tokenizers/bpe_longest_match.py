"""The released encoder of ECG-Byte: from the left, always the longest symbol that fits.

It ignores the order of the merges, so it differs from standard byte-pair encoding. The release
builds its tree of symbols anew at every call; here it is built once.
"""

import numpy as np
from numba import njit

from ecglib.tokenizers.amplitude_bins import LETTERS


class LongestMatchEncoder:
    """Greedy longest match over a vocabulary. `symbols`: the letters of each symbol; of two symbols
    with the same letters the later one is used, as in the release."""

    def __init__(self, symbols: list[np.ndarray]):
        flat, ends = flatten_symbols(symbols)
        self._child, self._symbol = _tree(flat, ends, LETTERS)

    def __call__(self, letters: np.ndarray) -> np.ndarray:
        """Letters (n,) -> symbols int32 (t,). Raises ValueError: no symbol fits at a letter."""
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


@njit(cache=True)
def _tree(flat, ends, alphabet):
    """Children of each node by letter (0: none; node 0 is the root) and the symbol ending there."""
    child = np.zeros((len(flat) + 1, alphabet), np.int32)
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


@njit(cache=True)
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
