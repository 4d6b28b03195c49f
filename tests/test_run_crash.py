"""Killed at any moment: at most the running step is lost, and a training resumes."""

import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest
from toy import Toy


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Toy:
    return Toy(tmp_path_factory.mktemp("crash") / "toy", ECGLIB_ONE_KERNEL="")


def test_dead_kernel_is_reported_and_the_step_resumes(toy: Toy):
    """The kernel is killed at step 3 of 5; the next run does steps 4 and 5 only."""
    stop = Path(f"{toy.log}.STOP")
    stop.touch()
    text = toy.run(code=1)
    assert "02_train: the kernel was killed in cell" in text and "memory" in text
    assert "resume with: bash run_all.sh\n" in text
    assert toy.log.read_text().split("\n")[:-1] == ["step 1", "step 2", "step 3"]
    stop.unlink()
    text = toy.run("--only", "01,02")
    assert "01_make: reused" in text
    assert toy.log.read_text().split("\n")[3:-1] == ["step 4", "step 5"]
    folder = toy.folder / "artifacts/synthetic-laptop/02"
    assert sorted(p.name for p in folder.iterdir()) == [".model.lock", "model"]
    assert sorted(p.name for p in (folder / "model").iterdir()) == ["manifest.json", "model.txt"]


def test_killed_runner(toy: Toy):
    """kill -9 of the runner itself, in the middle of a training."""
    process = _start(toy, "steps: 5", "steps: 8")
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    text = toy.run("--only", "01,02")
    assert "01_make: reused" in text
    # The orphaned kernel may finish a step more; none is done twice, and none is left out.
    assert re.findall(r"\d+", toy.log.read_text()) == [str(step) for step in range(1, 9)]
    assert (toy.folder / "reports/synthetic-laptop/model.txt").read_text() == "model 16"


def test_interrupt(toy: Toy):
    """Ctrl-C ends the kernel too, exits with 130 and names the command that resumes."""
    process = _start(toy, "steps: 8", "steps: 40", "--from", "02")
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "resume with: bash run_all.sh --from 02" in errors
    assert "Traceback" not in errors
    written = toy.log.read_text()
    time.sleep(1.0)
    assert toy.log.read_text() == written, "the kernel outlived its runner"


def _start(toy: Toy, old: str, new: str, *options: str) -> subprocess.Popen:
    """The command line, running with an edited profile, its slow training at step 2 or later."""
    toy.edit("notebooks/profiles/laptop.yaml", old, new)
    toy.log.unlink()
    Path(f"{toy.log}.SLOW").touch()
    process = toy.start(*options)
    deadline = time.monotonic() + 60
    while "step 2" not in (toy.log.read_text() if toy.log.exists() else ""):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    return process
