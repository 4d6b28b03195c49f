"""Notebook 03 of the smallest run on a busy machine: its clock time beside two other processes.

    bash run_all.sh bench busy_machine

Notebooks 01 and 02 are made once in a temporary folder. Then notebook 03 is made three times, with
all its steps: alone, beside two processes that keep two cores busy for as long, and alone again.
`value` is its clock time beside them over the mean of the two alone. One thread that shares two
cores with two others has two thirds of a core, which gives 1.5 where it never waits. At aa7d443 the
value was above 7 (stopped after 7 minutes): threads waited for each other by spinning, and a thread
that has no core cannot be waited for. Nothing else should run beside it.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from _common import REPO, write

LIMIT = 4.0  # times the time alone
BUSY = 2  # processes


def run(folder: Path, *words: str) -> float:
    """Seconds of `run_all.sh --profile smoke` with some options, all outputs below `folder`."""
    environment = os.environ | {"ECGLIB_OUT": str(folder), "ECGLIB_HOME": str(folder / "artifacts")}
    begun = time.perf_counter()
    command = ["bash", "run_all.sh", "--profile", "smoke", *words]
    subprocess.run(command, cwd=REPO, env=environment, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begun


@contextmanager
def busy(processes: int) -> Iterator[None]:
    """Processes that each keep a core busy, until the block ends."""
    command = [sys.executable, "-c", "while True: pass"]
    running = [subprocess.Popen(command) for _ in range(processes)]
    try:
        yield
    finally:
        for process in running:
            process.kill()
            process.wait()


def main() -> None:
    """Measure, print and write reports/benchmarks/busy_machine.json."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run(folder, "--only", "01,02")
        again = ("--only", "03", "--force", "03")
        before = run(folder, *again)
        with busy(BUSY):
            beside = run(folder, *again)
        after = run(folder, *again)
    value = 2 * beside / (before + after)
    result = {
        "value": round(value, 2),
        "unit": "clock time beside two busy processes over the time alone",
        "reference": {"what": "the limit", "value": LIMIT},
        "ratio": LIMIT / value,
        "seconds": {"alone": [round(before, 1), round(after, 1)], "beside": round(beside, 1)},
    }
    write("busy_machine", result, ("numpy", "scipy", "threadpoolctl", "torch"))


if __name__ == "__main__":
    main()
