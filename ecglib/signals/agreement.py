"""Two tables that judge measurements: against known truth, and against what a reader stated."""

import numpy as np
import pandas as pd


def agreement(measured: pd.DataFrame, truth: pd.DataFrame, units: dict[str, str]) -> pd.DataFrame:
    """Bias and 95 % limits of agreement (Bland and Altman 1986, Lancet 1:307).

    Args:
        measured, truth: one row a recording, in the same order; NaN where something could not be
            measured or does not exist.
        units: measures to compare and their units; differences in "degrees" are the short way
            round.

    Returns:
        one row a measure: ``measure``, ``unit``, ``n`` (both known), ``bias`` (mean of measured -
        true), ``low`` and ``high`` (bias -+ 1.96 SD of the differences), ``missed`` (true value
        known, nothing measured), ``invented`` (measured although there is nothing to measure).

    Raises:
        ValueError: the tables differ in length.
    """
    if len(measured) != len(truth):
        raise ValueError(
            f"{len(measured)} measurements and {len(truth)} truths cannot be compared row by row"
        )
    rows = []
    for name, unit in units.items():
        ours, true = measured[name].to_numpy(float), truth[name].to_numpy(float)
        gap = ours - true
        if unit == "degrees":
            gap = (gap + 180) % 360 - 180
        gap = gap[np.isfinite(gap)]
        bias = gap.mean() if len(gap) else np.nan
        reach = 1.96 * gap.std(ddof=1) if len(gap) > 1 else np.nan
        row = {"measure": name, "unit": unit, "n": len(gap), "bias": bias}
        row |= {"low": bias - reach, "high": bias + reach}
        row["missed"] = int((np.isnan(ours) & np.isfinite(true)).sum())
        row["invented"] = int((np.isfinite(ours) & np.isnan(true)).sum())
        rows.append(row)
    return pd.DataFrame(rows)


def medians(values: pd.Series, groups: dict[str, np.ndarray]) -> pd.DataFrame:
    """Median and quartiles of one measure in groups of recordings.

    Args:
        values: one a recording; NaN where it could not be measured.
        groups: name -> bool (n,), which recordings belong to it.

    Returns:
        one row a group: ``measure``, ``group``, ``n`` (measured), ``missing``, ``median``,
        ``lower``, ``upper`` (quartiles; NaN where n is 0).
    """
    rows = []
    for group, member in groups.items():
        mine = values[np.asarray(member, dtype=bool)]
        known = mine.dropna()
        lower, middle, upper = (
            np.percentile(known, [25, 50, 75]) if len(known) else np.full(3, np.nan)
        )
        row = {"measure": values.name, "group": group, "n": len(known)}
        row |= {"missing": len(mine) - len(known), "median": middle}
        rows.append(row | {"lower": lower, "upper": upper})
    return pd.DataFrame(rows)
