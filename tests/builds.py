"""Building a cohort in a test: one call, one worker."""

from pathlib import Path
from types import SimpleNamespace

from ecglib.cohorts.build import build
from ecglib.cohorts.store import Cohort


def build_cohort(out: Path, root: Path | None = None, threads: int = 1, **config) -> Cohort:
    """Build a cohort from a data folder, or from the simulator where there is none."""
    inputs = {} if root is None else {"data": root}
    machine = SimpleNamespace(threads=threads)  # all that a build reads of it, and no torch
    build(out, inputs, config, 0, machine)
    return Cohort.open(out)
