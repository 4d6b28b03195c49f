"""The folder of each cohort that a data plan reads from outside: given, or a downloaded release."""

from pathlib import Path

from ecglib.run import fingerprint, releases
from ecglib.run.errors import RunError
from ecglib.run.paths import Paths


def resolve(values: list[str], plan: dict, plan_name: str, paths: Paths) -> dict[str, Path]:
    """The folder of each cohort that reads one. Downloads nothing.

    Args:
        values: of `--data-root`, DIR or NAME=DIR.
    Raises:
        RunError: a folder that is neither given nor downloaded, or not what it claims to be.
    """
    found = []
    for name, cohort in _not_given(values, plan, plan_name).items():
        source = cohort["source"]
        root = releases.ready(source, cohort, paths)
        if root is None:
            raise RunError(
                f"data plan {plan_name} reads the release {source}, of which not all is downloaded "
                f"yet; run the notebooks with --data {plan_name}, or fetch it with bash run_all.sh "
                f"--data {plan_name} --prefetch {source}, or give a folder laid out like "
                f"{cohort.get('layout', 'it')} with --data-root DIR."
            )
        found.append(f"{name}={root}")
    return fingerprint.parse_roots([*values, *found], plan, plan_name)


def fetch(values: list[str], plan: dict, plan_name: str, paths: Paths) -> list[str]:
    """`values` and the folders of the releases that they leave out, downloaded where they lack.

    Raises:
        RunError: a folder that cannot be downloaded is not given, or a given one is not what it
            claims to be (both said before anything is fetched), or a download fails.
    """
    lacking = _not_given(values, plan, plan_name)
    for name, root in _named(values).items():
        if lacking:
            fingerprint.check_root(name, Path(root).expanduser(), plan["cohorts"][name])
    fetched = {
        name: releases.fetch(cohort["source"], [cohort], paths) for name, cohort in lacking.items()
    }
    return [*values, *(f"{name}={root}" for name, root in fetched.items())]


def fetch_release(name: str, plan: dict, paths: Paths) -> Path:
    """Download one release: what all cohorts of the plan read of it, or its usual files.

    Raises:
        RunError: an unknown name, or a download that fails.
    """
    cohorts = [c for c in plan["cohorts"].values() if c.get("source") == name]
    return releases.fetch(name, [c for c in cohorts if c.get("required")], paths)


def is_downloaded(cohort: dict, root: Path, paths: Paths) -> bool:
    """The folder is the one to which the cohort's release is downloaded."""
    source = cohort["source"]
    return source in releases.pins() and root == releases.folder(source, paths)


def _named(values: list[str]) -> dict[str, str]:
    parts = [value.partition("=") for value in values]
    return {name: folder for name, equals, folder in parts if equals}


def _not_given(values: list[str], plan: dict, plan_name: str) -> dict[str, dict]:
    """The cohorts whose release stands in for a folder; none where the values are wrong in
    themselves, which `fingerprint.parse_roots` says better."""
    needing = {name: cohort for name, cohort in plan["cohorts"].items() if cohort.get("required")}
    named, known = _named(values), releases.pins()
    if len(named) < len(values) or not named.keys() <= needing.keys():
        return {}  # a bare DIR is for the only cohort that reads a folder
    lacking = {name: cohort for name, cohort in needing.items() if name not in named}
    for name, cohort in lacking.items():
        if cohort["source"] not in known:
            raise RunError(
                f"data plan {plan_name} reads the cohort {name} from a folder laid out like "
                f"{cohort.get('layout', 'its release')}: give it with --data-root {name}=DIR; it "
                "is not among the releases that can be downloaded."
            )
    return lacking
