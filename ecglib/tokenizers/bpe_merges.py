"""Byte-pair encoding of letters: merges are learned and applied by one engine, compiled by numba.

An ECG in letters is mostly runs ("mmmmmnnnn"), so a sequence is kept as runs: a symbol and its
count. Two delicate rules are then exact at no cost. Pairs of one symbol do not overlap: a run of n
holds n // 2 of them. And "aaa" is merged from the left: a run of n becomes n // 2 merged symbols
and n % 2 old ones.

Four arrays hold the runs. `symbol` and `count` are stored at the position of a run's first letter.
`begin` is stored at the position of its last letter and points to the first one. `width` is the
number of letters of every symbol. The neighbours of a run are therefore known without links.

Positions, and numbers of nodes, are 32-bit up to 2^29 letters, some 18,000 ECGs of 10 s, and 64-bit
beyond, because a list can have several nodes for each letter.
A letter needs 16 bytes (64-bit: 20), and a run, of some four letters, 16 more (64-bit: 32) in the
list of places. So 200,000 ECGs need some 170 GB.

A full recount per merge costs letters times merges. Here every pair has a list of its places. A
merge visits these only, and corrects the counts around them, so the cost grows about linearly with
the letters. All compiled functions that call each other are in this file, because numba renews a
cached function only when the file of that function changes.
"""

import heapq

import numpy as np
from numba import njit

BARRIER = -2  # between leads and records; no merge crosses it
GAP = -1  # no run begins here
LONG = 2**29  # letters from which positions are 64-bit numbers
FREE = -1  # an empty cell of the table of pairs
KEY, TIMES, HEAD = 0, 1, 2  # columns of that table: pair, count, first node of its places
NODES, PAIRS, FRESH = 0, 1, 2  # how many of each are in use


def learn_merges(
    letters: np.ndarray, alphabet: int, merges: int, overlapping: bool = False
) -> np.ndarray:
    """Merge the commonest pair, again and again.

    Among equally common pairs the one with the smallest ids is merged. Training ends early when
    no pair occurs twice.

    Args:
        letters: int32 (n,), with BARRIER where no pair may be.
        alphabet: number of letters; merge i makes the symbol `alphabet + i`.
        merges: number of merges to learn.
        overlapping: count "aaa" as two pairs, as the release does.

    Returns int32 (m, 2), the two symbols of each merge, m <= merges.
    """
    kind = np.empty(0, np.int32 if len(letters) < LONG else np.int64)  # of positions
    return _learn(letters, alphabet, merges, overlapping, kind)


@njit(cache=True)
def apply_merges(letters, merges, alphabet):
    """Apply merges in the order in which they were learned (standard byte-pair encoding).

    A merge makes new pairs only with its own symbol, and these were learned later, if at all. One
    pass over the merges is therefore enough. Letters int32 (n,) with barriers and merges int32
    (m, 2) -> tokens int32 (t,), barriers kept.
    """
    n, size = len(letters), 64
    while size < 4 * len(merges):
        size *= 2
    table = np.full((size, 2), FREE, np.int64)  # pair, first node of its places
    for a, b in merges:
        table[_cell(table, _pair_key(a, b)), KEY] = _pair_key(a, b)
    runs = _to_runs(letters, np.ones(alphabet + len(merges), np.int32), np.empty(0, np.int32))
    symbol, count, begin, width = runs
    nodes, used, place = np.empty((6 * n + 16, 2), np.int32), 0, 0
    while place < n:
        used = _list(table, nodes, used, symbol[place], symbol[place], place, count[place])
        before, place = symbol[place], _end(runs, place)
        if place < n:
            used = _list(table, nodes, used, before, symbol[place], place, 2)
    for rank in range(len(merges)):
        a, b, new = merges[rank, 0], merges[rank, 1], np.int32(alphabet + rank)
        width[new] = width[a] + width[b]
        node = table[_cell(table, _pair_key(a, b)), 1]
        while node >= 0:
            place, node = nodes[node, 0], nodes[node, 1]
            if not _is_pair(runs, place, a, b):
                continue
            start = _merge_at(runs, place, a, b, new)
            end = _end(runs, start)
            used = _list(table, nodes, used, new, new, start, count[start])
            if start > 0:
                used = _list(table, nodes, used, symbol[begin[start - 1]], new, start, 2)
            if end < n:
                used = _list(table, nodes, used, new, symbol[end], end, 2)
                used = _list(table, nodes, used, symbol[end], symbol[end], end, count[end])
    return _tokens(runs)


