"""A cohort whose patients are all of one hospital by name, so that a prompt holds a known word."""

from pathlib import Path

from ecglib.cohorts.records import write_beside
from ecglib.cohorts.store import Cohort


def rename_site(out: Path, inputs: dict[str, Path], config: dict, seed: int, machine: object):
    """Step: write the cohort with one name of a hospital for all its ECGs.

    Nothing else changes, so record numbers, signals and labels are those of the cohort. The shards
    are linked, not copied.

    Inputs: cohort.

    Config:
        site: the name, one that the cohort has.

    Raises ValueError: the cohort has no hospital of that name.
    """
    cohort = Cohort.open(inputs["cohort"])
    names = sorted(cohort.records["site"].unique())
    if config["site"] not in names:
        raise ValueError(
            f"expected a hospital of {', '.join(map(repr, names))}, got {config['site']!r}"
        )
    records = cohort.records.assign(site=config["site"])
    note = f"all ECGs have the name of hospital {config['site']!r}"
    write_beside(out, cohort, records, note)
