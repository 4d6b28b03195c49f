"""A hundred runs that are killed at a random moment: does the next one end with the same bytes?

    bash run_all.sh bench kill_campaign

The smallest run is made twice, in temporary folders, to the same bytes. Then one of its notebooks
is made again with all its steps, and `kill -9` ends it at a random moment: the runner alone, the
notebook's kernel alone, or all processes, as a power cut would. The same command without `--force`
resumes. `value` is the share of kills after which every table, figure, prediction, claim and step
has the bytes of the run that nobody killed (wanted: 1). Notebooks and moments are drawn with a
seed. Pages are left out, because they say which steps were made and which were reused.
"""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Queue

import numpy as np
import psutil
from _common import REPO, write

from ecglib.run import manifest

SEED, KILLS, COPIES = 40, 100, 2  # runs, in which kills go on side by side
NUMBERS = [f"{number:02d}" for number in range(1, 10)]
VICTIMS = ("runner", "kernel", "all")
RUN = "synthetic-smoke"
PATIENCE = 60.0  # seconds until a kernel without its runner has ended


def start(folder: Path, *words: str) -> subprocess.Popen:
    """`run_all.sh --profile smoke` with some options, all outputs below `folder`."""
    environment = os.environ | {"ECGLIB_OUT": str(folder), "ECGLIB_HOME": str(folder / "artifacts")}
    command = ["bash", "run_all.sh", "--profile", "smoke", *words]
    options = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, cwd=REPO, env=environment, **options)


def finish(process: subprocess.Popen) -> str:
    """Wait for its end; returns what went wrong, in its own words."""
    _, errors = process.communicate()
    return errors.strip().splitlines()[-1] if process.returncode else ""


def digests(folder: Path, number: str) -> dict[str, str]:
    """sha256 of what a notebook has made: its outputs but for pages, times and the cards of models,
    which name times; and its steps."""
    place = folder / "artifacts" / RUN
    content = manifest.read(place / "stages" / f"{number}.json")
    kept = {name for name in content["outputs"] if not name.endswith((".md", "/card.json"))}
    kept = {name for name in kept if "timing" not in Path(name).name} - set(content["pages"])
    files = {name: manifest.sha256(folder / name) for name in sorted(kept)}
    for step in content["steps"]:
        written = manifest.contents((place / number / step).resolve())
        files |= {f"{step}/{name}": digest for name, digest in written.items()}
    return files


def kill(process: subprocess.Popen, victim: str) -> list[psutil.Process]:
    """Kill the runner, the kernel or all; returns the processes that lived until then."""
    try:
        living = psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []
    kernels = [p for p in living if any("ipykernel" in word for word in words_of(p))]
    chosen = {"runner": [], "kernel": kernels, "all": living}[victim]
    for one in chosen:
        with contextlib.suppress(psutil.NoSuchProcess):
            one.kill()
    if victim != "kernel" or not kernels:
        os.kill(process.pid, signal.SIGKILL)
    return living


def words_of(process: psutil.Process) -> list[str]:
    """The command line of a process; none where it has ended."""
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def unharmed(folder: Path) -> tuple[dict[str, float], dict[str, dict[str, str]]]:
    """Make the run; returns seconds and digests by notebook."""
    seconds, wanted = {}, {}
    for number in NUMBERS:
        begun = time.perf_counter()
        if fault := finish(start(folder, "--only", number)):
            sys.exit(f"kill_campaign: the run without a kill failed: {fault}")
        seconds[number] = time.perf_counter() - begun
        wanted[number] = digests(folder, number)
    return seconds, wanted


def killed(folder: Path, number: str, victim: str, moment: float, wanted: dict[str, str]) -> dict:
    """Make a notebook again, kill it after some seconds, resume and compare."""
    process = start(folder, "--only", number, "--force", number)
    time.sleep(moment)
    living = kill(process, victim)
    process.wait()
    psutil.wait_procs(living, timeout=PATIENCE)
    fault = finish(start(folder, "--only", number))
    same = not fault and digests(folder, number) == wanted
    line = {"notebook": number, "victim": victim, "second": round(moment, 1)}
    return line | {"same": same, "fault": fault}


def main() -> None:
    """Kill, resume, compare, and write reports/benchmarks/kill_campaign.json."""
    rng, free = np.random.default_rng(SEED), Queue()
    with tempfile.TemporaryDirectory() as name, ThreadPoolExecutor(COPIES) as pool:
        folders = [Path(name) / str(copy) for copy in range(COPIES)]
        for folder in folders:
            folder.mkdir()
            free.put(folder)
        # side by side, as the kills will be, so that their moments cover a notebook to its end
        (seconds, wanted), *others = pool.map(unharmed, folders)
        if any(digests_of != wanted for _, digests_of in others):
            sys.exit("kill_campaign: two runs without a kill have other bytes")
        cases = []
        for _ in range(KILLS):
            number, victim = str(rng.choice(NUMBERS)), str(rng.choice(VICTIMS))
            cases.append((number, victim, float(rng.uniform(0, seconds[number]))))

        def one(case: tuple[str, str, float]) -> dict:
            folder = free.get()
            try:
                line = killed(folder, *case, wanted[case[0]])
            finally:
                free.put(folder)
            print(line, flush=True)
            return line

        lines = list(pool.map(one, cases))
    share = float(np.mean([line["same"] for line in lines]))
    result = {
        "value": share,
        "unit": "share of kills after which the next run ends with the same bytes",
        "reference": {"what": "wanted", "value": 1.0},
        "ratio": share,
        "kills": KILLS,
        "wrong": [line for line in lines if not line["same"]],
        "by_victim": {v: sum(line["victim"] == v for line in lines) for v in VICTIMS},
    }
    write("kill_campaign", result, ("numpy", "torch", "papermill"))


if __name__ == "__main__":
    main()
