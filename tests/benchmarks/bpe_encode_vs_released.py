"""Encoding with a vocabulary of 3,500 merges: ours beside ECG-Byte's released encoder.

    bash run_all.sh bench bpe_encode_vs_released

All are compiled by numba and warm, one ECG (30,000 letters) a call. The released encoder matches
the longest symbol and builds its tree at every call, with children in a hash map; ours in the mode
`released` keeps a tree of arrays: `value` is ours, the ids are the same. `merge_order_ratio` is
the released encoder against ours in the corrected mode, which applies the merges in their order.
The fields with `dense` compare with the released encoder given our tree of arrays to build.
"""

import time
from collections.abc import Callable, Sequence

import numpy as np
from _common import write
from _released_bpe import encode, encode_dense
from bpe_train_vs_released import ECGS, letters

from ecglib.tokenizers.amplitude_bins import LETTERS
from ecglib.tokenizers.bpe import expansions, join
from ecglib.tokenizers.bpe_longest_match import LongestMatchEncoder, flatten_symbols
from ecglib.tokenizers.bpe_merges import apply_merges, learn_merges

TRAINED_ON, MERGES, TURNS = 150, 3500, 5


def milliseconds(work: Callable[[np.ndarray], np.ndarray], ecgs: Sequence[np.ndarray]) -> float:
    """Best of some turns over all ECGs, a call an ECG."""
    best = np.inf
    work(ecgs[0])
    for _ in range(TURNS):
        begun = time.perf_counter()
        for ecg in ecgs:
            work(ecg)
        best = min(best, time.perf_counter() - begun)
    return 1000 * best / len(ecgs)


def main() -> None:
    """Measure, print and write reports/benchmarks/bpe_encode_vs_released.json."""
    ecgs = letters(ECGS)
    train, test = ecgs[:TRAINED_ON], ecgs[TRAINED_ON:]
    corpus = join([lead for ecg in train for lead in ecg])
    merges = learn_merges(corpus, LETTERS, MERGES)
    symbols = expansions(merges, LETTERS)
    flat, ends = flatten_symbols(symbols)
    ours = LongestMatchEncoder(symbols)

    def ordered(ecg: np.ndarray) -> np.ndarray:
        return apply_merges(join(list(ecg)), merges, LETTERS)

    whole = [ecg.ravel() for ecg in test]
    same = all(
        np.array_equal(ours(ecg), theirs(ecg, flat, ends))
        for ecg in whole
        for theirs in (encode, encode_dense)
    )
    greedy = milliseconds(ours, whole)
    released = milliseconds(lambda ecg: encode(ecg, flat, ends), whole)
    dense = milliseconds(lambda ecg: encode_dense(ecg, flat, ends), whole)
    in_order = milliseconds(ordered, list(test))
    result = {
        "value": greedy,
        "unit": "ms per ECG (30,000 letters), released mode, one core",
        "reference": {"what": "longest match, tree built at each call", "value": released},
        "ratio": released / greedy,
        "target": 5,
        "identical_ids": same,
        "merge_order_ms": in_order,
        "merge_order_ratio": released / in_order,
        "dense_ratio": dense / greedy,
        "dense_merge_order_ratio": dense / in_order,
        "merges": len(merges),
        "test_ecgs": len(test),
        "tokens": float(np.mean([len(ours(ecg)) for ecg in whole])),
        "tokens_merge_order": float(np.mean([len(ordered(e)) - 11 for e in test])),
    }
    write("bpe_encode_vs_released", result, ("numpy", "numba"))


if __name__ == "__main__":
    main()
