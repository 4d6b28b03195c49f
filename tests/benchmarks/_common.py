"""What every benchmark does at its end: say where it ran, and write its result."""

import json
import os
import platform
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]


def write(name: str, result: dict, packages: tuple[str, ...] = ("numpy", "scipy")) -> None:
    """Print `result` and write it to reports/benchmarks/<name>.json.

    Args:
        name: of the benchmark; the command that repeats it is made from it.
        result: value, unit, reference, ratio and whatever shows that both did the same work.
        packages: those whose versions are stated.
    """
    commit = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=REPO, capture_output=True, text=True, check=False
    )
    full = {
        "name": name,
        **result,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "versions": {package: version(package) for package in packages},
        "commit": commit.stdout.strip(),
        "command": f"bash run_all.sh bench {name}",
    }
    target = REPO / "reports" / "benchmarks" / f"{name}.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(full, indent=1) + "\n"
    target.write_text(text, encoding="utf-8")
    sys.stdout.write(text)
