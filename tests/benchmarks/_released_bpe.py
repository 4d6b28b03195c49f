"""ECG-Byte's released byte-pair encoding written plainly, in the compiled form that ours has.

Training counts every pair anew for every merge; encoding builds its tree of symbols at every call.
Ties are broken as in our trainer (the release leaves them to its threads). As in the release, pairs
are counted in a hash map and a node of the tree finds its children in one. What a careful
programmer would make of both with plain arrays stands beside: `train_dense`, `encode_dense`.
"""

import numba
import numpy as np
from numba import int64
from numba.typed import Dict

from ecglib.tokenizers import bpe_longest_match
from ecglib.tokenizers.amplitude_bins import LETTERS


@numba.njit
def train(letters: np.ndarray, alphabet: int, merges: int) -> np.ndarray:
    """int32 letters (n,) -> int32 (m, 2); pairs are counted in a dictionary, as in the release."""
    ids, n = letters.copy(), len(letters)
    learned = np.zeros((merges, 2), np.int32)
    for done in range(merges):
        times = Dict.empty(int64, int64)
        for i in range(n - 1):
            key = (int64(ids[i]) << 32) | int64(ids[i + 1])
            times[key] = times.get(key, 0) + 1
        best, most = int64(-1), int64(1)
        for key, count in times.items():
            if count > most or (count == most and count > 1 and key < best):
                best, most = key, count
        if best < 0:
            return learned[:done]
        learned[done, 0], learned[done, 1] = best >> 32, best & 0xFFFFFFFF
        n = replace(ids, n, learned[done, 0], learned[done, 1], alphabet + done)
    return learned


@numba.njit
def train_dense(letters: np.ndarray, alphabet: int, merges: int) -> np.ndarray:
    """The same with the counts in one large table: what a careful programmer would make of it."""
    ids, n, size = letters.copy(), len(letters), alphabet + merges
    learned = np.zeros((merges, 2), np.int32)
    times = np.zeros(size * size, np.int32)
    for done in range(merges):
        best, most = int64(-1), 1
        for i in range(n - 1):
            times[int64(ids[i]) * size + ids[i + 1]] += 1
        for i in range(n - 1):
            key = int64(ids[i]) * size + ids[i + 1]
            if times[key] > most or (times[key] == most and most > 1 and key < best):
                best, most = key, times[key]
        for i in range(n - 1):
            times[int64(ids[i]) * size + ids[i + 1]] = 0
        if best < 0:
            return learned[:done]
        learned[done, 0], learned[done, 1] = best // size, best % size
        n = replace(ids, n, learned[done, 0], learned[done, 1], alphabet + done)
    return learned


@numba.njit
def replace(ids: np.ndarray, n: int, left: int, right: int, new: int) -> int:
    """Merge one pair in place, from the left; returns how many symbols are left."""
    kept, i = 0, 0
    while i < n:
        if i + 1 < n and ids[i] == left and ids[i + 1] == right:
            ids[kept] = new
            i += 2
        else:
            ids[kept] = ids[i]
            i += 1
        kept += 1
    return kept


@numba.njit
def encode(letters: np.ndarray, flat: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Letters uint8 (n,) -> symbols, the longest match first; the tree is built here, each time.

    A child is found by (node, letter) in one hash map; the release has a map for each node, which
    would be slower still in this form.
    """
    child, symbol = Dict.empty(int64, int64), np.full(len(flat) + 1, -1, np.int32)
    used, start = int64(1), 0
    for i in range(len(ends)):
        node = int64(0)
        for place in range(start, ends[i]):
            key = (node << 8) | flat[place]
            if key not in child:
                child[key] = used
                used += 1
            node = child[key]
        symbol[node] = i
        start = ends[i]
    symbols, count, place = np.empty(len(letters), np.int32), 0, 0
    while place < len(letters):
        node, at, end = int64(0), place, place
        while at < len(letters):
            key = (node << 8) | letters[at]
            if key not in child:
                break
            node = child[key]
            at += 1
            if symbol[node] >= 0:
                symbols[count], end = symbol[node], at
        count += 1
        place = end
    return symbols[:count].copy()


def encode_dense(letters: np.ndarray, flat: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """The same with our tree of arrays, built at each call."""
    child, symbol = bpe_longest_match._tree(flat, ends, LETTERS)
    return bpe_longest_match._match(letters, child, symbol)
