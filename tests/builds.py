"""Building a cohort in a test: one call, one worker."""

from pathlib import Path

from ecglib.cohorts.build import build
from ecglib.cohorts.store import Cohort
from ecglib.training.device import Machine


def build_cohort(out: Path, root: Path | None = None, threads: int = 1, **config) -> Cohort:
    """Build a cohort from a data folder, or from the simulator where there is none."""
    inputs = {} if root is None else {"data": root}
    build(out, inputs, config, 0, Machine("cpu", "float32", threads, "a test"))
    return Cohort.open(out)
