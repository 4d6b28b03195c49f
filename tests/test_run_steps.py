"""Steps: made once, stored by key and shared, resumed after a crash; documented config only."""

from pathlib import Path

import pytest
from toy import Toy

from ecglib.run import manifest, steps
from ecglib.run.errors import RunError
from ecglib.run.keys import Library
from ecglib.run.steps import check_documented, remove, run_step, step_parts


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Toy:
    return Toy(tmp_path_factory.mktemp("steps") / "toy")


@pytest.fixture
def step(toy: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A function that runs the toy's first step as `name` of a run with a given n."""
    monkeypatch.syspath_prepend(str(toy.folder))
    from toylib import make
    from toylib.training import device

    machine = device.choose_machine({"device": "cpu"})

    def run(n: int, where: str = "run/01/cohort") -> bool:
        library = Library(toy.folder / "toylib")
        parts = step_parts(make.numbers, {"n": n}, {}, 0, machine, library)
        return run_step(tmp_path / where, make.numbers, {"n": n}, {}, parts, machine, "none")

    return run


def test_step_is_made_once(step, tmp_path: Path):
    assert step(2) and not step(2)
    assert step(3), "another config is another result"
    content = manifest.read(tmp_path / "run/01/cohort/manifest.json")
    assert set(content) >= {"key", "parts", "commit", "started", "seconds", "peak_memory_mb"}
    assert list(content["outputs"]) == ["numbers.csv"]


def test_another_run_and_another_name_link_to_the_same_result(step, tmp_path: Path):
    assert step(2)
    assert not step(2, "run-study-a/study/begun")
    one, other = tmp_path / "run/01/cohort", tmp_path / "run-study-a/study/begun"
    assert one.is_symlink() and one.resolve() == other.resolve()
    assert len(list((tmp_path / "steps").glob("numbers-*"))) == 1
    (tmp_path / "steps").rename(tmp_path / "moved")
    assert not one.exists()
    (tmp_path / "moved").rename(tmp_path / "steps")
    assert (one / "numbers.csv").is_file()


def test_a_result_goes_with_the_last_link_to_it(step, tmp_path: Path):
    step(2)
    step(2, "other/01/cohort")
    first = (tmp_path / "run/01/cohort").resolve()
    step(3)
    assert first.is_dir(), "the other run still needs it"
    step(3, "other/01/cohort")
    assert not first.exists()
    remove(tmp_path / "run/01/cohort")
    assert not step(3), "the other run kept it"
    remove(tmp_path / "run/01/cohort", keep_shared=False)
    assert step(3), "a forced step is made again"


def test_a_changed_result_is_refused_in_every_run(step, tmp_path: Path):
    step(2)
    (tmp_path / "run/01/cohort/numbers.csv").write_text("other")
    with pytest.raises(RunError, match=r"numbers\.csv was changed after stage 01 wrote it"):
        step(2, "other/01/cohort")


def _crash(folder: Path) -> Path:
    """Put a stored result back where it was before it was moved; returns the partial folder."""
    link = folder / "cohort"
    entry, key = link.resolve(), manifest.read(link / "manifest.json")["key"]
    link.unlink()
    return entry.rename(folder / f".cohort.{key[:12]}.partial")


def test_crash_between_manifest_and_move(step, tmp_path: Path):
    """The whole result is in the partial folder: it is moved into the store, not made again."""
    step(2)
    folder = tmp_path / "run/01"
    before = (folder / "cohort/manifest.json").read_bytes()
    _crash(folder)
    assert step(2)
    assert (folder / "cohort/manifest.json").read_bytes() == before


def test_half_written_file_of_a_crash_is_not_an_output(step, tmp_path: Path):
    step(2)
    partial = _crash(tmp_path / "run/01")
    (partial / "manifest.json").unlink()
    (partial / "half.tmp").touch()
    assert step(2)
    assert not (tmp_path / "run/01/cohort/half.tmp").exists()


def test_crash_while_the_result_is_hashed_keeps_the_checkpoint(
    step, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A checkpoint is kept until the manifest is written: finished chunks of a cohort are in it."""

    def killed(partial: Path, *parts: object) -> None:
        (partial / "checkpoint").mkdir()
        (partial / "checkpoint" / "chunk").touch()
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(steps, "_record", killed)
        step(2)
    (partial,) = (tmp_path / "run/01").glob(".cohort.*.partial")
    assert (partial / "checkpoint" / "chunk").is_file()
    assert step(2)
    assert not (tmp_path / "run/01" / "cohort" / "checkpoint").exists()
    outputs = manifest.read(tmp_path / "run/01/cohort/manifest.json")["outputs"]
    assert list(outputs) == ["numbers.csv"]


def test_partial_results_of_other_keys_are_deleted(step, tmp_path: Path):
    stale = tmp_path / "run/01" / ".cohort.0123456789ab.partial"
    stale.mkdir(parents=True)
    step(2)
    assert not stale.exists()


def test_function_of_a_notebook_is_refused(toy: Toy):
    """Code outside the library is not part of a key."""
    library = Library(toy.folder / "toylib")
    with pytest.raises(Exception, match="must be a module-level function of toylib"):
        step_parts(test_step_is_made_once, {}, {}, 0, None, library)


def documented_step(out, inputs, config, seed, machine):
    """Step: for the tests below.

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


READ = {"cohort": 1, "codes": 1}


@pytest.mark.parametrize(
    ("config", "inputs", "message"),
    [
        ({"steps": 1}, READ, ""),
        ({"steps": 1, "rows": []}, READ | {"base": 1}, ""),
        ({"steps": 1, "row": []}, READ, "unknown config entry 'row'.*valid: rows, steps"),
        ({"rows": []}, READ, "lacks the config entry 'steps'"),
        ({"steps": 1}, {"cohort": 1}, "lacks the inputs entry 'codes'"),
        ({"steps": 1}, READ | {"bass": 2}, "unknown inputs entry 'bass'.*valid: base, codes"),
    ],
)
def test_only_documented_config_and_inputs(config: dict, inputs: dict, message: str):
    if not message:
        check_documented(documented_step, config, inputs)
        return
    with pytest.raises(RunError, match=message):
        check_documented(documented_step, config, inputs)


def test_a_step_may_document_no_config_and_any_inputs():
    check_documented(merging_step, {}, {"any": 1, "other": 2})
    with pytest.raises(RunError, match=r"unknown config entry 'steps'.*valid: none"):
        check_documented(merging_step, {"steps": 1}, {})
