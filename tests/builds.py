"""Building a cohort in one call, changing the table of a data set, and calls that must fail."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

from ecglib.cohorts.build import build
from ecglib.cohorts.store import Cohort


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


def raises(kind: type[Exception], message: str, call: Callable, *args: object, **options: object):
    """A call raises an error of a kind, whose text matches."""
    with pytest.raises(kind, match=message):
        call(*args, **options)


refused, missing = partial(raises, ValueError), partial(raises, FileNotFoundError)
