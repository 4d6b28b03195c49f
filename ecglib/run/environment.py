"""Does this Python hold the pinned set? Standard library only: it runs before any installation.

    python -m ecglib.run.environment

prints the differences from requirements.lock and exits with 1 where there are any. A local suffix
(torch 2.13.0+cpu) is not a difference: CPU and CUDA builds share the lock.
"""

import importlib.metadata
import re
import sys
from pathlib import Path

LOCK = Path(__file__).parents[2] / "requirements.lock"
PYTHON = (3, 11)


def pinned(lock: Path) -> dict[str, str]:
    """Package -> version of a lock file of `name==version` lines."""
    lines = (line.split("#")[0].strip() for line in lock.read_text(encoding="utf-8").splitlines())
    return dict(line.split("==") for line in lines if line)


def normal(name: str) -> str:
    """A package's name as registries compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def differences(lock: Path) -> list[str]:
    """One phrase for each pinned package that is absent or of another version."""
    phrases = []
    if sys.version_info[:2] != PYTHON:
        phrases.append(f"python is {sys.version_info[0]}.{sys.version_info[1]}, pinned 3.11")
    installed = {
        normal(distribution.metadata["Name"] or ""): distribution.version
        for distribution in importlib.metadata.distributions()
    }
    for name, version in pinned(lock).items():
        have = installed.get(normal(name))
        if have is None:
            phrases.append(f"{name} is absent, pinned {version}")
        elif have.split("+")[0] != version:
            phrases.append(f"{name} is {have}, pinned {version}")
    return phrases


if __name__ == "__main__":
    problems = differences(LOCK)
    for problem in problems:
        print(problem)
    sys.exit(1 if problems else 0)
