"""AUC and average precision of fixed cells as functions of patient weights.

The distinct scores of one class are levels. Two sparse matrices count the cells of each patient at
each level, and their product with the weights serves all resamples at once. All sums of the AUC are
sums of whole or half numbers and therefore exact: the order of summation and single precision do
not change them.
"""

from functools import cached_property, lru_cache
from hashlib import blake2b

import numpy as np
from scipy.sparse import csr_array

from ecglib.evaluate.bootstrap import KEPT, RESAMPLES, divide, draws, patient_weights

EXACT = 2**23  # half numbers up to here are exact in single precision
CURVES = 8192  # whose draws are kept, 16 kB each
_draws: dict[tuple, np.ndarray] = {}


def exact_kind(largest: float, cells: int) -> type:
    """The type in which sums of `cells` cells are exact, with whole weights up to `largest`."""
    return np.float32 if largest * cells < EXACT else np.float64


def by_patient(weights: np.ndarray, cells: int) -> np.ndarray:
    """Weights (r, n) as (n, r): float32 where the sums of `cells` cells are exact, else float64."""
    columns = np.ascontiguousarray(weights.T, dtype=np.float32)
    whole = np.array_equal(columns, np.rint(columns))
    if whole and exact_kind(columns.max(initial=0.0), cells) is np.float32:
        return columns
    return np.ascontiguousarray(weights.T, dtype=np.float64)


@lru_cache(maxsize=2)
def _kept_columns(n: int, resamples: int, seed: int) -> tuple[np.ndarray, float]:
    """Weights of the sample, then of each resample, (n, 1 + r) in single precision, read-only; and
    the largest of them."""
    counts = next(patient_weights(n, resamples, seed, max(1, resamples)), np.ones((0, n)))
    columns = np.vstack([np.ones((1, n)), counts]).T.astype(np.float32, order="C")
    columns.flags.writeable = False
    return columns, float(columns.max(initial=0.0))


@lru_cache(maxsize=64)
def _kept_sums(counts: bytes, n: int, resamples: int, seed: int) -> np.ndarray:
    """Weights of all cells in the sample and in each resample, (1 + r,), read-only. `counts`: cells
    of each patient, float32. Most labels have the same, and so do all methods that score a label;
    the product, which reads all weights, is therefore kept."""
    columns, largest = _kept_columns(n, resamples, seed)
    cells = np.frombuffer(counts, np.float32)
    cells = cells.astype(exact_kind(largest, int(cells.sum(dtype=np.float64))), copy=False)
    sums = (cells @ columns[: len(cells)]).astype(np.float64)
    sums.flags.writeable = False
    return sums


def accumulate(rows: np.ndarray) -> np.ndarray:
    """Cumulated sum along the first axis, in place; faster than NumPy's for long rows."""
    if rows.shape[1] < 300:
        return np.cumsum(rows, axis=0, out=rows)
    for i in range(1, len(rows)):
        np.add(rows[i], rows[i - 1], out=rows[i])
    return rows


