"""Steps: made once, stored by key and shared, resumed after a crash; documented config only. Keys:
the closure over imports, what counts in code, and why two keys differ."""

import subprocess
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
import yaml
from builds import raises
from safetensors.numpy import load_file, save_file
from toy import Toy

from ecglib.run import keys, manifest, steps
from ecglib.run.errors import RunError
from ecglib.run.steps import check_documented, remove, run_step, step_parts

REPO = Path(__file__).resolve().parents[1]


@pytest.fixture
def step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A function that runs the toy's first step as `where` with a given n."""
    toy = Toy(tmp_path / "toy")
    toy.enter(monkeypatch)
    from toylib import make
    from toylib.training import device

    machine = device.choose_machine({"device": "cpu"})
    library = keys.Library(toy.folder / "toylib")

    def run(n: int, where: str = "run/01/cohort") -> bool:
        parts = step_parts(make.numbers, {"n": n}, {}, 0, machine, library)
        target = tmp_path / where
        return run_step(target, make.numbers, {"n": n}, {}, parts, machine, "none")

    with pytest.raises(RunError, match="must be a module-level function of toylib"):
        step_parts(documented_step, {}, {}, 0, machine, library)  # its code is in no key
    return run


def test_a_large_file_is_read_again_once_it_has_changed(tmp_path: Path, monkeypatch):
    file, opened, read = tmp_path / "numbers.csv", [], manifest.hashlib.file_digest
    monkeypatch.setattr(manifest, "LARGE", 100)
    monkeypatch.setattr(
        manifest.hashlib, "file_digest", lambda *given: opened.append(1) or read(*given)
    )
    for content, times in ((b"1", 2), (b"1" * 100, 1), (b"2" * 100, 1)):
        file.write_bytes(content)
        opened.clear()
        assert manifest.sha256(file) == manifest.sha256(file) == sha256(content).hexdigest()
        assert len(opened) == times, "a small file is read each time"


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


def test_weights_are_stored_in_half_precision(tmp_path: Path):
    """What float16 cannot hold, and integers, stay as they are; the metadata stays too."""
    small, large = np.array([0.1, -2.0], np.float32), np.array([1e5, 0.1], np.float32)
    whole = {"small": small, "large": large, "empty": small[:0], "codes": np.arange(3)}
    path = tmp_path / "model.safetensors"
    save_file(whole, path, {"format": "pt"})
    steps.halve(path)
    halved, first = load_file(path), path.read_bytes()
    assert b'"format":"pt"' in first
    assert {name: tensor.dtype.name for name, tensor in halved.items()} == {
        "small": "float16",
        "large": "float32",
        "empty": "float16",
        "codes": "int64",
    }
    assert np.array_equal(halved["small"], small.astype(np.float16))
    assert np.array_equal(halved["large"], large)
    save_file({name: tensor for name, tensor in halved.items() if name != "large"}, path)
    second = path.read_bytes()
    steps.halve(path)
    assert path.read_bytes() == second
    steps.halve(tmp_path / "absent.safetensors")


def test_crashes_cost_nothing_that_was_whole_and_leave_nothing_half(step, tmp_path, monkeypatch):
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
        raises(RunError, message, check_documented, fn, config, given)


FILES = {  # of a library: a imports others by two spellings, and b names a data file
    "__init__.py": "",
    "a.py": "from lib import b\nimport lib.pkg.inner\nfrom lib.pkg import other\nimport json\n",
    "b.py": 'TABLE = "table.csv"\nABSENT = "absent.csv"\n',
    "table.csv": "x\n1\n",
    "d.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import lib.a\n",
    "c.py": "def f():\n    from lib.b import TABLE\n    return TABLE\n",
    "pkg/__init__.py": "",
    "pkg/inner.py": "from lib.c import f\n",
    "pkg/other.py": "",
}


def test_closure_is_transitive(tmp_path: Path):
    """With packages on the way, imports in functions, and data files."""
    (tmp_path / "lib" / "pkg").mkdir(parents=True)
    for name, content in FILES.items():
        (tmp_path / "lib" / name).write_text(content)
    library = keys.Library(tmp_path / "lib")
    everything = "lib lib.a lib.b lib.c lib.pkg lib.pkg.inner lib.pkg.other lib/table.csv"
    assert " ".join(library.closure("lib.a")) == everything
    assert list(library.closure("lib.b")) == ["lib", "lib.b", "lib/table.csv"]
    assert library.closure("json") == {}
    assert list(library.closure("lib.d")) == ["lib", "lib.d"], "types are not executed"
    source = "import numpy\nfrom lib.pkg import inner as i\nfrom lib.b import TABLE\n"
    assert library.imports(source, "nb") == {"lib.pkg", "lib.pkg.inner", "lib.b"}
    raises(RunError, "nb, line 1: write an import with", library.imports, "from . import b", "nb")


def test_what_counts_in_code_and_data_and_the_part_that_explains_a_change():
    """Not comments, layout, docstrings, the file's name or the order of a mapping."""

    def code(*sources: str) -> int:
        """How many different hashes they have."""
        return len({keys.code_hash(source, f"{i}.py") for i, source in enumerate(sources)})

    assert code("x = 1", "x = 1  # one", "x  =  1\n\n") == 1
    assert code("x = 1", "x = 2", "x = 'a'", "x = 'b'") == 4
    assert code("class A:\n    x = 1", "class A:\n    'Doc.'\n    x = 1") == 1
    plain, documented = "def f():\n    return 1", 'def f():\n    """Doc."""\n    return 1'
    assert code(plain, documented) == 1
    assert code(plain, "def f():\n    'Doc.'\n    'text'\n    return 1") == 2
    raises(RunError, r"a\.py, line 2", keys.code_hash, "x = 1\ny = (", "a.py")
    assert keys.digest({"a": 1, "b": [1, 2]}) == keys.digest({"b": [1, 2], "a": 1})
    assert keys.digest({"a": 1}) != keys.digest({"a": 1.5})
    for value in (float("nan"), Path("x")):
        raises(RunError, "finite numbers", keys.digest, {"a": value})
    old = {"seed": 0, "profile": {"train": {"steps": 1}}, "assets": {"cohort": "k"}}
    new = {"seed": 0, "profile": {"train": {"steps": 2}}, "assets": {"cohort": "l"}}
    old["modules"] = {"lib.a": "1", "lib/rules.yaml": "1"}
    new["modules"] = {"lib.a": "2", "lib/rules.yaml": "2", "lib.b": "1"}
    assert keys.explain(old, new) == [
        "asset cohort changed",
        "module lib.a changed",
        "module lib.b new",
        "file lib/rules.yaml changed",
        "profile section train changed (steps 1 -> 2)",
    ]
    assert keys.explain(old, old) == []


def test_code_that_counts_as_earlier_code_is_named_with_its_reason():
    """Both hashes are those of the sources, so that no entry outlives the code that it is about."""
    for row in yaml.safe_load((REPO / "ecglib/run/equal_code.yaml").read_text("utf-8")):
        file = f"{row['module'].replace('.', '/')}.py"
        assert keys.code_hash((REPO / file).read_text("utf-8"), file) == row["now"], file
        hashes = keys.Library(REPO / "ecglib").closure(row["module"])
        assert hashes[row["module"]] == row["as"] and len(row["why"]) > 60
        show = ["git", "show", f"{row['commit']}:{file}"]
        printed = subprocess.run(show, cwd=REPO, capture_output=True, text=True, check=False)
        if not printed.returncode:  # a checkout without history has no earlier code
            assert keys.code_hash(printed.stdout, file) == row["as"]
