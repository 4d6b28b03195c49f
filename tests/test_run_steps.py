"""Steps: made once, stored by key and shared, resumed after a crash; documented config only."""

from pathlib import Path

import pytest
from toy import Toy

from ecglib.run import manifest, steps
from ecglib.run.errors import RunError
from ecglib.run.keys import Library
from ecglib.run.steps import check_documented, remove, run_step, step_parts


@pytest.fixture
def step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A function that runs the toy's first step as `where` with a given n."""
    toy = Toy(tmp_path / "toy")
    toy.enter(monkeypatch)
    from toylib import make
    from toylib.training import device

    machine, library = device.choose_machine({"device": "cpu"}), Library(toy.folder / "toylib")

    def run(n: int, where: str = "run/01/cohort") -> bool:
        parts = step_parts(make.numbers, {"n": n}, {}, 0, machine, library)
        return run_step(tmp_path / where, make.numbers, {"n": n}, {}, parts, machine, "none")

    with pytest.raises(RunError, match="must be a module-level function of toylib"):
        step_parts(documented_step, {}, {}, 0, machine, library)  # its code is in no key
    return run


def test_a_result_is_made_once_shared_and_goes_with_the_last_link_to_it(step, tmp_path: Path):
    assert step(2) and not step(2) and not step(2, "run-study-a/study/begun")
    one, other = tmp_path / "run/01/cohort", tmp_path / "run-study-a/study/begun"
    content = manifest.read(one / "manifest.json")
    assert set(content) >= {"key", "parts", "commit", "started", "seconds", "peak_memory_mb"}
    assert list(content["outputs"]) == ["numbers.csv"]
    (first,) = (tmp_path / "steps").glob("numbers-*")
    assert one.is_symlink() and one.resolve() == other.resolve() == first
    assert step(3), "another config is another result"
    assert first.is_dir(), "the other run still needs it"
    assert not step(3, "run-study-a/study/begun") and not first.exists()
    remove(one)
    assert not step(3), "the other run kept it"
    remove(one, keep_shared=False)
    assert step(3), "a forced step is made again"
    (one / "numbers.csv").write_text("other")
    with pytest.raises(RunError, match=r"numbers\.csv was changed after stage 01 wrote it"):
        step(3, "other/01/cohort")


def test_crashes_cost_nothing_that_was_whole_and_leave_nothing_half(
    step, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    folder = tmp_path / "run/01"
    cohort = folder / "cohort"

    def crash() -> Path:
        """Put the stored result back where it was before it was moved: the partial folder."""
        entry, key = cohort.resolve(), manifest.read(cohort / "manifest.json")["key"]
        cohort.unlink()
        return entry.rename(folder / f".cohort.{key[:12]}.partial")

    def killed(partial: Path, *parts: object) -> None:
        (partial / "checkpoint").mkdir()
        (partial / "checkpoint" / "chunk").touch()
        raise KeyboardInterrupt

    step(2)
    before = (cohort / "manifest.json").read_bytes()
    crash()  # between manifest and move: the result is not made again
    assert step(2)
    assert (cohort / "manifest.json").read_bytes() == before
    partial = crash()
    (partial / "manifest.json").unlink()
    (partial / "half.tmp").touch()
    assert step(2)
    assert not (cohort / "half.tmp").exists()
    # While the result is hashed: finished chunks of a cohort are in the checkpoint.
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(steps, "_record", killed)
        step(3)
    (partial,) = folder.glob(".cohort.*.partial")
    assert (partial / "checkpoint" / "chunk").is_file()
    (folder / ".cohort.0123456789ab.partial").mkdir()  # of another key
    assert step(3)
    assert not list(folder.glob(".cohort.*.partial")) and not (cohort / "checkpoint").exists()
    assert list(manifest.read(cohort / "manifest.json")["outputs"]) == ["numbers.csv"]


def documented_step(out, inputs, config, seed, machine):
    """Step: for the test below.

    Config:
        steps: updates, with a text
            of two lines.
        rows (optional): record numbers.
    Inputs: cohort, codes (of its ECGs),
        base (optional).
    Raises:
        ValueError: never.
    """


def merging_step(out, inputs, config, seed, machine):
    """Step: no config, any inputs.

    Inputs: COHORT (each by its name).
    """


def test_only_documented_config_and_inputs():
    inputs = {"cohort": 1, "codes": 1}
    check_documented(documented_step, {"steps": 1}, inputs)
    check_documented(documented_step, {"steps": 1, "rows": []}, inputs | {"base": 1})
    check_documented(merging_step, {}, {"any": 1, "other": 2})
    for fn, config, given, message in (
        (documented_step, {"steps": 1, "row": 0}, inputs, "config entry 'row'.*valid: rows, steps"),
        (documented_step, {"rows": []}, inputs, "lacks the config entry 'steps'"),
        (documented_step, {"steps": 1}, {"cohort": 1}, "lacks the inputs entry 'codes'"),
        (documented_step, {"steps": 1}, inputs | {"bass": 2}, "inputs entry 'bass'.*: base, codes"),
        (merging_step, {"steps": 1}, {}, "unknown config entry 'steps'.*valid: none"),
    ):
        with pytest.raises(RunError, match=message):
            check_documented(fn, config, given)
