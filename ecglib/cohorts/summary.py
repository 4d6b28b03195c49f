"""Tables that describe a cohort: its patients and ECGs, and the prevalence of each label."""

import numpy as np
import pandas as pd

from ecglib.cohorts.split import FRACTIONS, persons
from ecglib.cohorts.store import LABEL_COLUMNS
from ecglib.labels.label_set import (
    CATEGORIES,
    LABELS,
    NOT_ASSESSABLE,
    PRESENT,
    PREVALENCE_MHI,
    UNCERTAIN,
)


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
    ``mhi_percent``, the prevalence that ECG-Tok reports for the Montreal Heart Institute.
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


def _properties(part: pd.DataFrame) -> dict[str, str]:
    _, first = np.unique(persons(part), return_index=True)
    patients, verified = part.iloc[first], part["verified"]
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
        "read by a physician (% of ECGs)": f"{100 * verified.mean():.1f}" if len(part) else "-",
    }


def _quartiles(values: pd.Series) -> str:
    known = values.dropna()
    if known.empty:
        return "-"
    low, middle, high = np.percentile(known, [25, 50, 75])
    return f"{middle:.0f} [{low:.0f}, {high:.0f}]"