@njit(cache=True)
def _list(table, nodes, used, left, right, place, count):
    """List the place of a pair that a merge will make; returns how many nodes are used."""
    if count < 2 or left == BARRIER or right == BARRIER:
        return used
    at = _cell(table, _pair_key(left, right))
    if table[at, KEY] == FREE:
        return used
    nodes[used, 0], nodes[used, 1], table[at, 1] = place, table[at, 1], used
    return used + 1


@njit(cache=True)
def _learn(letters, alphabet, merges, overlapping, kind):
    n = len(letters)
    runs = _to_runs(letters, np.ones(alphabet + merges, np.int32), kind)
    table = np.full((1 << 14, 3), FREE, np.int64)
    places = 2 * np.count_nonzero(runs[0] != GAP)  # a run and its border to the next one
    nodes, used = np.empty((places + 16, 2), kind.dtype), np.zeros(3, np.int64)
    fresh = np.empty(alphabet**2 + 2 * (alphabet + merges), np.int64)
    heap, none = [(np.int64(0), np.int64(0)) for _ in range(0)], np.int32(-1)
    _count(runs, (table, nodes, used, fresh, none, none), 0, n, 1, overlapping)
    learned, done = np.zeros((merges, 2), np.int32), 0
    while done < merges:
        for key in fresh[: used[FRESH]]:
            times = table[_cell(table, key), TIMES]
            if times > 1:
                heapq.heappush(heap, (-times, key))
        used[FRESH] = 0
        if not len(heap):
            break
        # Counts of old pairs only fall, so an entry is never too low: put it back, corrected.
        bound, key = heapq.heappop(heap)
        times = table[_cell(table, key), TIMES]
        if times != -bound:
            if times > 1:
                heapq.heappush(heap, (-times, key))
            continue
        a, b, new = np.int32(key >> 32), np.int32(key & 0xFFFFFFFF), np.int32(alphabet + done)
        learned[done, 0], learned[done, 1] = a, b
        done += 1
        if 2 * (used[PAIRS] + 2 * new + 2) > len(table):  # a merge brings at most these new pairs
            old, table = table, np.full((2 * len(table), 3), FREE, np.int64)
            for cell in old:
                if cell[KEY] != FREE:
                    table[_cell(table, cell[KEY])] = cell
        if used[NODES] + 5 * times + 16 > len(nodes):  # and at most five places per occurrence
            more = np.empty((2 * len(nodes) + 5 * times + 16, 2), kind.dtype)
            more[: used[NODES]] = nodes[: used[NODES]]
            nodes = more
        _merge(runs, (table, nodes, used, fresh, b, new), a, overlapping)
    return learned[:done]


@njit(cache=True)
def _merge(runs, book, a, overlapping):
    """Merge a and b of the book at all their places, and correct the counts around them.
    Only the runs of the pair and their two neighbours can change."""
    symbol, _, begin, width = runs
    table, nodes, _, _, b, new = book
    width[new] = width[a] + width[b]
    at = _cell(table, _pair_key(a, b))
    node, table[at, HEAD] = table[at, HEAD], -1
    while node >= 0:
        place, node = nodes[node, 0], nodes[node, 1]
        if not _is_pair(runs, place, a, b):
            continue
        first = place if a == b else begin[place - 1]
        start = begin[first - 1] if first > 0 else first
        end = _end(runs, place)
        end = _end(runs, end) if end < len(symbol) else end
        _count(runs, book, start, end, -1, overlapping)
        _merge_at(runs, place, a, b, new)
        _count(runs, book, start, end, 1, overlapping)


