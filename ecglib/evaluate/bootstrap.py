"""95 % intervals from resampling patients, since the recordings of one patient are not independent.

One idea carries everything: a resample of n patients is a vector of n counts (how often each was
drawn), so a statistic of the resampled data is a statistic with *patient weights*. With the counts
of all resamples as the rows of a matrix W (r, n), a mean, an F1 or any function of sums needs only
the product W @ totals. Methods compared with each other see the same draws (the pairing stays).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import chain

import numpy as np
import pandas as pd
from scipy import stats

RESAMPLES = 2000
LEVEL = 0.95
CHUNK = 4_000_000  # weights held at a time (32 MB)
KEPT = 16_000_000  # counts kept for the next statistic of as many patients (one byte each)

Statistic = Callable[[np.ndarray], np.ndarray]
"""(r, n) patient weights -> (r,) values, one per resample."""

SeedStatistic = Callable[[np.ndarray], np.ndarray]
"""(r, n) patient weights -> (k, r) values, one row for each of k training seeds."""


@dataclass(frozen=True)
class Estimate:
    """A value, its 95 % interval (over patients, and over training seeds where there are several),
    and the numbers of patients and of seeds."""

    value: float
    low: float
    high: float
    n: int
    seeds: int = 1

    @property
    def over(self) -> str:
        """What the interval covers, in words."""
        return "patients" if self.seeds == 1 else f"{self.seeds} training seeds and patients"

    def text(self, digits: int = 3, scale: float = 1.0, unit: str = "") -> str:
        """For example "0.812 [0.790, 0.833]"; `unit` follows the value. An end that rounds to zero
        keeps its sign, which says on which side of zero it is."""
        low, high = (f"{scale * end:.{digits}f}" for end in (self.low, self.high))
        return f"{scale * self.value:z.{digits}f}{unit} [{low}, {high}]"


def patient_weights(n: int, resamples: int, seed: int, chunk: int) -> Iterator[np.ndarray]:
    """Counts of each of n patients in each resample, `chunk` resamples at a time, as float64."""
    if n * resamples <= KEPT:
        counts = _kept_counts(n, resamples, seed)
        for start in range(0, resamples, chunk):
            yield counts[start : start + chunk].astype(np.float64)
        return
    rng = np.random.default_rng(seed)
    for start in range(0, resamples, chunk):
        yield _counts(rng, n, min(chunk, resamples - start)).astype(np.float64)


def _counts(rng: np.random.Generator, n: int, r: int) -> np.ndarray:
    """Counts (r, n) of the next r resamples."""
    drawn = rng.integers(0, n, size=(r, n)) + np.arange(r)[:, None] * n
    return np.bincount(drawn.ravel(), minlength=r * n).reshape(r, n)


@lru_cache(maxsize=8)
def _kept_counts(n: int, resamples: int, seed: int) -> np.ndarray:
    """All counts (resamples, n), read-only: many statistics see the same draws."""
    rng = np.random.default_rng(seed)
    counts = np.empty((resamples, n), dtype=np.uint8 if n < 256 else np.uint16)
    step = max(1, 65536 // n)  # as many as a processor's cache holds
    for start in range(0, resamples, step):
        counts[start : start + step] = _counts(rng, n, min(step, resamples - start))
    counts.flags.writeable = False
    return counts


def draws(
    by_seed: SeedStatistic, n: int, seed: int = 0, resamples: int = RESAMPLES, cells: int = 0
) -> np.ndarray:
    """A statistic of the sample itself, then of each resample of its n patients, (k seeds, 1 + r).

    `cells` is how many numbers the statistic holds per resample; it sets the chunk size.
    Raises ValueError without any patient.
    """
    if n < 1:
        raise ValueError("no patient to resample: check the rows that were selected")
    chunk = max(1, min(resamples, CHUNK // (cells + n)))
    weights = chain([np.ones((1, n))], patient_weights(n, resamples, seed, chunk))
    return np.concatenate([by_seed(w) for w in weights], axis=1)


def of_draws(values: np.ndarray, n: int) -> Estimate:
    """Estimate from the `draws` of a statistic over n patients, (k seeds, 1 + r).

    One seed has the percentiles of its resamples, without those where it is undefined (NaN);
    several have the interval of `across_seeds`. The interval is missing (NaN) with a single
    patient, and where the statistic of a seed is undefined.
    """
    each, drawn = values[:, 0], values[:, 1:]
    value, low, high = float(each.mean()), float("nan"), float("nan")
    if n > 1 and drawn.size and not np.isnan(value):
        low, high = _percentiles(drawn[0]) if len(each) == 1 else _over_seeds(each, drawn)
    return Estimate(value, low, high, n, len(each))


def _percentiles(drawn: np.ndarray) -> tuple[float, float]:
    """Ends of the middle 95 % of the defined draws; NaN where there is none."""
    drawn, tail = drawn[~np.isnan(drawn)], (1.0 - LEVEL) / 2.0
    if not drawn.size:
        return float("nan"), float("nan")
    # inverted_cdf picks an observed draw, so an infinite draw cannot turn the bound into NaN
    low, high = np.quantile(drawn, [tail, 1.0 - tail], method="inverted_cdf")
    return float(low), float(high)


def _over_seeds(each: np.ndarray, drawn: np.ndarray) -> tuple[float, float]:
    """Ends of the t interval of `across_seeds`: values of the seeds (k,), their draws (k, r)."""
    patients = float(np.nanvar(drawn.mean(0), ddof=1))
    between = float(each.var(ddof=1)) / len(each)
    freedom = (between + patients) ** 2 / (between**2 / (len(each) - 1)) if between else np.inf
    reach = float(stats.t.ppf((1 + LEVEL) / 2, freedom)) * np.sqrt(between + patients)
    return float(each.mean()) - reach, float(each.mean()) + reach


def estimate(
    statistic: Statistic, n: int, seed: int = 0, resamples: int = RESAMPLES, cells: int = 0
) -> Estimate:
    """Of a statistic of the weights of n patients; `cells` is as in `draws`."""
    return of_draws(draws(lambda weights: statistic(weights)[None], n, seed, resamples, cells), n)


def of_totals(
    function: Callable[[np.ndarray], np.ndarray],
    *totals: np.ndarray,
    combine: Callable[..., np.ndarray] | None = None,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Estimate:
    """Estimate of a function of summed quantities, of one set or of several under the same draws.

    Args:
        function: what a set's totals amount to, (r, k) -> (r,): a mean, an F1.
        totals: per set the sums of each patient, (n patients, k), patients in one order.
        combine: makes one value of the sets' values: `np.subtract` for a paired difference,
            `share_of_room` for a share; a single set needs none.
    """
    return across_seeds(function, [totals], combine, seed, resamples)


def across_seeds(
    function: Callable[[np.ndarray], np.ndarray],
    seeds: Sequence[tuple[np.ndarray, ...]],
    combine: Callable[..., np.ndarray] | None = None,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Estimate:
    """Mean over training seeds, with an interval that covers the choice of seeds and of patients.

    With k seeds, variance = variance between seeds / k + variance over patients of the mean over
    seeds. The first part has k - 1 degrees of freedom, the second counts as known; those of their
    sum, for the t interval, are Satterthwaite's. With one seed it is `of_totals`, patients only.

    Args:
        function, combine: as in `of_totals`.
        seeds: of each training seed the sets of totals of `of_totals`, all for the same patients.
    """
    columns = np.hstack([np.asarray(part, float) for sets in seeds for part in sets])
    ends = np.cumsum([np.shape(part)[1] for sets in seeds for part in sets])[:-1]

    def by_seed(weights: np.ndarray) -> np.ndarray:
        """(r, n) weights -> (seeds, r) values."""
        values = [function(part) for part in np.split(weights @ columns, ends, axis=1)]
        sets = len(seeds[0])
        groups = [values[start : start + sets] for start in range(0, len(values), sets)]
        return np.stack([combine(*group) if combine else group[0] for group in groups])

    n, cells = columns.shape
    return of_draws(draws(by_seed, n, seed, resamples, cells), n)


def bounded(value: Estimate) -> Estimate:
    """A share with its interval cut at 0 and 1, which a t interval over seeds may leave."""
    low, high = (float(np.clip(end, 0.0, 1.0)) for end in (value.low, value.high))
    return replace(value, low=low, high=high)


def exact_ends(share: Estimate) -> Estimate:
    """A share that is 0 or 1 in all patients gets the inner end of Clopper and Pearson (Biometrika
    1934; 26:404), of 16 patients [0.79, 1]. No resample differs, so it would be [1, 1]."""
    least = ((1.0 - LEVEL) / 2.0) ** (1.0 / share.n)  # where n of n has a probability of 2.5 %
    if share.value == share.low == 1.0:
        return replace(share, low=least)
    return replace(share, high=1.0 - least) if share.value == share.high == 0.0 else share


def share_of_room(value: np.ndarray, floor: np.ndarray, ceiling: np.ndarray) -> np.ndarray:
    """(value - floor) / (ceiling - floor), elementwise: 0 is the floor, 1 the ceiling.

    The share is minus infinity where the ceiling is not above the floor. Such a resample is not
    left out, because an interval must not look good by dropping its bad draws.
    """
    room = ceiling - floor
    return np.where(room > 0, (value - floor) / np.where(room > 0, room, 1.0), -np.inf)


def divide(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Elementwise quotient, NaN where the denominator is 0."""
    return numerator / np.where(denominator == 0, np.nan, denominator)


