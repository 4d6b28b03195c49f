"""LOESS on a uniform grid, where it is a fixed linear filter.

A non-robust LOESS of fixed span fits a line to the `span` nearest points, weighted by Cleveland's
tricube (1 - (d / r)^3)^3 of their distance d over the window's radius r, and keeps the line's value
at the point. With equal steps the weights depend only on the place of the point within its window,
so they are computed once. Away from the ends every point is in the middle of its window, where the
slope drops out, so one symmetric kernel serves all. Within half a span of an end the window stops
at the end, as in `statsmodels.nonparametric.lowess` with it=0, and each place has its own weights.
"""

from functools import lru_cache

import numpy as np
from scipy.ndimage import correlate1d


@lru_cache(maxsize=16)
def weights(span: int) -> np.ndarray:
    """Compute the filter of each place within a window.

    `span`: points in a window, odd, 5 or more. Returns (span, span), read-only: row p holds the
    weights for a point at place p of its window; rows sum to 1, and the middle row is the filter of
    all points with a full window. Raises ValueError: the span is even or below 5 (the outermost
    points weigh nothing, and a line needs more than one).
    """
    if span < 5 or span % 2 == 0:
        raise ValueError(f"expected an odd LOESS span of 5 points or more, got {span}")
    place = np.arange(span, dtype=float)
    offset = place[None, :] - place[:, None]
    distance = np.abs(offset) / np.abs(offset).max(axis=1, keepdims=True)
    tricube = (1 - distance**3) ** 3
    tricube /= tricube.sum(axis=1, keepdims=True)
    mean = (tricube * offset).sum(axis=1, keepdims=True)  # of the window, seen from the point
    spread = (tricube * (offset - mean) ** 2).sum(axis=1, keepdims=True)
    # Value at the point of the weighted least-squares line: w (1 - mean (x - mean) / spread).
    rows = tricube * (1 - mean * (offset - mean) / spread)
    rows.flags.writeable = False
    return rows


def smooth(values: np.ndarray, span: int) -> np.ndarray:
    """Fit values on a uniform grid by LOESS, along the last axis.

    Args:
        values: (..., n), all leads at once.
        span: points in a window, odd, from 5 to n.

    Returns float64 (..., n). No matrix library is used, so the bytes do not depend on threads.
    Raises ValueError: the span is not odd, below 5 or above n.
    """
    values = np.ascontiguousarray(values, dtype=np.float64)
    rows, half = weights(span), span // 2
    if values.shape[-1] < span:
        raise ValueError(f"expected at least {span} points, one LOESS span, got {values.shape[-1]}")
    fit = correlate1d(values, rows[half], axis=-1, mode="nearest")
    fit[..., :half] = np.einsum("...j,ij->...i", values[..., :span], rows[:half])
    fit[..., -half:] = np.einsum("...j,ij->...i", values[..., -span:], rows[half + 1 :])
    return fit
