"""Training of a byte-pair encoding: merge the commonest pair, count, and again.

A full recount for every merge costs letters times merges. Here a merge touches only the places
where its pair stands, found in a list kept for every pair, and corrects the counts of the pairs
around it; a heap knows the commonest. So training costs about what the corpus holds in letters.
"""

import heapq

import numba
import numpy as np

from ecglib.tokenizers.bpe_runs import (
    BARRIER,
    FREE,
    around,
    cell,
    cut,
    halve,
    key_of,
    split,
    stands,
)


def learn(letters: np.ndarray, alphabet: int, merges: int, overlapping: bool = False) -> np.ndarray:
    """Train: merge the commonest pair, again and again.

    Among equally common pairs the one with the smallest ids is merged. Training ends early where
    no pair stands twice.

    Args:
        letters: int32 (n,) from `join`.
        alphabet: how many letters there are; merge i makes the symbol `alphabet + i`.
        merges: how many to learn.
        overlapping: count "aaa" as two pairs, as the release does.

    Returns:
        int32 (m, 2), the two symbols of each merge, m <= merges.
    """
    return _learn(letters, alphabet, merges, overlapping)


@numba.njit
def _inside(n, overlapping):
    """How often a pair of one symbol stands in a run of n."""
    return max(n - 1, 0) if overlapping else n // 2


@numba.njit
def _note(book, left, right, times, place):
    """Count a pair `times` more (or fewer) and, where it stands at `place` >= 0, remember that."""
    table, nodes, used, now, fresh = book
    if left == BARRIER or right == BARRIER or (times == 0 and place < 0):
        return
    keys, number, head, stamp = table
    key = key_of(left, right)
    at = cell(keys, key)
    if keys[at] == FREE:
        keys[at], number[at], head[at], stamp[at] = key, 0, -1, -1
        used[1] += 1
    number[at] += times
    if place >= 0:
        nodes[used[0], 0], nodes[used[0], 1] = place, head[at]
        head[at] = used[0]
        used[0] += 1
    if times > 0 and stamp[at] != now:
        stamp[at] = now
        fresh[used[2]] = key
        used[2] += 1


@numba.njit
def _count_all(runs, book, overlapping):
    """Note every pair of the untouched sequence."""
    symbol, count, _, _ = runs
    place = 0
    while place < len(symbol):
        s, n = symbol[place], count[place]
        if n > 1:
            _note(book, s, s, _inside(n, overlapping), place)
        place += n
        if place < len(symbol):
            _note(book, s, symbol[place], 1, place)


@numba.njit
def _learn_different(runs, book, place, a, b, c, overlapping):
    """Merge a and b at one border, and keep all counts right."""
    _, count, begin, width = runs
    first = begin[place - 1]
    n, m = count[first], count[place]
    x, y = around(runs, first, place + m * width[b])
    _note(book, a, b, -1, -1)
    _note(book, a, a, _inside(n - 1, overlapping) - _inside(n, overlapping), -1)
    rest = place + width[b] if m > 2 else -1  # the run of b begins later now
    _note(book, b, b, _inside(m - 1, overlapping) - _inside(m, overlapping), rest)
    if n == 1:
        _note(book, x, a, -1, -1)
    if m == 1:
        _note(book, b, y, -1, -1)
    start, total, before, after = split(runs, place, a, b, c)
    gained = _inside(total, overlapping)
    gained -= _inside(before, overlapping) + _inside(after, overlapping)
    _note(book, c, c, gained, start if total > 1 else -1)
    end = start + total * width[c]
    if before == 0:
        _note(book, a if n > 1 else x, c, 1, start)
    if after == 0:
        _note(book, c, b if m > 1 else y, 1, end)


@numba.njit
def _learn_same(runs, book, start, a, c, overlapping):
    """Merge a with itself in one run, and keep all counts right."""
    _, count, _, width = runs
    n = count[start]
    end = start + n * width[a]
    x, y = around(runs, start, end)
    _note(book, a, a, -_inside(n, overlapping), -1)
    _note(book, x, a, -1, -1)
    middle = halve(runs, start, a, c)
    _note(book, c, c, _inside(n // 2, overlapping), start if n > 3 else -1)
    _note(book, x, c, 1, start)
    if n % 2:
        _note(book, c, a, 1, middle)
    else:
        _note(book, a, y, -1, -1)
        _note(book, c, y, 1, end)


@numba.njit
def _empty_table(size):
    """Of every pair: key, count, first of its places, and the merge that last raised it."""
    keys, number = np.full(size, FREE, np.int64), np.zeros(size, np.int64)
    return keys, number, np.zeros(size, np.int64), np.zeros(size, np.int64)


@numba.njit
def _larger(table, size):
    """The same table of pairs with `size` cells."""
    new = _empty_table(size)
    for old in range(len(table[0])):
        if table[0][old] != FREE:
            at = cell(new[0], table[0][old])
            for part, source in zip(new, table):  # noqa: B905 numba knows no `strict`
                part[at] = source[old]
    return new


@numba.njit
def _queue(heap, table, fresh, used):
    """Put the pairs whose count rose into the heap: the commonest first, then the smallest ids."""
    for key in fresh[: used[2]]:
        times = table[1][cell(table[0], key)]
        if times > 1:
            heapq.heappush(heap, (-times, key))
    used[2] = 0


@numba.njit
def _learn(letters, alphabet, merges, overlapping):
    n, size = len(letters), 1 << 14
    width = np.ones(alphabet + merges, np.int32)
    runs = cut(letters, width)
    table = _empty_table(size)
    nodes, used = np.empty((2 * n + 16, 2), np.int32), np.zeros(3, np.int64)  # nodes, pairs, fresh
    fresh = np.empty(alphabet**2 + 2 * (alphabet + merges), np.int64)
    heap = [(np.int64(0), np.int64(0)) for _ in range(0)]
    _count_all(runs, (table, nodes, used, 0, fresh), overlapping)
    _queue(heap, table, fresh, used)
    learned, done = np.zeros((merges, 2), np.int32), 0
    while done < merges and len(heap):
        # Counts of old pairs only fall, so an entry is at worst too high: put it back, corrected.
        bound, key = heapq.heappop(heap)
        at = cell(table[0], key)
        times = table[1][at]
        if times != -bound:
            if times > 1:
                heapq.heappush(heap, (-times, key))
            continue
        a, b, c = np.int32(key >> 32), np.int32(key & 0xFFFFFFFF), np.int32(alphabet + done)
        learned[done, 0], learned[done, 1], width[c] = a, b, width[a] + width[b]
        done += 1
        node, table[2][at] = table[2][at], -1
        if 2 * (used[1] + 2 * c + 2) > len(table[0]):  # a merge brings at most these new pairs
            table = _larger(table, 2 * len(table[0]))
        if used[0] + 4 * times + 16 > len(nodes):  # and at most four places each time
            more = np.empty((2 * len(nodes) + 4 * times + 16, 2), np.int32)
            more[: used[0]] = nodes[: used[0]]
            nodes = more
        book = (table, nodes, used, done, fresh)
        while node >= 0:
            place, node = nodes[node, 0], nodes[node, 1]
            if stands(runs, place, a, b):
                if a == b:
                    _learn_same(runs, book, place, a, c, overlapping)
                else:
                    _learn_different(runs, book, place, a, b, c, overlapping)
        _queue(heap, table, fresh, used)
    return learned[:done]