class WeightedCurve:
    """Cells as counts at levels of the score; a subclass says which number it makes of them.

    targets (m,) of 0/1, scores (m,), patients (m,) = index of the patient of each cell, 0..n-1.
    Called with whole weights (r, n) it returns (r,), NaN where a class has no weight.
    """

    def __init__(self, targets: np.ndarray, scores: np.ndarray, patients: np.ndarray) -> None:
        self.cells, self.patients = len(targets), int(np.max(patients, initial=-1)) + 1
        self.given = np.asarray(targets) == 1, np.asarray(scores), np.asarray(patients)
        self.digest = blake2b(b"".join(array.tobytes() for array in self.given)).digest()
        self.of_patient = np.bincount(patients, minlength=self.patients).astype(np.float32)

    @cached_property
    def counts(self) -> tuple[csr_array, csr_array]:
        """Of the cells that define the levels, and of the others. They are counted when they are
        first needed, because draws of equal cells may be kept already."""
        targets, scores, patients = self.given
        chosen, scores = self.choose(targets, scores)
        levels, of_chosen = np.unique(scores[chosen], return_inverse=True)
        own = self._counts(len(levels), of_chosen, patients[chosen], 1.0)
        below, upto = (np.searchsorted(levels, scores[~chosen], side) for side in ("left", "right"))
        return own, self.count_others(len(levels), below, upto, patients[~chosen])

    def _counts(
        self, number: int, levels: np.ndarray, patients: np.ndarray, each: float
    ) -> csr_array:
        """(number of levels, patients): how much each patient has at a level; what is above all is
        left out. Cells of one patient at one level are summed."""
        kept = levels < number
        values = np.full(kept.sum(), each, dtype=np.float32)
        places = (levels[kept], patients[kept])
        return csr_array((values, places), shape=(number, self.patients))

    def choose(self, targets: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Which cells define the levels, bool (m,), and the scores to sort by."""
        raise NotImplementedError

    def count_others(
        self, number: int, below: np.ndarray, upto: np.ndarray, patients: np.ndarray
    ) -> csr_array:
        """Counts of the other cells at a number of levels, of which `below` (`upto`) are lower (or
        equal)."""
        raise NotImplementedError

    def __call__(self, weights: np.ndarray) -> np.ndarray:
        return self.of_columns(by_patient(weights, self.cells))

    def of_columns(self, columns: np.ndarray, sums: np.ndarray | None = None) -> np.ndarray:
        """As a call, with weights (n, r) of `by_patient`: one copy serves several curves. `sums`:
        the weights of all cells, (r,), where they are known."""
        columns = columns[: self.patients]
        sums = self.of_patient @ columns if sums is None else sums
        chosen, other = self.counts[0] @ columns, accumulate(self.counts[1] @ columns)
        total = chosen.sum(0, dtype=np.float64)
        return self.summary(chosen, total, other, sums - total)

    def draws(self, n: int, seed: int = 0, resamples: int = RESAMPLES) -> np.ndarray:
        """Its value for the n patients, then for each resample, (1 + r,). The draws are kept,
        because a table per label, a mean over labels and differences share them."""
        key = (type(self), self.digest, n, seed, resamples)
        if key not in _draws:
            if len(_draws) >= CURVES:
                del _draws[next(iter(_draws))]  # the oldest
            _draws[key] = self._computed(n, seed, resamples)
        return _draws[key]

    def _computed(self, n: int, seed: int, resamples: int) -> np.ndarray:
        """The draws, from columns that all curves share where these are few enough to keep."""
        if n * (1 + resamples) > KEPT:
            return draws(lambda w: self(w)[None], n, seed, resamples, self.cells)[0]
        columns, largest = _kept_columns(n, resamples, seed)
        kind = exact_kind(largest, self.cells)
        # Most labels come in one piece, because a slice would be copied.
        chunk = max(1, KEPT // (self.cells + n))
        sums = _kept_sums(self.of_patient.tobytes(), n, resamples, seed)
        pieces = [slice(at, at + chunk) for at in range(0, 1 + resamples, chunk)]
        values = (self.of_columns(columns[:, p].astype(kind, copy=False), sums[p]) for p in pieces)
        return np.concatenate(list(values))

    def summary(
        self, chosen: np.ndarray, total: np.ndarray, other: np.ndarray, others: np.ndarray
    ) -> np.ndarray:
        """Weights (levels, r) of the chosen cells at each level and their sum (r,), and of the
        others up to it and their sum -> (r,)."""
        raise NotImplementedError


class WeightedAUC(WeightedCurve):
    """The ROC-AUC."""

    def choose(self, targets: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        # exchanging the classes and the sign of the score leaves the AUC as it is
        few = 2 * targets.sum() <= len(targets)
        return (targets, scores) if few else (~targets, -scores)

    def count_others(
        self, number: int, below: np.ndarray, upto: np.ndarray, patients: np.ndarray
    ) -> csr_array:
        # a tie is half won by its own level, and wholly by the next
        return self._counts(number, np.r_[below, upto], np.r_[patients, patients], 0.5)

    def summary(
        self, chosen: np.ndarray, total: np.ndarray, other: np.ndarray, others: np.ndarray
    ) -> np.ndarray:
        return divide(np.einsum("kr,kr->r", chosen, other, dtype=np.float64), total * others)


class WeightedAveragePrecision(WeightedCurve):
    """Average precision, not interpolated: the mean over positives of the precision at their score.

    Sum over thresholds of (recall - recall before) times precision, as scikit-learn's
    `average_precision_score`; cells of equal score enter together.
    """

    def choose(self, targets: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return targets, -scores

    def count_others(
        self, number: int, below: np.ndarray, upto: np.ndarray, patients: np.ndarray
    ) -> csr_array:
        return self._counts(number, below, patients, 1.0)

    def summary(
        self, chosen: np.ndarray, total: np.ndarray, other: np.ndarray, others: np.ndarray
    ) -> np.ndarray:
        true = accumulate(chosen.astype(np.float64))
        called = true + other
        gained = np.einsum("kr,kr->r", chosen, true / np.where(called > 0, called, 1.0))
        return np.where(others > 0, divide(gained, total), np.nan)