def mean_of_defined(values: np.ndarray, axis: int = 1) -> np.ndarray:
    """Mean along an axis over the values that are defined; NaN where none is."""
    return divide(np.nansum(values, axis), (~np.isnan(values)).sum(axis))


def sum_and_count(frame: pd.DataFrame, column: str = "score") -> np.ndarray:
    """Per patient the sum of `column` and the number of rows, (n patients, 2), sorted by unit."""
    if frame.empty:
        raise ValueError("no rows to average; check the method, item and seed that were selected")
    if frame[column].isna().any():
        example = frame[frame[column].isna()].iloc[0]
        raise ValueError(
            f"{column} is missing for unit {example['unit']}, ecg {example.get('ecg', '?')}, item "
            f"{example.get('item', '?')}; a mean over the other rows would hide it"
        )
    return frame.groupby("unit")[column].agg(["sum", "count"]).sort_index().to_numpy()


def ratio(totals: np.ndarray) -> np.ndarray:
    """First over second total, (r, 2) -> (r,): a mean where these are a sum and a count."""
    return divide(totals[:, 0], totals[:, 1])


def mean(
    frame: pd.DataFrame, column: str = "score", seed: int = 0, resamples: int = RESAMPLES
) -> Estimate:
    """Mean of `column` over all rows and training seeds (column `seed`), see `across_seeds`."""
    totals = [(sum_and_count(part, column),) for part in split_seeds(frame)]
    return across_seeds(ratio, totals, seed=seed, resamples=resamples)


