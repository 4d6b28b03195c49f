"""Errors of a reconstruction against its original: pure functions of arrays in millivolts.

Arrays are (n records, 12 leads, T samples); `n_valid` (n,) is the number of real samples of each
record, and padding does not count in any error.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd

CHUNK = 64  # ECGs in memory at a time


def _mask(original: np.ndarray, reconstruction: np.ndarray, n_valid: np.ndarray) -> np.ndarray:
    """(n, 1, T) booleans of the valid samples; ValueError for arrays that do not fit together."""
    if original.shape != reconstruction.shape or original.ndim != 3:
        raise ValueError(
            "expected original and reconstruction of one shape (records, leads, samples), got "
            f"{original.shape} and {reconstruction.shape}"
        )
    n_valid = np.asarray(n_valid)
    if n_valid.shape != original.shape[:1]:
        raise ValueError(
            f"expected n_valid of one number per record, got {n_valid.shape} for {len(original)}"
        )
    if ((n_valid < 1) | (n_valid > original.shape[2])).any():
        raise ValueError(
            f"expected n_valid in 1..{original.shape[2]}, got {n_valid.min()}..{n_valid.max()}"
        )
    return np.arange(original.shape[2])[None, None, :] < n_valid[:, None, None]


def mae_by_lead(
    original: np.ndarray, reconstruction: np.ndarray, n_valid: np.ndarray
) -> np.ndarray:
    """Mean absolute error in mV, (n, leads)."""
    mask = _mask(original, reconstruction, n_valid)
    error = np.abs(original.astype(np.float64) - reconstruction)
    return (error * mask).sum(axis=2) / np.asarray(n_valid)[:, None]


def mae_mv(original: np.ndarray, reconstruction: np.ndarray, n_valid: np.ndarray) -> np.ndarray:
    """Mean absolute error in mV over leads and samples, (n,)."""
    return mae_by_lead(original, reconstruction, n_valid).mean(axis=1)


def rmse_mv(original: np.ndarray, reconstruction: np.ndarray, n_valid: np.ndarray) -> np.ndarray:
    """Root mean square error in mV over leads and samples, (n,)."""
    mask = _mask(original, reconstruction, n_valid)
    square = ((original.astype(np.float64) - reconstruction) ** 2 * mask).sum(axis=(1, 2))
    return np.sqrt(square / (np.asarray(n_valid) * original.shape[1]))


def prd_percent(
    original: np.ndarray, reconstruction: np.ndarray, n_valid: np.ndarray
) -> np.ndarray:
    """Percentage root-mean-square difference 100 sqrt(sum (x - y)^2 / sum (x - m)^2), (n,).

    m is the mean of each lead (the normalised PRD, because an offset in the original would lower
    the plain one). NaN for a record that is flat in all leads.
    """
    mask = _mask(original, reconstruction, n_valid)
    x = original.astype(np.float64)
    mean = (x * mask).sum(axis=2, keepdims=True) / np.asarray(n_valid)[:, None, None]
    error = ((x - reconstruction) ** 2 * mask).sum(axis=(1, 2))
    power = ((x - mean) ** 2 * mask).sum(axis=(1, 2))
    return 100.0 * np.sqrt(error / np.where(power > 0, power, np.nan))


def per_record(
    original: np.ndarray, reconstruction: np.ndarray, n_valid: np.ndarray
) -> pd.DataFrame:
    """Columns mae_mv, rmse_mv, prd_percent; one row per record."""
    arrays = (original, reconstruction, n_valid)
    columns = {"mae_mv": mae_mv, "rmse_mv": rmse_mv, "prd_percent": prd_percent}
    return pd.DataFrame({name: function(*arrays) for name, function in columns.items()})


def streamed(
    original: Callable[[slice], np.ndarray],
    reconstruction: Callable[[slice], np.ndarray],
    n_valid: np.ndarray,
) -> pd.DataFrame:
    """`per_record` of more records than fit into memory.

    Args:
        original, reconstruction: functions from a slice of the records to their arrays.
        n_valid: (n,) of all records.
    """
    parts = [slice(start, start + CHUNK) for start in range(0, len(n_valid), CHUNK)]
    tables = [per_record(original(part), reconstruction(part), n_valid[part]) for part in parts]
    return pd.concat(tables, ignore_index=True)
