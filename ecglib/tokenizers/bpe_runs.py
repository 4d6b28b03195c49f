"""Sequences of letters as runs, for byte-pair encoding; compiled by numba.

An ECG in letters is mostly runs ("mmmmmnnnn"), so a sequence is kept as runs: a symbol and its
count. Two delicate rules are then exact at no cost. Pairs of one symbol do not overlap: a run of n
holds n // 2 of them. And "aaa" is merged from the left: a run of n becomes n // 2 merged symbols
and n % 2 old ones.

Four arrays hold the runs. `symbol` and `count` are stored at the position of a run's first letter.
`begin` is stored at the position of its last letter and points to the first one. `width` is the
number of letters of every symbol. The neighbours of a run are therefore known without links.
"""

from collections.abc import Callable
from pathlib import Path

import numba
import numpy as np

BARRIER = -2  # between leads and records; no merge crosses it
GAP = -1  # no run begins here
FREE = -1  # an empty cell of a table of pairs


def compiled(function: Callable) -> Callable:
    """`numba.njit` with a cache on disk that is also renewed when this file changes.

    numba renews the cache of a function when the file of that function changes. The functions of
    this file, however, are compiled into those of `bpe_train` and `bpe_encode`.
    """
    dispatcher = numba.njit(cache=True)(function)
    if numba.config.DISABLE_JIT:
        return function
    index, status = dispatcher._cache._cache_file, Path(__file__).stat()
    index._source_stamp = (index._source_stamp, status.st_mtime, status.st_size)
    return dispatcher


def join(segments: list[np.ndarray], barriers: bool = True) -> np.ndarray:
    """Concatenate segments of letters, with a barrier between them.

    Args:
        segments: integer arrays of letters, each from 0.
        barriers: False lets merges cross from one segment into the next, as the release does.

    Returns:
        int32 (n,).

    Raises:
        ValueError: more than 2^31 - 1 letters; positions are 32-bit numbers.
    """
    parts: list[np.ndarray] = []
    for segment in segments:
        if parts and barriers:
            parts.append(np.array([BARRIER], np.int32))
        parts.append(np.asarray(segment).astype(np.int32))
    total = sum(len(part) for part in parts)
    if total >= 2**31:
        raise ValueError(f"expected at most 2^31 - 1 letters, got {total}; give fewer ECGs")
    return np.concatenate(parts) if parts else np.zeros(0, np.int32)


def widths(merges: np.ndarray, alphabet: int) -> np.ndarray:
    """Number of letters of each symbol: int32 (alphabet + m,)."""
    spans = np.ones(alphabet + len(merges), np.int32)
    for i, (left, right) in enumerate(merges):
        spans[alphabet + i] = spans[left] + spans[right]
    return spans


def expansions(merges: np.ndarray, alphabet: int) -> list[np.ndarray]:
    """The letters of each symbol, uint8."""
    symbols = [np.array([letter], np.uint8) for letter in range(alphabet)]
    for left, right in merges:
        symbols.append(np.concatenate([symbols[left], symbols[right]]))
    return symbols


@compiled
def pair_key(left, right):
    """Both symbols of a pair in one 64-bit number."""
    return (np.int64(left) << 32) | np.int64(right)


@compiled
def cell(keys, key):
    """Cell of a pair in an open table whose size is a power of two: its own or a free one."""
    mask = len(keys) - 1
    at = ((key * np.int64(-7046029254386353131)) >> np.int64(29)) & mask
    while keys[at] != FREE and keys[at] != key:
        at = (at + 1) & mask
    return at


@compiled
def to_runs(letters, width):
    """Letters as runs: `symbol`, `count` and `begin` by position (see above), and `width`."""
    n, start = len(letters), 0
    symbol, count = np.full(n, GAP, np.int32), np.zeros(n, np.int32)
    begin = np.zeros(n, np.int32)
    while start < n:
        end = start + 1
        while end < n and letters[end] == letters[start] and letters[start] != BARRIER:
            end += 1
        symbol[start], count[start], begin[end - 1] = letters[start], end - start, start
        start = end
    return symbol, count, begin, width


@compiled
def neighbours(runs, start, end):
    """The symbols before `start` and from `end` on; BARRIER where the sequence ends."""
    symbol, _, begin, _ = runs
    before = symbol[begin[start - 1]] if start > 0 else np.int32(BARRIER)
    after = symbol[end] if end < len(symbol) else np.int32(BARRIER)
    return before, after


@compiled
def merge_pair(runs, place, left, right, new):
    """Merge two different symbols at the border `place` of their runs.

    Returns the start and the count of the merged symbol's run, and how many of that count were
    present before on its left and on its right.
    """
    symbol, count, begin, width = runs
    first = begin[place - 1]
    n, m = count[first], count[place]
    start, before, after = place - width[left], 0, 0
    symbol[place] = GAP
    if n > 1:
        count[first], begin[start - 1] = n - 1, first
    elif start > 0 and symbol[begin[start - 1]] == new:
        symbol[first] = GAP
        start = begin[start - 1]
        before = count[start]
    end = place + width[right]
    if m > 1:
        symbol[end], count[end] = right, m - 1
        begin[end + (m - 1) * width[right] - 1] = end
    elif end < len(symbol) and symbol[end] == new:
        after = count[end]
        symbol[end] = GAP
    total = before + 1 + after
    symbol[start], count[start] = new, total
    begin[start + total * width[new] - 1] = start
    return start, total, before, after


@compiled
def merge_run(runs, start, same, new):
    """Merge a run of one symbol with itself from the left; returns the merged symbols' end."""
    symbol, count, begin, width = runs
    n = count[start]
    end, middle = start + n * width[same], start + (n // 2) * width[new]
    symbol[start], count[start], begin[middle - 1] = new, n // 2, start
    if n % 2:
        symbol[middle], count[middle], begin[end - 1] = same, 1, middle
    return middle


@compiled
def is_pair(runs, place, left, right):
    """Whether a pair that was once at `place` is still at it."""
    symbol, count, begin, _ = runs
    if symbol[place] != right:
        return False
    if left == right:
        return count[place] >= 2
    return place > 0 and symbol[begin[place - 1]] == left


@compiled
def from_runs(runs):
    """The inverse of `to_runs`: the tokens of all runs in their order."""
    symbol, count, _, width = runs
    tokens, end, place = np.empty(len(symbol), np.int32), 0, 0
    while place < len(symbol):
        s, n = symbol[place], count[place]
        tokens[end : end + n] = s
        end += n
        place += 1 if s == BARRIER else n * width[s]
    return tokens[:end].copy()
