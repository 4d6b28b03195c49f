"""Does this Python hold the pinned set? Standard library only: it runs before any installation.

    python -m ecglib.run.environment

prints the differences from requirements.lock and exits with 1 where there are any. A local suffix
(torch 2.13.0+cpu) is not a difference: CPU and CUDA builds share the lock.
"""

import importlib.metadata
import sys
from pathlib import Path

LOCK = Path(__file__).parents[2] / "requirements.lock"
PYTHON = (3, 11)


def pinned(lock: Path) -> dict[str, str]:
    """Package -> version of a lock file of `name==version` lines."""
    lines = (line.split("#")[0].strip() for line in lock.read_text(encoding="utf-8").splitlines())
    return dict(line.split("==") for line in lines if line)


def installed(name: str) -> str:
    """The version of an installed package, without a local suffix such as +cpu, or "absent"."""
    try:
        return importlib.metadata.version(name).split("+")[0]
    except importlib.metadata.PackageNotFoundError:
        return "absent"


def differences(lock: Path) -> list[str]:
    """One phrase for each pinned package that is absent or of another version."""
    versions = {name: (installed(name), version) for name, version in pinned(lock).items()}
    versions["python"] = (".".join(map(str, sys.version_info[:2])), ".".join(map(str, PYTHON)))
    others = {name: pair for name, pair in versions.items() if pair[0] != pair[1]}
    return [f"{name} is {have}, pinned {pin}" for name, (have, pin) in others.items()]


if __name__ == "__main__":
    problems = differences(LOCK)
    for problem in problems:
        print(problem)
    sys.exit(1 if problems else 0)
