"""The README's test command in an older tree and in this one: wall time, one after the other.

    ECGLIB_OLDER_TREE=DIR bash run_all.sh bench test_time

DIR is a checkout of this repository at the older commit. Each tree is cloned at its commit into a
new folder. Its environment is made and its language model is fetched before the clock starts; its
caches of compiled code are empty. `ratio` is before / after. `nominal_minutes` are this tree's
minutes on the reference machine, by the yardstick before and after. Nothing else should run beside
it.
"""

import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from _common import REPO, data, write

from ecglib.run import yardstick


def clone(tree: Path, folder: Path) -> dict[str, str]:
    """Clone a tree's commit into `folder` and prepare it; returns the environment to test it in."""
    subprocess.run(["git", "clone", "--quiet", "--no-hardlinks", tree, folder], check=True)
    kept = {k: v for k, v in os.environ.items() if not k.startswith("ECGLIB_")}
    for name in ("VIRTUAL_ENV", "CONDA_PREFIX", "PYTHONPATH", "PYTHONSAFEPATH"):
        kept.pop(name, None)
    prepare = ["bash", "run_all.sh", "--profile", "smoke", "--prefetch"]
    subprocess.run(prepare, cwd=folder, env=kept, check=True)
    return kept


def timed(folder: Path, environment: dict[str, str]) -> tuple[float, dict[str, int]]:
    """Seconds of the test command in a prepared clone, and its counts of outcomes.

    Raises:
        RuntimeError: a test fails.
    """
    begun = time.perf_counter()
    done = subprocess.run(
        ["bash", "run_all.sh", "test"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    seconds = time.perf_counter() - begun
    if done.returncode:
        raise RuntimeError(f"the tests of {folder} fail:\n{done.stdout[-4000:]}")
    counts = re.findall(r"(\d+) (passed|skipped)", done.stdout.splitlines()[-1])
    return seconds, {outcome: int(count) for count, outcome in counts}


def main() -> None:
    """Measure, print and write reports/benchmarks/test_time.json."""
    older = data("ECGLIB_OLDER_TREE", "a checkout at the older commit")
    describe = ["git", "-C", str(older), "rev-parse", "HEAD"]
    older_commit = subprocess.run(describe, capture_output=True, text=True, check=True).stdout
    with tempfile.TemporaryDirectory() as folder:
        # this tree first: where one of its tests fails, that is known before the longer half
        places = {REPO: Path(folder) / "after", older: Path(folder) / "before"}
        environments = {tree: clone(tree, place) for tree, place in places.items()}
        outcomes, speeds = [], [yardstick.speed("cpu")]
        for tree, place in places.items():
            outcomes.append(timed(place, environments[tree]))
            speeds.append(yardstick.speed("cpu"))
            print(f"{place.name}: {outcomes[-1][0]:.1f} s", file=sys.stderr)
        (after, counts), (before, counts_before) = outcomes
    result = {
        "value": round(after, 1),
        "unit": "seconds of wall time",
        "reference": {"what": f"commit {older_commit[:7]}", "value": round(before, 1)},
        "ratio": before / after,
        "nominal_minutes": round(yardstick.nominal(after, *speeds[:2]) / 60, 1),
        "tests": counts,
        "reference_tests": counts_before,
    }
    write("test_time", result, ("pytest", "torch"))


if __name__ == "__main__":
    main()