@njit(cache=True)
def _count(runs, book, start, end, sign, overlapping):
    """Count the pairs of the runs from `start` to `end`, or with sign -1 take them back."""
    symbol, count, _, _ = runs
    while start < end:
        s, n = symbol[start], count[start]
        if n > 1:
            _count_pair(book, s, s, sign * (n - 1 if overlapping else n // 2), start)
        start = _end(runs, start)
        if start < end:
            _count_pair(book, s, symbol[start], sign, start)


@njit(cache=True)
def _count_pair(book, left, right, times, place):
    """Count a pair `times` more (or fewer), and list the place of one that this merge may make."""
    table, nodes, used, fresh, b, new = book
    # The run of b now starts later, so its pairs are listed again.
    listed = times > 0 and (new < 0 or new in (left, right) or left == right == b)
    if left == BARRIER or right == BARRIER:
        return
    key = _pair_key(left, right)
    at = _cell(table, key)
    if table[at, KEY] == FREE:
        table[at, KEY], table[at, TIMES], fresh[used[FRESH]] = key, 0, key
        used[PAIRS] += 1
        used[FRESH] += 1
    table[at, TIMES] += times
    if listed:
        nodes[used[NODES], 0], nodes[used[NODES], 1] = place, table[at, HEAD]
        table[at, HEAD] = used[NODES]
        used[NODES] += 1


@njit(cache=True)
def _pair_key(left, right):
    """Both symbols of a pair in one 64-bit number."""
    return (np.int64(left) << 32) | np.int64(right)


@njit(cache=True)
def _cell(table, key):
    """Cell of a pair in an open table whose size is a power of two: its own or a free one."""
    mask = len(table) - 1
    at = ((key * np.int64(-7046029254386353131)) >> np.int64(29)) & mask
    while table[at, KEY] != FREE and table[at, KEY] != key:
        at = (at + 1) & mask
    return at


@njit(cache=True)
def _to_runs(letters, width, kind):
    """Letters as runs: `symbol`, `count` and `begin` by position (see above), and `width`. `kind`:
    an empty array of the type of positions."""
    n, start = len(letters), 0
    symbol, count = np.full(n, GAP, np.int32), np.zeros(n, np.int32)
    begin = np.zeros(n, kind.dtype)
    while start < n:
        end = start + 1
        while end < n and letters[end] == letters[start] and letters[start] != BARRIER:
            end += 1
        symbol[start], count[start], begin[end - 1] = letters[start], end - start, start
        start = end
    return symbol, count, begin, width


@njit(cache=True)
def _tokens(runs):
    """The inverse of `_to_runs`: the tokens of all runs in their order."""
    symbol, count, _, _ = runs
    tokens, end, place = np.empty(len(symbol), np.int32), 0, 0
    while place < len(symbol):
        tokens[end : end + count[place]] = symbol[place]
        end += count[place]
        place = _end(runs, place)
    return tokens[:end].copy()


@njit(cache=True)
def _end(runs, start):
    """The position after the run that begins at `start`."""
    symbol, count, _, width = runs
    return start + (1 if symbol[start] == BARRIER else count[start] * width[symbol[start]])


@njit(cache=True)
def _is_pair(runs, place, left, right):
    """Whether a pair that was once at `place` is still at it."""
    symbol, count, begin, _ = runs
    if left == right:
        return symbol[place] == right and count[place] >= 2
    return symbol[place] == right and place > 0 and symbol[begin[place - 1]] == left


@njit(cache=True)
def _merge_at(runs, place, left, right, new):
    """Merge a pair at `place`; returns the start of the run of the new symbol.

    Equal symbols are merged through their run, from the left. Different ones are merged at the
    border of their runs, and the new symbol joins a run of its kind before it or after it.
    """
    symbol, count, begin, width = runs
    if left == right:
        n, end = count[place], _end(runs, place)
        middle = place + (n // 2) * width[new]
        symbol[place], count[place], begin[middle - 1] = new, n // 2, place
        if n % 2:
            symbol[middle], count[middle], begin[end - 1] = left, 1, middle
        return place
    first = begin[place - 1]
    n, m = count[first], count[place]
    start, end, total = place - width[left], place + width[right], 1
    symbol[place] = GAP
    if n > 1:
        count[first], begin[start - 1] = n - 1, first
    elif start > 0 and symbol[begin[start - 1]] == new:
        symbol[first] = GAP
        start = begin[start - 1]
        total += count[start]
    if m > 1:
        symbol[end], count[end] = right, m - 1
        begin[end + (m - 1) * width[right] - 1] = end
    elif end < len(symbol) and symbol[end] == new:
        total += count[end]
        symbol[end] = GAP
    symbol[start], count[start], begin[start + total * width[new] - 1] = new, total, start
    return start
