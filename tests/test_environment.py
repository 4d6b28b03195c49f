"""The pinned environment: lock, environment.yml, and the check that run_all.sh makes."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from ecglib.run import environment

REPO = Path(__file__).parents[1]


def test_environment_and_lock_agree():
    """environment.yml installs the lock itself: one list of pins, and the same Python."""
    content = yaml.safe_load((REPO / "environment.yml").read_text())
    dependencies = content["dependencies"]
    pip = next(entry["pip"] for entry in dependencies if isinstance(entry, dict))
    assert pip == ["-r requirements.lock"]
    assert f"python={environment.PYTHON[0]}.{environment.PYTHON[1]}" in dependencies
    text = (REPO / "pyproject.toml").read_text()
    assert f'requires-python = "=={environment.PYTHON[0]}.{environment.PYTHON[1]}.*"' in text


def test_lock_is_exact_and_shared_by_cpu_and_cuda():
    pins = environment.pinned(REPO / "requirements.lock")
    assert {"torch", "transformers", "papermill", "jupytext", "pytest", "ruff"} <= set(pins)
    for name, version in pins.items():
        assert version and "+" not in version, f"{name}=={version} has a local suffix"
        assert not name.startswith(("nvidia", "triton", "cuda")), name


def test_this_environment_holds_the_pinned_set():
    assert environment.differences(REPO / "requirements.lock") == []


def test_differences_are_named(tmp_path: Path):
    lock = tmp_path / "lock"
    lock.write_text("pytest==0.0.1\nno_such_package==1.0  # why\n\n# comment\n")
    found = environment.differences(lock)
    assert found[0].startswith("pytest is ") and found[0].endswith(", pinned 0.0.1")
    assert found[1] == "no_such_package is absent, pinned 1.0"


def test_local_suffix_and_spelling_do_not_matter(tmp_path: Path):
    version = environment.importlib.metadata.version("torch").split("+")[0]
    (tmp_path / "lock").write_text(f"Torch=={version}\nPyYAML==6.0.3\n")
    assert environment.differences(tmp_path / "lock") == []


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """run_all.sh beside a lock that this environment does not hold."""
    for name in ("run_all.sh", "ecglib/__init__.py", "ecglib/run/__init__.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(REPO / name, tmp_path / name)
    shutil.copy(environment.__file__, tmp_path / "ecglib/run/environment.py")
    (tmp_path / "requirements.lock").write_text("pytest==0.0.1\n")
    return tmp_path


def test_other_active_environment_is_refused(checkout: Path):
    mine = dict(os.environ, VIRTUAL_ENV=sys.prefix)
    mine["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{mine['PATH']}"
    mine.pop("PYTHONPATH", None)
    done = subprocess.run(
        ["bash", str(checkout / "run_all.sh"), "--list"],
        env=mine,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "differs from requirements.lock" in done.stderr and "pinned 0.0.1" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_scripts_parse():
    for script in ("run_all.sh", ".ci/run"):
        assert subprocess.run(["bash", "-n", str(REPO / script)], check=False).returncode == 0
    assert len((REPO / "run_all.sh").read_text().splitlines()) < 50
