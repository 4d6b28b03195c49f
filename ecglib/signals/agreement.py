"""Tables that compare measurements with known truth, or between groups of recordings."""

import numpy as np
import pandas as pd


def agreement(measured: pd.DataFrame, truth: pd.DataFrame, units: dict[str, str]) -> pd.DataFrame:
    """Bias and 95 % limits of agreement (Bland and Altman 1986, Lancet 1:307).

    Args:
        measured, truth: one row per recording, in the same order; NaN where a value could not be
            measured or does not exist.
        units: measures to compare and their units; "degrees" are compared the short way round.

    Returns:
        one row per measure: ``measure``, ``unit``, ``n`` (both known), ``bias`` (mean of measured -
        true), ``low`` and ``high`` (bias -+ 1.96 SD of the differences), ``missed`` (true value
        known, nothing measured), ``invented`` (measured, but no true value exists).

    Raises ValueError: the tables differ in length.
    """
    if len(measured) != len(truth):
        raise ValueError(f"expected values for each of {len(truth)} truths, got {len(measured)}")
    rows = []
    for name, unit in units.items():
        measured_values, true_values = measured[name].to_numpy(float), truth[name].to_numpy(float)
        gap = measured_values - true_values
        if unit == "degrees":
            gap = (gap + 180) % 360 - 180
        gap = gap[np.isfinite(gap)]
        bias = gap.mean() if len(gap) else np.nan
        half_width = 1.96 * gap.std(ddof=1) if len(gap) > 1 else np.nan
        row = {"measure": name, "unit": unit, "n": len(gap), "bias": bias}
        row |= {"low": bias - half_width, "high": bias + half_width}
        row["missed"] = int((np.isnan(measured_values) & np.isfinite(true_values)).sum())
        row["invented"] = int((np.isfinite(measured_values) & np.isnan(true_values)).sum())
        rows.append(row)
    return pd.DataFrame(rows)


def medians(values: pd.Series, groups: dict[str, np.ndarray]) -> pd.DataFrame:
    """Median and quartiles of one measure in groups of recordings.

    Args:
        values: one per recording; NaN where it could not be measured.
        groups: name -> bool (n,), the recordings that belong to it.

    Returns:
        one row per group: ``measure``, ``group``, ``n`` (measured), ``missing``, ``median``,
        ``lower``, ``upper`` (quartiles; NaN where n is 0).
    """
    rows = []
    for group, member in groups.items():
        members = values[np.asarray(member, dtype=bool)]
        known = members.dropna()
        quartiles = np.percentile(known, [25, 50, 75]) if len(known) else np.full(3, np.nan)
        lower, middle, upper = quartiles
        row = {"measure": values.name, "group": group, "n": len(known)}
        row |= {"missing": len(members) - len(known), "median": middle}
        rows.append(row | {"lower": lower, "upper": upper})
    return pd.DataFrame(rows)
