"""Killed at any moment: at most the running step is lost, and a training goes on where it was."""

import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest
from toy import Toy

from ecglib.run import manifest
from ecglib.run.keys import Library
from ecglib.run.steps import run_step, step_parts


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Toy:
    return Toy(tmp_path_factory.mktemp("crash") / "toy")


def test_dead_kernel_is_reported_and_the_step_resumes(toy: Toy):
    """The kernel is killed at step 3 of 5; the next run does steps 4 and 5 only."""
    stop = Path(f"{toy.log}.STOP")
    stop.touch()
    text = toy.run(code=1)
    assert "02_train: the kernel was killed in cell" in text and "memory" in text
    assert "resume with: bash run_all.sh\n" in text
    assert toy.log.read_text().split("\n")[:-1] == ["step 1", "step 2", "step 3"]
    stop.unlink()
    text = toy.run()
    assert "01_make: reused" in text
    assert toy.log.read_text().split("\n")[3:-1] == ["step 4", "step 5"]
    folder = toy.folder / "artifacts/synthetic-laptop/02"
    assert sorted(p.name for p in folder.iterdir()) == [".model.lock", "model"]
    assert sorted(p.name for p in (folder / "model").iterdir()) == ["manifest.json", "model.txt"]


def test_killed_runner(toy: Toy):
    """kill -9 of the runner itself, in the middle of a training."""
    toy.edit("notebooks/profiles/laptop.yaml", "steps: 5", "steps: 8")
    toy.log.unlink()
    slow = Path(f"{toy.log}.SLOW")
    slow.touch()
    process = _start(toy)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    text = toy.run()
    assert "01_make: reused" in text
    # The orphaned kernel may finish a step more; none is done twice, and none is left out.
    assert re.findall(r"\d+", toy.log.read_text()) == [str(step) for step in range(1, 9)]
    assert (toy.folder / "reports/synthetic-laptop/model.txt").read_text() == "model 16"
    slow.unlink()


def test_interrupt(toy: Toy):
    """Ctrl-C ends the kernel too, exits with 130 and says how to go on."""
    toy.edit("notebooks/profiles/laptop.yaml", "steps: 8", "steps: 40")
    toy.log.unlink()
    slow = Path(f"{toy.log}.SLOW")
    slow.touch()
    process = _start(toy, "--from", "02")
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "resume with: bash run_all.sh --from 02" in errors
    assert "Traceback" not in errors
    written = toy.log.read_text()
    time.sleep(1.0)
    assert toy.log.read_text() == written, "the kernel outlived its runner"


def _start(toy: Toy, *options: str) -> subprocess.Popen:
    """The command line, running, its training at step 2 or later."""
    process = subprocess.Popen(
        toy.command(*options),
        env=toy.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while "step 2" not in (toy.log.read_text() if toy.log.exists() else ""):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    return process


@pytest.fixture
def step(toy: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A function that runs the toy's first step in `tmp_path` with a given n."""
    monkeypatch.syspath_prepend(str(toy.folder))
    from toylib import make
    from toylib.training import device

    machine = device.choose_machine({"device": "cpu"})

    def run(n: int) -> bool:
        library = Library(toy.folder / "toylib")
        parts = step_parts(make.numbers, {"n": n}, {}, 0, machine, library)
        target = tmp_path / "01" / "cohort"
        return run_step(target, make.numbers, {"n": n}, {}, parts, machine, "none")

    return run


def test_step_is_made_once(step, tmp_path: Path):
    assert step(2) and not step(2)
    assert step(3), "another config is another result"
    content = manifest.read(tmp_path / "01/cohort/manifest.json")
    assert set(content) >= {"key", "parts", "commit", "started", "seconds", "peak_memory_mb"}
    assert list(content["outputs"]) == ["numbers.csv"]


def test_crash_between_manifest_and_move(step, tmp_path: Path):
    """The whole result lies in the partial folder: it is moved into place, not made again."""
    step(2)
    folder = tmp_path / "01"
    key = manifest.read(folder / "cohort/manifest.json")["key"]
    before = (folder / "cohort/manifest.json").read_bytes()
    (folder / "cohort").rename(folder / f".cohort.{key[:12]}.partial")
    assert step(2)
    assert (folder / "cohort/manifest.json").read_bytes() == before


def test_crash_while_the_result_is_hashed_keeps_the_checkpoint(
    step, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A checkpoint lives until the manifest stands: finished chunks of a cohort are in it."""
    from ecglib.run import steps

    def killed(partial: Path, *parts: object) -> None:
        (partial / "checkpoint").mkdir()
        (partial / "checkpoint" / "chunk").touch()
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(steps, "_record", killed)
        step(2)
    (partial,) = (tmp_path / "01").glob(".cohort.*.partial")
    assert (partial / "checkpoint" / "chunk").is_file()
    assert step(2)
    assert not (tmp_path / "01" / "cohort" / "checkpoint").exists()
    outputs = manifest.read(tmp_path / "01/cohort/manifest.json")["outputs"]
    assert list(outputs) == ["numbers.csv"]


def test_other_partials_are_thrown_away(step, tmp_path: Path):
    stale = tmp_path / "01" / ".cohort.0123456789ab.partial"
    stale.mkdir(parents=True)
    step(2)
    assert not stale.exists()


def test_half_written_file_of_a_crash_is_not_an_output(step, tmp_path: Path):
    step(2)
    key = manifest.read(tmp_path / "01/cohort/manifest.json")["key"]
    partial = tmp_path / "01" / f".cohort.{key[:12]}.partial"
    (tmp_path / "01/cohort").rename(partial)
    (partial / "manifest.json").unlink()
    (partial / "half.tmp").touch()
    assert step(2)
    assert not (tmp_path / "01/cohort/half.tmp").exists()


def test_function_of_a_notebook_is_refused(toy: Toy):
    """Code outside the library is not part of a key."""
    library = Library(toy.folder / "toylib")
    with pytest.raises(Exception, match="must be a module-level function of toylib"):
        step_parts(test_interrupt, {}, {}, 0, None, library)
