"""What benchmarks share: the data they need at the start, the result they write at the end."""

import json
import os
import platform
import resource
import sys
from importlib.metadata import version
from pathlib import Path
from typing import NoReturn

from ecglib.run import manifest

REPO = Path(__file__).resolve().parents[2]
ABSENT = 77  # exit status by which `run_all.sh bench` knows a benchmark that was skipped


def skip(sentence: str) -> NoReturn:
    """End the benchmark because its data or asset is absent; the sentence says which, and how."""
    print(sentence, file=sys.stderr)
    sys.exit(ABSENT)


def data(variable: str, what: str) -> Path:
    """The folder that an environment variable names; without the variable, the benchmark ends.

    Args:
        variable: for instance ECGLIB_PTBXL_MINI.
        what: the folder holds, for the sentence.

    Raises:
        SystemExit: status 77 where the variable is not set, 1 where it names no folder.
    """
    value = os.environ.get(variable)
    if not value:
        skip(f"{Path(sys.argv[0]).stem}: set {variable} to the folder of {what}.")
    if not Path(value).is_dir():
        sys.exit(f"{Path(sys.argv[0]).stem}: {variable} names {value}, which is not a folder.")
    return Path(value)


def commit() -> str:
    """The commit the code stands at, with "-dirty" where tracked files differ from it.

    The results themselves do not count: each benchmark of a row writes one.
    """
    compared = ("status", "--porcelain", "-uno", "--", ".", ":!reports/benchmarks")
    changes = manifest.git(REPO, "--no-optional-locks", *compared)
    return manifest.git(REPO, "rev-parse", "HEAD") + ("-dirty" if changes else "")


def peak_bytes(who: int = resource.RUSAGE_SELF) -> int:
    """The largest resident memory so far, of this process or, with RUSAGE_CHILDREN, of one of its
    children that have ended (Linux counts in units of 1024 bytes)."""
    return resource.getrusage(who).ru_maxrss * 1024


def write(name: str, result: dict, packages: tuple[str, ...] = ("numpy", "scipy")) -> None:
    """Print `result` and write it to reports/benchmarks/<name>.json.

    Args:
        name: of the benchmark; the command that repeats it is made from it.
        result: value, unit, reference, ratio and whatever shows that both did the same work.
        packages: those whose versions are stated.
    """
    full = {
        "name": name,
        **result,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "versions": {package: version(package) for package in packages},
        "commit": commit(),
        "command": f"bash run_all.sh bench {name}",
    }
    target = REPO / "reports" / "benchmarks" / f"{name}.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(full, indent=1) + "\n"
    target.write_text(text, encoding="utf-8")
    sys.stdout.write(text)
