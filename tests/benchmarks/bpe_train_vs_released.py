"""Training of a byte-pair encoding: ours, incremental, beside ECG-Byte's full recount.

    bash run_all.sh bench bpe_train_vs_released

Both are compiled by numba and warm. `value` is our time for 3,500 merges on 200 simulated ECGs
(6.0 million letters). The reference takes minutes there, so `ratio` is measured on `compared` ECGs,
with the released way of counting (overlapping pairs, one string, no barriers); the merges are the
same. `dense_ratio` is against a recount with a table instead of a dictionary. `seconds_by_ecgs`
holds the times of all three against the size of the corpus (ours: the median of REPEATS; the
recounts' only where they take seconds). `extrapolation` holds the power law through ours and what
it gives for 200,000 ECGs, the corpus of ECG-Byte, with the 95 % prediction interval of its least
squares on logarithmic axes; `growth` is its exponent. `nominal_seconds` are those seconds times the
speed of this machine by the yardstick, the mean of its readings after every size. It is a statement
on time only: positions are 32-bit numbers, so one training takes at most `most_ecgs` ECGs.
"""

import time
from collections.abc import Callable

import numpy as np
from _common import write
from _released_bpe import train, train_dense
from scipy import stats

from ecglib.run import yardstick
from ecglib.signals.leads import SAMPLES
from ecglib.signals.resample import to_rate
from ecglib.simulator import patients
from ecglib.tokenizers.amplitude_bins import LETTERS, fit_bins
from ecglib.tokenizers.bpe import join
from ecglib.tokenizers.bpe_merges import learn_merges

ECGS, COMPARED, MERGES, SEED = 200, 25, 3500, 3
SIZES = (25, 50, 100, 200, 400, 800, 1600, 3200)
REPEATS = 3
# The power law is fitted from here. Arrays of fewer ECGs fit into the processor's caches in part,
# and their short times scatter most.
FIT_FROM = 400
PAPER_ECGS, PAPER_SECONDS = 200_000, 3600  # of ECG-Byte, and the time that it may take


def letters(count: int) -> np.ndarray:
    """Letters uint8 (count, 12, 2500) of simulated ECGs; the bins are those of the first ECGS."""
    signals = []
    for record in patients.patients(count, SEED):
        signal = to_rate(record["signal"], record["rate"])
        if signal.shape[1] >= SAMPLES:
            signals.append(signal[:, :SAMPLES].astype(np.float32))
    bins = fit_bins(np.stack(signals[:ECGS]))
    return np.stack([bins.encode(signal) for signal in signals[:count]])


def seconds(work: Callable[[], np.ndarray]) -> tuple[float, np.ndarray]:
    """Wall time of one run and what it gave."""
    begun = time.perf_counter()
    merges = work()
    return time.perf_counter() - begun, merges


def extrapolate(times: dict[int, float]) -> dict:
    """The power law seconds = a * ECGs^b through measured times, and its value at PAPER_ECGS."""
    fitted = {size: value for size, value in times.items() if size >= FIT_FROM}
    x, y = np.log(list(fitted)), np.log(list(fitted.values()))
    line = stats.linregress(x, y)
    residuals = y - (line.intercept + line.slope * x)
    at, freedom = np.log(PAPER_ECGS), len(x) - 2
    spread = np.sqrt((residuals**2).sum() / freedom)
    leverage = 1 + 1 / len(x) + (at - x.mean()) ** 2 / ((x - x.mean()) ** 2).sum()
    half = stats.t.ppf(0.975, freedom) * spread * np.sqrt(leverage)
    logarithm = line.intercept + line.slope * at
    return {
        "ecgs": PAPER_ECGS,
        "seconds": float(np.exp(logarithm)),
        "low": float(np.exp(logarithm - half)),
        "high": float(np.exp(logarithm + half)),
        "limit_seconds": PAPER_SECONDS,
        "fit": "seconds = a * ecgs ** b, least squares of logarithms",
        "a": float(np.exp(line.intercept)),
        "b": float(line.slope),
        "largest_residual_percent": float(100 * np.abs(np.expm1(residuals)).max()),
        "fitted_sizes": list(fitted),
    }


def main() -> None:
    """Measure, print and write reports/benchmarks/bpe_train_vs_released.json."""
    ecgs = letters(max(SIZES))
    warm = join([ecgs[0, 0]], barriers=False)
    for trainer in (train, train_dense):
        trainer(warm, LETTERS, 5)
    learn_merges(warm, LETTERS, 5, overlapping=True)

    whole = join([ecg.ravel() for ecg in ecgs[:COMPARED]], barriers=False)
    ours, merges = seconds(lambda: learn_merges(whole, LETTERS, MERGES, overlapping=True))
    theirs, released = seconds(lambda: train(whole, LETTERS, MERGES))
    dense, recounted = seconds(lambda: train_dense(whole, LETTERS, MERGES))
    times, tables, dictionaries = {}, {}, {}
    speeds = []
    for size in SIZES:
        corpus = join([lead for ecg in ecgs[:size] for lead in ecg])
        again = [
            seconds(lambda corpus=corpus: learn_merges(corpus, LETTERS, MERGES))[0]
            for _ in range(REPEATS)
        ]
        times[size] = float(np.median(again))
        speeds.append(yardstick.speed("cpu"))
        if size > ECGS // 2:
            continue
        text = join([ecg.ravel() for ecg in ecgs[:size]], barriers=False)
        tables[size] = seconds(lambda text=text: train_dense(text, LETTERS, MERGES))[0]
        if size <= 2 * COMPARED:
            dictionaries[size] = seconds(lambda text=text: train(text, LETTERS, MERGES))[0]
    extrapolation, per_ecg = extrapolate(times), ecgs[0].size + len(ecgs[0])  # and barriers
    speed = float(np.mean(speeds))  # of this machine; the reference machine's is 1
    extrapolation |= {"machine_speed": speed, "nominal_seconds": speed * extrapolation["seconds"]}
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
        "growth": extrapolation["b"],
        "extrapolation": extrapolation,
        "most_ecgs": (2**31 - 1) // per_ecg,
    }
    write("bpe_train_vs_released", result, ("numpy", "numba"))


if __name__ == "__main__":
    main()