def paired_difference(a: pd.DataFrame, b: pd.DataFrame, seed: int = 0) -> Estimate:
    """Mean score of a minus that of b on the same rows, both under the same draws of patients; the
    mean over training seeds, see `pair_seeds`."""
    totals = [tuple(sum_and_count(part) for part in pair) for pair in pair_seeds(a, b)]
    return across_seeds(ratio, totals, combine=np.subtract, seed=seed)


def pair_seeds(*frames: pd.DataFrame) -> list[tuple[pd.DataFrame, ...]]:
    """Of each training seed the rows of all frames; one of a single seed stands beside every seed
    of the others. Raises ValueError when they do not cover the same (unit, ecg, item), or several
    seeds that differ."""
    parts = [split_seeds(frame) for frame in frames]
    check_aligned(*(of_frame[0] for of_frame in parts))
    numbers = [[part["seed"].iloc[0] for part in of if "seed" in part] for of in parts]
    several = {tuple(of) for of in numbers if len(of) > 1}
    if len(several) > 1:
        raise _not_aligned(f"seeds {' against '.join(map(str, sorted(several)))}", "seeds")
    each = range(max(map(len, parts)))
    return [tuple(of[min(place, len(of) - 1)] for of in parts) for place in each]


def split_seeds(frame: pd.DataFrame) -> list[pd.DataFrame]:
    """The rows of each training seed, in order. Raises ValueError: their cells differ."""
    if "seed" not in frame or frame["seed"].nunique() < 2:
        return [frame]
    parts = [part for _, part in frame.groupby("seed", sort=True)]
    check_aligned(*parts)
    return parts


def check_aligned(*frames: pd.DataFrame) -> None:
    """Raise ValueError unless all frames hold the same (unit, ecg, item) and targets."""
    cell = ("unit", "ecg", "item", "target")
    columns = ([name for name in cell if name in frame] for frame in frames)
    keys = [of[its].reset_index(drop=True) for of, its in zip(frames, columns, strict=True)]
    if all(keys[0].equals(other) for other in keys[1:]):
        return  # in one order already; sorting takes long
    keys = [key.sort_values(list(key.columns)).reset_index(drop=True) for key in keys]
    for other in keys[1:]:
        if list(other.columns) != list(keys[0].columns) or len(other) != len(keys[0]):
            counts = f"{len(keys[0])} rows against {len(other)}"
            raise _not_aligned(counts, "unit, ecg and item, and on the same seeds")
        differ = (other != keys[0]).any(axis=1).to_numpy()
        if differ.any():
            row = int(np.flatnonzero(differ)[0])
            first, second = (key.iloc[row].to_dict() for key in (keys[0], other))
            raise _not_aligned(f"{first} against {second}", "unit, ecg, item and target")


def _not_aligned(difference: str, same: str) -> ValueError:
    text = f"{difference}; compare methods on the same {same}"
    return ValueError(f"the compared sets are not aligned: {text}")
