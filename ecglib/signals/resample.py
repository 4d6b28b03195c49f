"""Change of sampling rate, with the anti-aliasing filter that it needs."""

import math
from fractions import Fraction

import numpy as np
from scipy.signal import resample_poly

from ecglib.signals.leads import RATE

LARGEST = 1000  # factor of the polyphase filter


def can_resample(rate_in: float, rate_out: float = RATE) -> bool:
    """Whether `to_rate` accepts two rates: finite, positive, in the ratio of small integers."""
    if not (math.isfinite(rate_in) and rate_in > 0 and rate_out > 0):
        return False
    return rate_in == rate_out or max(_ratio(rate_in, rate_out).as_integer_ratio()) <= LARGEST


def to_rate(signal: np.ndarray, rate_in: float, rate_out: float = RATE) -> np.ndarray:
    """Resample along the last axis by a polyphase filter (Kaiser window, zero phase).

    Args:
        signal: (..., n) at `rate_in` Hz.
        rate_in, rate_out: Hz; their ratio must be a fraction of small integers.

    Returns:
        float32 (..., ceil(n * rate_out / rate_in)). Both ends are extended along the line
        through the first and last sample, so that an offset rings at neither.

    Raises ValueError: a rate is not positive, or their ratio needs a factor above 1000.
    """
    if not (rate_in > 0 and rate_out > 0):
        raise ValueError(f"expected positive sampling rates, got {rate_in} and {rate_out} Hz")
    if rate_in == rate_out:
        return np.array(signal, dtype=np.float32)
    ratio = _ratio(rate_in, rate_out)
    if not can_resample(rate_in, rate_out):
        raise ValueError(
            f"expected rates in the ratio of small integers, got {rate_in} to {rate_out} Hz "
            f"({ratio.numerator}/{ratio.denominator}); round the rate first"
        )
    out = resample_poly(signal, ratio.numerator, ratio.denominator, axis=-1, padtype="line")
    return out.astype(np.float32)


def _ratio(rate_in: float, rate_out: float) -> Fraction:
    """rate_out / rate_in, after each is rounded to a fraction of at most 10,000ths."""
    new, old = (Fraction(rate).limit_denominator(10_000) for rate in (rate_out, rate_in))
    return new / old
