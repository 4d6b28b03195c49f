"""The released encoder of ECG-Byte: at each place the longest symbol that fits, from the left.

It does not follow the order in which the merges were learned, so it differs from standard byte-pair
encoding. The release builds its tree of symbols anew at every call; here it is built once.
"""

import numba
import numpy as np

from ecglib.tokenizers.amplitude_bins import LETTERS


class LongestMatch:
    """Greedy longest match over a vocabulary.

    Args:
        expansions: the letters of each symbol; where two symbols have the same letters the later
            one is used, as in the release.
    """

    def __init__(self, expansions: list[np.ndarray]):
        flat, ends = flatten(expansions)
        self._child, self._symbol = _tree(flat, ends)

    def __call__(self, letters: np.ndarray) -> np.ndarray:
        """Letters (n,) -> symbols int32 (t,).

        Raises:
            ValueError: where a letter is no symbol itself and begins none that fits.
        """
        found = _match(np.ascontiguousarray(letters, np.uint8), self._child, self._symbol)
        if len(found) and found[-1] < 0:
            raise ValueError(
                f"no symbol of the vocabulary begins at letter {-int(found[-1]) - 1} of the ECG"
            )
        return found


def flatten(expansions: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """All symbols' letters in one uint8 array, and where each symbol ends in it, int64."""
    flat = np.concatenate(expansions).astype(np.uint8) if expansions else np.zeros(0, np.uint8)
    return flat, np.cumsum([len(letters) for letters in expansions], dtype=np.int64)


@numba.njit
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


@numba.njit
def _match(letters, child, symbol):
    """Symbols; a last negative number -p - 1 says that none fits at place p."""
    found, made, place, n = np.empty(len(letters) + 1, np.int32), 0, 0, len(letters)
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
            found[made] = -place - 1
            return found[: made + 1].copy()
        found[made] = best
        made += 1
        place = end
    return found[:made].copy()
