"""SCP-ECG statements (the codes of PTB-XL) as states of the 77 labels and as English text.

``scp_labels.csv`` holds one decision a row with its reason: which label a code states and how
("present", "uncertain", or "unknown" where the code blurs the label), which codes state none of
the labels (label empty) and which labels no code can express (code empty; they stay -1). Rows
``heart_axis=...`` decide the values of that column of PTB-XL, which states the axis of some ECGs.
"""

import ast
import csv
from pathlib import Path

import numpy as np
import pandas as pd

from ecglib.labels.label_set import (
    ABSENT,
    LABELS,
    NOT_ASSESSABLE,
    PRESENT,
    UNCERTAIN,
    Label,
    parse_label,
)

STATES = {"present": PRESENT, "uncertain": UNCERTAIN, "unknown": NOT_ASSESSABLE}
STRENGTH = [ABSENT, NOT_ASSESSABLE, UNCERTAIN, PRESENT]  # the stronger statement wins
CERTAIN = 50.0  # likelihood in per cent from which a diagnosis counts as present
AXIS = "heart_axis="
Rule = tuple[frozenset[str], Label, int]


def _read_rules() -> tuple[list[Rule], frozenset[str], dict[str, list[Rule]], dict[Label, str]]:
    rules, codes, axes, unexpressed = [], set(), {}, {}
    path = Path(__file__).with_name("scp_labels.csv")
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            label = parse_label(row["label"], path) if row["label"] else None
            if row["code"].startswith(AXIS):
                stated = axes.setdefault(row["code"].removeprefix(AXIS), [])
                if label is not None:
                    stated.append((frozenset(), label, STATES[row["stated"]]))
                continue
            names = frozenset(name.strip() for name in row["code"].split("&") if name.strip())
            codes |= names
            if names and label is not None:
                rules.append((names, label, STATES[row["stated"]]))
            elif label is not None:
                unexpressed[label] = row["reason"]
    return rules, frozenset(codes), axes, unexpressed


RULES, CODES, AXES, UNEXPRESSED = _read_rules()
EXPRESSED = sorted({label for _, label, _ in RULES})
EXPRESSED_BY_AXIS = sorted({label for rules in AXES.values() for _, label, _ in rules})


def parse(text: str) -> dict[str, float]:
    """Read the cell ``scp_codes``, e.g. "{'NORM': 100.0, 'SR': 0.0}", in its order.

    Raises:
        ValueError: where the cell is no such dictionary.
    """
    try:
        codes = ast.literal_eval(text)
    except (ValueError, SyntaxError) as error:
        raise ValueError(f"scp_codes {text!r} is not a dictionary of likelihoods") from error
    if not isinstance(codes, dict):
        raise ValueError(f"scp_codes {text!r} is not a dictionary of likelihoods")
    return {str(code): float(likelihood) for code, likelihood in codes.items()}


def uncertain(code: str, likelihood: float, statements: pd.DataFrame) -> bool:
    """Say whether a diagnosis was given less than even odds.

    PTB-XL writes 0 where the likelihood was not stated, and form and rhythm statements carry none.
    """
    return statements.at[code, "diagnostic"] == 1 and 0 < likelihood < CERTAIN


def labels(codes: dict[str, float], statements: pd.DataFrame, axis: str = "") -> np.ndarray:
    """Translate the codes of one ECG into the 77 label states, int8 (77,).

    A label that some code can express is absent (0) unless stated; the others stay -1. So do the
    deviations of the axis unless the column heart_axis holds a value.

    Example: ``{"CLBBB": 100.0, "SR": 0.0}`` makes labels 0 and 6 present, ``{"CLBBB": 35.0}``
    makes 6 uncertain.

    Raises:
        ValueError: for a code without a row in ``scp_labels.csv`` or ``scp_statements.csv``, or an
            axis without one in ``scp_labels.csv``.
    """
    for code in codes:
        if code not in CODES or code not in statements.index:
            raise ValueError(
                f"unknown SCP code {code!r}; scp_statements.csv and ecglib/labels/scp_labels.csv "
                "must both list it"
            )
    if axis and axis not in AXES:
        raise ValueError(
            f"unknown heart_axis {axis!r}; ecglib/labels/scp_labels.csv lists {', '.join(AXES)}"
        )
    states = np.full(len(LABELS), NOT_ASSESSABLE, np.int8)
    states[EXPRESSED] = ABSENT
    if axis:
        states[EXPRESSED_BY_AXIS] = ABSENT
    for names, label, state in (*RULES, *AXES.get(axis, ())):
        if names <= codes.keys():
            if state == PRESENT and any(uncertain(n, codes[n], statements) for n in names):
                state = UNCERTAIN
            if STRENGTH.index(state) > STRENGTH.index(states[label]):
                states[label] = state
    return states


def report(codes: dict[str, float], statements: pd.DataFrame) -> str:
    """Word the codes in English: their descriptions, rhythm first, joined by ". ".

    A diagnosis of less than even odds is worded as "possible ...".

    Example: ``{"NORM": 100.0, "SR": 0.0}`` reads "sinus rhythm. normal ECG."
    """
    ordered = sorted(codes, key=lambda code: statements.at[code, "rhythm"] != 1)  # stable
    texts = [
        ("possible " if uncertain(code, codes[code], statements) else "")
        + str(statements.at[code, "description"]).strip()
        for code in ordered
    ]
    return ". ".join(texts) + "." if texts else ""
