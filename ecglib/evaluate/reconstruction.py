"""Errors of a reconstruction against its original: pure functions of arrays in millivolts.

Arrays are (n records, 12 leads, T samples); `n_valid` (n,) is the number of real samples of each
record, and padding does not count in any error.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd

CHUNK = 64  # ECGs in memory at a time


def per_record(
    original: np.ndarray, reconstruction: np.ndarray, n_valid: np.ndarray
) -> pd.DataFrame:
    """Errors over leads and valid samples, one row per record.

    Columns mae_mv (mean absolute error), rmse_mv (root mean square error) and prd_percent, the
    percentage root-mean-square difference 100 sqrt(sum (x - y)^2 / sum (x - m)^2). m is the mean of
    each lead (the normalised PRD, because an offset in the original would lower the plain one);
    it is NaN for a record that is flat in all leads. Raises ValueError: the arrays do not fit
    together.
    """
    n_valid = np.asarray(n_valid)
    if original.shape != reconstruction.shape or original.ndim != 3:
        given = f"{original.shape} and {reconstruction.shape}"
        raise ValueError(f"expected two arrays of one shape (records, leads, samples), got {given}")
    if n_valid.shape != original.shape[:1]:
        raise ValueError(
            f"expected n_valid of one number per record, got {n_valid.shape} for {len(original)}"
        )
    if ((n_valid < 1) | (n_valid > original.shape[2])).any():
        given = f"{n_valid.min()}..{n_valid.max()}"
        raise ValueError(f"expected n_valid in 1..{original.shape[2]}, got {given}")
    mask = np.arange(original.shape[2])[None, None, :] < n_valid[:, None, None]
    x = original.astype(np.float64)
    by_lead = (np.abs(x - reconstruction) * mask).sum(axis=2) / n_valid[:, None]
    square = ((x - reconstruction) ** 2 * mask).sum(axis=(1, 2))
    mean = (x * mask).sum(axis=2, keepdims=True) / n_valid[:, None, None]
    power = ((x - mean) ** 2 * mask).sum(axis=(1, 2))
    table = pd.DataFrame({"mae_mv": by_lead.mean(axis=1)})
    table["rmse_mv"] = np.sqrt(square / (n_valid * original.shape[1]))
    table["prd_percent"] = 100.0 * np.sqrt(square / np.where(power > 0, power, np.nan))
    return table


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
