"""Building a cohort, changing a table, findings of a text, calls that must fail, real recordings.

Tests look for recordings of people only in folders that environment variables name.
"""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

from ecglib.cohorts.build import build
from ecglib.cohorts.store import Cohort
from ecglib.labels.findings import FINDINGS
from ecglib.labels.label_set import NOT_ASSESSABLE, Label
from ecglib.labels.labeller import read

REAL = {
    "ECGLIB_PTBXL_MINI": "PTB-XL or a part of it",
    "ECGLIB_LUDB": "LUDB or a part of it",
    "ECGLIB_MIMIC_MINI": "MIMIC-IV-ECG or a part of it",
    "ECGLIB_MIMIC_TEXT": "machine_reports.csv of MIMIC-IV-ECG",
    "ECGLIB_CINC2011": "set-a-half.npz of the PhysioNet/CinC Challenge 2011",
}


def build_cohort(out: Path, root: Path | None = None, threads: int = 1, **config) -> Cohort:
    """Build a cohort from a data folder, or from the simulator where there is none."""
    inputs = {} if root is None else {"data": root}
    machine = SimpleNamespace(threads=threads)  # all that a build reads of it, and no torch
    build(out, inputs, config, 0, machine)
    return Cohort.open(out)


def change(file: Path, **columns: object) -> None:
    """Write a CSV or Parquet table again with some columns replaced (None: left out)."""
    parquet = file.suffix == ".parquet"
    table = pd.read_parquet(file) if parquet else pd.read_csv(file, dtype=str, na_filter=False)
    for name, values in columns.items():
        table = table.drop(columns=name) if values is None else table.assign(**{name: values})
    table.to_parquet(file) if parquet else table.to_csv(file, index=False)


def read_findings(text: str) -> dict[Label, int]:
    """States of the findings that the words of a text state."""
    states = read(text).states
    return {i: s for i, s in states.items() if i in FINDINGS and s != NOT_ASSESSABLE}


def raises(kind: type[Exception], message: str, call: Callable, *args: object, **options: object):
    """A call raises an error of a kind, whose text matches."""
    with pytest.raises(kind, match=message):
        call(*args, **options)


refused, missing = partial(raises, ValueError), partial(raises, FileNotFoundError)


def real(variable: str) -> Path | None:
    """The folder that the variable names; None where it is not set.

    Raises:
        ValueError: the variable names no folder; a wrong path must not look like a skipped test.
    """
    value = os.environ.get(variable)
    if value and not Path(value).is_dir():
        raise ValueError(f"{variable} names {value}, which is not a folder; correct or unset it")
    return Path(value) if value else None


def needs(variable: str) -> pytest.MarkDecorator:
    """Skips a test, with the reason, where the variable is not set."""
    reason = f"set {variable} to the folder of {REAL[variable]}"
    return pytest.mark.skipif(real(variable) is None, reason=reason)
