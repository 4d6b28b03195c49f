"""Tables that describe a cohort: its patients, ECGs and labels, how well its ECGs can be read, and
where they are beside the limits of definitions."""

import numpy as np
import pandas as pd

from ecglib.cohorts.split import FRACTIONS, persons
from ecglib.cohorts.store import LABEL_COLUMNS
from ecglib.labels.label_set import (
    ABSENT,
    CATEGORIES,
    LABELS,
    NOT_ASSESSABLE,
    PRESENT,
    PREVALENCE_MHI,
    UNCERTAIN,
)
from ecglib.signals.leads import LEADS

BINS = 22  # of a histogram around a limit


def describe(records: pd.DataFrame) -> pd.DataFrame:
    """Describe the whole cohort and each split. The same patient_id in two sources is two people.

    Returns one row per property, columns ``property``, ``all``, ``train``, ``validation``,
    ``test``; the cells are text, "-" for a property that no source states. ``tokenizer_train``
    comes before ``train`` if a tokenizer reads other ECGs than ``train``, and ``transfer`` comes
    last if the cohort has such ECGs. ECGs without any use count in ``all`` only.
    """
    parts = {"all": records}
    tokenizer = records["tokenizer_train"].to_numpy(dtype=bool)
    if (tokenizer & (records["split"] != "train")).any():
        parts["tokenizer_train"] = records[tokenizer]
    parts |= {name: records[records["split"] == name] for name in FRACTIONS}
    if (records["split"] == "transfer").any():
        parts["transfer"] = records[records["split"] == "transfer"]
    columns = {name: _properties(part) for name, part in parts.items()}
    return pd.DataFrame(columns).rename_axis("property").reset_index()


def prevalence(records: pd.DataFrame) -> pd.DataFrame:
    """Count the states of all 77 labels.

    Returns columns ``label``, ``category`` (both for a label of two), ``assessable`` (number of
    ECGs), ``present``, ``uncertain``, ``percent`` (present of assessable; NaN where none is) and
    ``mhi_percent``, the prevalence among the training ECGs of the Montreal Heart Institute (see
    `ecglib.labels.label_set`).
    """
    labels = records[LABEL_COLUMNS].to_numpy()
    members = CATEGORIES.items()
    categories = [[c for c, inside in members if i in inside] for i in range(len(LABELS))]
    table = pd.DataFrame({"label": LABELS, "category": [", ".join(c) for c in categories]})
    table["assessable"] = (labels != NOT_ASSESSABLE).sum(axis=0)
    table["present"] = (labels == PRESENT).sum(axis=0)
    table["uncertain"] = (labels == UNCERTAIN).sum(axis=0)
    table["percent"] = 100 * table["present"] / table["assessable"].replace(0, np.nan)
    return table.assign(mhi_percent=PREVALENCE_MHI)


def readability(records: pd.DataFrame) -> pd.DataFrame:
    """How well the ECGs can be read, and what the cleaning did: columns property and value."""
    quality = records["quality"]
    values = {
        "quality score, 5th percentile": quality.quantile(0.05),
        "quality score, median": quality.median(),
        "score below 0.5 (% of ECGs)": 100 * (quality < 0.5).mean(),
        "high-passed leads (% of leads)": 100 * (records["high_passed"] / len(LEADS)).mean(),
        "mains line flattened (% of ECGs)": 100 * (records["mains"] != "").mean(),
    }
    return pd.DataFrame(values.items(), columns=["property", "value"]).round(3)


def around_limits(
    values: pd.DataFrame, states: np.ndarray, definitions: dict[str, tuple]
) -> pd.DataFrame:
    """Count ECGs by a measured quantity and by whether a label defined by it is present.

    Args:
        values: (N rows) a column per quantity.
        states: int8 (N, 77) label states.
        definitions: column -> name of the quantity, unit, limit of the definition, the two ends of
            the histogram, labels. An ECG is a case if one of the labels is present, and none if all
            are absent; others are not counted.

    Returns one row per bin and state: columns quantity, unit, limit, labels (names), state (present
    or absent), low, high, ecgs.
    """
    tables = []
    for column, (quantity, unit, limit, ends, labels) in definitions.items():
        names, edges = " or ".join(LABELS[i] for i in labels), np.linspace(*ends, BINS + 1)
        own = states[:, labels]
        cases = {"present": (own == PRESENT).any(1), "absent": (own == ABSENT).all(1)}
        for state, belongs in cases.items():
            counts, _ = np.histogram(values.loc[belongs, column].dropna(), edges)
            table = pd.DataFrame({"low": edges[:-1], "high": edges[1:], "ecgs": counts})
            same = {"quantity": quantity, "unit": unit, "limit": float(limit), "labels": names}
            tables.append(table.assign(state=state, **same))
    return pd.concat(tables, ignore_index=True)


def _properties(part: pd.DataFrame) -> dict[str, str]:
    _, first = np.unique(persons(part), return_index=True)
    patients, verified = part.iloc[first], part.loc[part["source"] != "synthetic", "verified"]
    sexes = patients["sex"][patients["sex"] != ""]
    return {
        "patients": f"{len(patients)}",
        "ECGs": f"{len(part)}",
        "hospitals": f"{part['site'][part['site'] != ''].nunique()}",
        "devices": f"{part['device'][part['device'] != ''].nunique()}",
        "original rate (Hz)": ", ".join(f"{rate:g}" for rate in sorted(part["rate"].unique())),
        "women (% of patients)": f"{100 * np.mean(sexes == 'F'):.1f}" if len(sexes) else "-",
        "age (years, median and quartiles)": _quartiles(part["age"]),
        "report (words, median and quartiles)": _quartiles(part["report"].str.split().str.len()),
        "read by a physician (% of ECGs)": f"{100 * verified.mean():.1f}" if len(verified) else "-",
    }


def _quartiles(values: pd.Series) -> str:
    known = values.dropna()
    if known.empty:
        return "-"
    low, middle, high = np.percentile(known, [25, 50, 75])
    return f"{middle:.0f} [{low:.0f}, {high:.0f}]"
