"""SCP-ECG statements (the codes of PTB-XL) as states of the 77 labels and as English text.

A row of ``scp_labels.csv`` is one decision with its reason: the state ("present", "uncertain", or
"unknown" where the code leaves the label open) that a code gives to a label; a code that states no
label (label empty); or a label that no code can express (code empty), which stays -1. Rows
``heart_axis=...`` do the same for the values of that column of PTB-XL.
"""

import ast
import csv
from pathlib import Path

import numpy as np
import pandas as pd

from ecglib.labels.label_set import (
    ABSENT,
    NOT_ASSESSABLE,
    PRESENT,
    STATES,
    UNCERTAIN,
    Label,
    parse_label,
)

PATH = Path(__file__).with_name("scp_labels.csv")
STRENGTH = [ABSENT, NOT_ASSESSABLE, UNCERTAIN, PRESENT]  # the strongest statement counts
CERTAIN = 50.0  # likelihood in per cent from which a diagnosis counts as present
AXIS = "heart_axis="


def _read() -> tuple[list[tuple[frozenset[str], Label, int]], set[str], dict[Label, str]]:
    rules, codes, unexpressed = [], set(), {}
    with PATH.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            names = frozenset(name.strip() for name in row["code"].split("&") if name.strip())
            codes |= names
            if names and row["label"]:
                rules.append((names, parse_label(row["label"], PATH), STATES[row["stated"]]))
            elif row["label"]:
                unexpressed[parse_label(row["label"], PATH)] = row["reason"]
    return rules, codes, unexpressed


# Codes (all of them) -> the state of a label; and labels without a code, with the reason.
RULES, _NAMES, UNEXPRESSED = _read()
CODES = frozenset(name for name in _NAMES if not name.startswith(AXIS))
AXES = frozenset(name.removeprefix(AXIS) for name in _NAMES - CODES)
EXPRESSED_BY_AXIS = sorted({label for names, label, _ in RULES if not names <= CODES})
EXPRESSED = sorted({label for names, label, _ in RULES if names <= CODES})


def parse(text: str) -> dict[str, float]:
    """Read the cell ``scp_codes``, e.g. "{'NORM': 100.0, 'SR': 0.0}", in its order. Raises
    ValueError: the cell is no such dictionary."""
    try:
        codes = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        codes = None
    if not isinstance(codes, dict):
        raise ValueError(f"scp_codes: expected a dictionary of likelihoods, got {text!r}")
    return {str(code): float(likelihood) for code, likelihood in codes.items()}


def uncertain(code: str, likelihood: float, statements: pd.DataFrame) -> bool:
    """Whether a diagnosis has a likelihood below `CERTAIN`.
    PTB-XL writes 0 if the likelihood was not stated; form and rhythm statements have none."""
    return statements.at[code, "diagnostic"] == 1 and 0 < likelihood < CERTAIN


def labels(codes: dict[str, float], statements: pd.DataFrame, axis: str = "") -> np.ndarray:
    """Translate the codes of one ECG into the 77 label states, int8 (77,).

    A label that some code can express is absent (0) unless stated; the others stay -1. So do the
    deviations of the axis if the column heart_axis is empty.

    Example: ``{"CLBBB": 100.0, "SR": 0.0}`` makes LBBB and SINUS_RHYTHM present;
    ``{"CLBBB": 35.0}`` makes LBBB uncertain.

    Raises ValueError: a code has no row in ``scp_labels.csv`` or ``scp_statements.csv``, or an axis
    has none in ``scp_labels.csv``.
    """
    for code in codes:
        if code not in CODES or code not in statements.index:
            remedy = f"add it to scp_statements.csv and to {PATH.name}"
            raise ValueError(f"unknown SCP code {code!r}; {remedy}")
    if axis and axis not in AXES:
        known, remedy = ", ".join(sorted(AXES)), f"add it to {PATH.name}"
        raise ValueError(f"heart_axis: expected one of {known}, got {axis!r}; {remedy}")
    states = np.full(len(Label), NOT_ASSESSABLE, np.int8)
    states[EXPRESSED] = ABSENT
    if axis:
        states[EXPRESSED_BY_AXIS] = ABSENT
    doubted = {code for code in codes if uncertain(code, codes[code], statements)}
    for names, label, state in RULES:
        if names <= {*codes, AXIS + axis}:
            if state == PRESENT and names & doubted:
                state = UNCERTAIN
            if STRENGTH.index(state) > STRENGTH.index(states[label]):
                states[label] = state
    return states


def report(codes: dict[str, float], statements: pd.DataFrame) -> str:
    """Word the codes in English: their descriptions, rhythm first, joined by ". ".

    An `uncertain` diagnosis is worded as "possible ...".

    Example: ``{"NORM": 100.0, "SR": 0.0}`` reads "sinus rhythm. normal ECG."
    """
    ordered = sorted(codes, key=lambda code: statements.at[code, "rhythm"] != 1)  # stable
    texts = [
        ("possible " if uncertain(code, codes[code], statements) else "")
        + str(statements.at[code, "description"]).strip()
        for code in ordered
    ]
    return ". ".join(texts) + "." if texts else ""
