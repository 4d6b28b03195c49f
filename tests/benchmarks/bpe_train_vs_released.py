"""Training of a byte-pair encoding: ours, incremental, beside ECG-Byte's full recount.

    bash run_all.sh bench bpe_train_vs_released

Both are compiled by numba and warm. `value` is our time for 3,500 merges on 200 simulated ECGs
(6.0 million letters). The reference takes minutes there, so `ratio` is measured on `compared` ECGs,
with the released way of counting (overlapping pairs, one string, no barriers); the merges are the
same. `dense_ratio` is against a recount with a table instead of a dictionary. `seconds_by_ecgs`
holds the times of all three against the size of the corpus (the dictionary's only where it takes
seconds), `growth` the exponent of a power law through ours.
"""

import time
from collections.abc import Callable

import numpy as np
from _common import write
from _released_bpe import train, train_dense

from ecglib.signals.leads import SAMPLES
from ecglib.signals.resample import to_rate
from ecglib.simulator import patients
from ecglib.tokenizers.amplitude_bins import LETTERS, fit_bins
from ecglib.tokenizers.bpe import join
from ecglib.tokenizers.bpe_merges import learn_merges

ECGS, COMPARED, MERGES, SEED = 200, 25, 3500, 3
SIZES = (25, 50, 100, 200)


def letters() -> np.ndarray:
    """Letters uint8 (200, 12, 2500) of simulated ECGs."""
    signals = []
    for record in patients.patients(ECGS, SEED):
        signal = to_rate(record["signal"], record["rate"])
        if signal.shape[1] >= SAMPLES:
            signals.append(signal[:, :SAMPLES])
    ecgs = np.stack(signals[:ECGS])
    return fit_bins(ecgs).encode(ecgs)


def seconds(work: Callable[[], np.ndarray]) -> tuple[float, np.ndarray]:
    """Wall time of one run and what it gave."""
    begun = time.perf_counter()
    merges = work()
    return time.perf_counter() - begun, merges


def main() -> None:
    """Measure, print and write reports/benchmarks/bpe_train_vs_released.json."""
    ecgs = letters()
    warm = join([ecgs[0, 0]], barriers=False)
    for trainer in (train, train_dense):
        trainer(warm, LETTERS, 5)
    learn_merges(warm, LETTERS, 5, overlapping=True)

    whole = join([ecg.ravel() for ecg in ecgs[:COMPARED]], barriers=False)
    ours, merges = seconds(lambda: learn_merges(whole, LETTERS, MERGES, overlapping=True))
    theirs, released = seconds(lambda: train(whole, LETTERS, MERGES))
    dense, recounted = seconds(lambda: train_dense(whole, LETTERS, MERGES))
    times, tables, dictionaries = {}, {}, {}
    for size in SIZES:
        corpus = join([lead for ecg in ecgs[:size] for lead in ecg])
        times[size] = seconds(lambda corpus=corpus: learn_merges(corpus, LETTERS, MERGES))[0]
        text = join([ecg.ravel() for ecg in ecgs[:size]], barriers=False)
        tables[size] = seconds(lambda text=text: train_dense(text, LETTERS, MERGES))[0]
        if size <= 2 * COMPARED:
            dictionaries[size] = seconds(lambda text=text: train(text, LETTERS, MERGES))[0]
    growth = np.polyfit(np.log(list(times)), np.log(list(times.values())), 1)[0]
    result = {
        "value": times[ECGS],
        "unit": "seconds for 3,500 merges on 200 ECGs (6.0 million letters), one core",
        "reference": {
            "what": f"full recount, {COMPARED} ECGs; ours there: {ours}",
            "value": theirs,
        },
        "ratio": theirs / ours,
        "target": 15,
        "dense_ratio": dense / ours,
        "compared": COMPARED,
        "identical_merges": bool(np.array_equal(merges, released)),
        "identical_merges_dense": bool(np.array_equal(merges, recounted)),
        "merges": len(merges),
        "seconds_by_ecgs": {"incremental": times, "table": tables, "dictionary": dictionaries},
        "growth": growth,
    }
    write("bpe_train_vs_released", result, ("numpy", "numba"))


if __name__ == "__main__":
    main()
