"""Training of a byte-pair encoding: merge the commonest pair, count, and again.

A full recount for every merge costs letters times merges. Here a list is kept of the places of
every pair. A merge touches these places only, and corrects the counts of the neighbouring pairs. A
heap gives the commonest pair. The cost therefore grows about linearly with the letters.
"""

import heapq

import numpy as np

from ecglib.tokenizers.bpe_runs import (
    BARRIER,
    FREE,
    cell,
    compiled,
    is_pair,
    merge_pair,
    merge_run,
    neighbours,
    pair_key,
    to_runs,
)


def learn_merges(
    letters: np.ndarray, alphabet: int, merges: int, overlapping: bool = False
) -> np.ndarray:
    """Merge the commonest pair, again and again.

    Among equally common pairs the one with the smallest ids is merged. Training ends early when
    no pair occurs twice.

    Args:
        letters: int32 (n,) from `join`.
        alphabet: number of letters; merge i makes the symbol `alphabet + i`.
        merges: number of merges to learn.
        overlapping: count "aaa" as two pairs, as the release does.

    Returns:
        int32 (m, 2), the two symbols of each merge, m <= merges.
    """
    return _learn(letters, alphabet, merges, overlapping)


@compiled
def _pairs_in_run(n, overlapping):
    """Number of pairs of one symbol in a run of n."""
    return max(n - 1, 0) if overlapping else n // 2


@compiled
def _count_pair(book, left, right, times, place):
    """Count a pair `times` more (or fewer), and list `place` among its places if it is >= 0."""
    table, nodes, used, now, raised = book
    if left == BARRIER or right == BARRIER or (times == 0 and place < 0):
        return
    keys, number, head, stamp = table
    key = pair_key(left, right)
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
        raised[used[2]] = key
        used[2] += 1


@compiled
def _count_all(runs, book, overlapping):
    """Count every pair of the sequence before any merge."""
    symbol, count, _, _ = runs
    place = 0
    while place < len(symbol):
        s, n = symbol[place], count[place]
        if n > 1:
            _count_pair(book, s, s, _pairs_in_run(n, overlapping), place)
        place += n
        if place < len(symbol):
            _count_pair(book, s, symbol[place], 1, place)


@compiled
def _learn_pair(runs, book, place, a, b, c, overlapping):
    """Merge a and b at one border, and keep all counts right."""
    _, count, begin, width = runs
    first = begin[place - 1]
    n, m = count[first], count[place]
    x, y = neighbours(runs, first, place + m * width[b])
    _count_pair(book, a, b, -1, -1)
    _count_pair(book, a, a, _pairs_in_run(n - 1, overlapping) - _pairs_in_run(n, overlapping), -1)
    rest = place + width[b] if m > 2 else -1  # the run of b now starts later
    _count_pair(book, b, b, _pairs_in_run(m - 1, overlapping) - _pairs_in_run(m, overlapping), rest)
    if n == 1:
        _count_pair(book, x, a, -1, -1)
    if m == 1:
        _count_pair(book, b, y, -1, -1)
    start, total, before, after = merge_pair(runs, place, a, b, c)
    gained = _pairs_in_run(total, overlapping)
    gained -= _pairs_in_run(before, overlapping) + _pairs_in_run(after, overlapping)
    _count_pair(book, c, c, gained, start if total > 1 else -1)
    end = start + total * width[c]
    if before == 0:
        _count_pair(book, a if n > 1 else x, c, 1, start)
    if after == 0:
        _count_pair(book, c, b if m > 1 else y, 1, end)


@compiled
def _learn_run(runs, book, start, a, c, overlapping):
    """Merge a with itself in one run, and keep all counts right."""
    _, count, _, width = runs
    n = count[start]
    end = start + n * width[a]
    x, y = neighbours(runs, start, end)
    _count_pair(book, a, a, -_pairs_in_run(n, overlapping), -1)
    _count_pair(book, x, a, -1, -1)
    middle = merge_run(runs, start, a, c)
    _count_pair(book, c, c, _pairs_in_run(n // 2, overlapping), start if n > 3 else -1)
    _count_pair(book, x, c, 1, start)
    if n % 2:
        _count_pair(book, c, a, 1, middle)
    else:
        _count_pair(book, a, y, -1, -1)
        _count_pair(book, c, y, 1, end)


@compiled
def _empty_table(size):
    """Of every pair: key, count, first of its places, and the merge that last raised it."""
    keys, number = np.full(size, FREE, np.int64), np.zeros(size, np.int64)
    return keys, number, np.zeros(size, np.int64), np.zeros(size, np.int64)


@compiled
def _larger(table, size):
    """The same table of pairs with `size` cells."""
    new = _empty_table(size)
    for old in range(len(table[0])):
        if table[0][old] != FREE:
            at = cell(new[0], table[0][old])
            for part, source in zip(new, table):  # noqa: B905 numba knows no `strict`
                part[at] = source[old]
    return new


@compiled
def _push_raised(heap, table, raised, used):
    """Put the pairs whose count rose into the heap: commonest first, then smallest ids."""
    for key in raised[: used[2]]:
        times = table[1][cell(table[0], key)]
        if times > 1:
            heapq.heappush(heap, (-times, key))
    used[2] = 0


@compiled
def _learn(letters, alphabet, merges, overlapping):
    n, size = len(letters), 1 << 14
    width = np.ones(alphabet + merges, np.int32)
    runs = to_runs(letters, width)
    table = _empty_table(size)
    nodes, used = np.empty((2 * n + 16, 2), np.int32), np.zeros(3, np.int64)  # nodes, pairs, raised
    raised = np.empty(alphabet**2 + 2 * (alphabet + merges), np.int64)
    heap = [(np.int64(0), np.int64(0)) for _ in range(0)]
    _count_all(runs, (table, nodes, used, 0, raised), overlapping)
    _push_raised(heap, table, raised, used)
    learned, done = np.zeros((merges, 2), np.int32), 0
    while done < merges and len(heap):
        # Counts of old pairs only fall, so an entry is never too low: put it back, corrected.
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
        if used[0] + 4 * times + 16 > len(nodes):  # and at most four places per occurrence
            more = np.empty((2 * len(nodes) + 4 * times + 16, 2), np.int32)
            more[: used[0]] = nodes[: used[0]]
            nodes = more
        book = (table, nodes, used, done, raised)
        while node >= 0:
            place, node = nodes[node, 0], nodes[node, 1]
            if is_pair(runs, place, a, b):
                if a == b:
                    _learn_run(runs, book, place, a, c, overlapping)
                else:
                    _learn_pair(runs, book, place, a, b, c, overlapping)
        _push_raised(heap, table, raised, used)
    return learned[:done]
