"""The pinned environment, run_all.sh's use of it, and the lint of the whole project."""

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions, version
from pathlib import Path

import pytest
import yaml

from ecglib.run import environment, options


def normal(name: str) -> str:
    """A package's name as registries compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


REPO = Path(__file__).parents[1]
LOCK = REPO / "requirements.lock"
PROJECT = tomllib.loads((REPO / "pyproject.toml").read_text())["project"]
DIRECT = {normal(name) for name in PROJECT["dependencies"]}
# Direct dependencies that nothing imports: started by name, or imported by another library.
NOT_IMPORTED = {
    "accelerate",  # transformers, for weights in 4 bits
    "bitsandbytes",  # transformers, for QLoRA
    "furo",  # sphinx, which run_all.sh site starts
    "gguf",  # transformers, to read the default language model
    "ipykernel",  # papermill starts it
    "ipywidgets",  # tqdm in notebooks
    "jupyterlab",
    "myst-parser",  # sphinx
    "pytest-xdist",  # run_all.sh test
    "ruff",
    "sphinx",  # run_all.sh site
}


def imported() -> set[str]:
    """Third-party packages that library, documents, notebooks and tests import, as in the lock."""
    tops = ("docs", "ecglib", "notebooks", "tests")
    elsewhere = "_neurokit_ludb.py"  # its own environment
    files = [path for top in tops for path in (REPO / top).rglob("*.py") if path.name != elsewhere]
    modules = set()
    for path in files:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                modules |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                modules.add(node.module.split(".")[0])
    scripts = [path for path in files if path.relative_to(REPO).parts[0] in ("docs", "tests")]
    own = {"ecglib", "toylib"} | {path.stem for path in scripts}
    names = packages_distributions()
    others = modules - own - sys.stdlib_module_names
    return {normal(names.get(module, [module])[0]) for module in others}


def test_direct_dependencies_are_what_is_imported():
    assert imported() - DIRECT == set(), "name these in pyproject.toml, and compile the lock"
    assert DIRECT - imported() == NOT_IMPORTED, "unused, or imported now"


def test_lock_holds_every_dependency_and_environment_yml_the_lock():
    pins = environment.pinned(LOCK)
    names = {normal(name) for name in pins}
    assert names >= DIRECT
    for name, pinned in pins.items():
        assert re.fullmatch(r"[\w.]+", pinned), f"{name}=={pinned}: a local suffix, or no version"
        assert not name.startswith(("nvidia", "triton", "cuda")), name
    for line in LOCK.read_text().splitlines():
        assert re.fullmatch(r"[\w.-]+==[\w.]+", line), f"{line}: an address or a path"
    # environment.yml installs the lock itself and this project, with the same Python
    dependencies = yaml.safe_load((REPO / "environment.yml").read_text())["dependencies"]
    pip = next(entry["pip"] for entry in dependencies if isinstance(entry, dict))
    assert pip == ["-r requirements.lock", "-e ."]
    python = ".".join(map(str, environment.PYTHON))
    assert f"python={python}" in dependencies and PROJECT["requires-python"] == f"=={python}.*"


def test_differences_are_named(tmp_path: Path):
    """A local suffix and the spelling of a name are no difference."""
    assert environment.differences(LOCK) == [], "this environment differs"
    torch = version("torch").split("+")[0]
    lock = tmp_path / "lock"
    lock.write_text(f"pytest==0.0.1\nno_such_package==1.0  # why\n\n# comment\nTorch=={torch}\n")
    first, second = environment.differences(lock)
    assert first.startswith("pytest is ") and first.endswith(", pinned 0.0.1")
    assert second == "no_such_package is absent, pinned 1.0"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """run_all.sh beside a lock that this environment does not hold, and a python3.11 that fails."""
    for name in ("run_all.sh", "ecglib/__init__.py", "ecglib/run/__init__.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(REPO / name, tmp_path / name)
    shutil.copy(environment.__file__, tmp_path / "ecglib/run/environment.py")
    (tmp_path / "requirements.lock").write_text("pytest==0.0.1\n")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/python3.11").write_text("#!/bin/sh\necho python3.11 $*; exit 3\n")
    (tmp_path / "bin/python3.11").chmod(0o755)
    return tmp_path


@pytest.mark.parametrize(
    ("active", "refused"),
    [
        ({"VIRTUAL_ENV": sys.prefix}, True),
        ({"CONDA_PREFIX": sys.prefix, "CONDA_DEFAULT_ENV": "ecg-token-compendium"}, True),
        ({"CONDA_PREFIX": sys.prefix, "CONDA_DEFAULT_ENV": "base"}, False),
        ({}, False),
    ],
)
def test_active_environment(checkout: Path, active: dict[str, str], refused: bool):
    """One that differs is refused; conda's base and none at all let .venv be made."""
    folders = [str(checkout / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]]
    command, variables = ["bash", str(checkout / "run_all.sh"), "--list"], active.copy()
    variables["PATH"] = os.pathsep.join(folders)
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    if refused:
        assert done.returncode == 1 and len(done.stderr.strip().splitlines()) == 1
        assert "differs from requirements.lock" in done.stderr and "pinned 0.0.1" in done.stderr
    else:
        assert done.returncode == 3
        assert f"python3.11 -m venv {checkout}/.venv\n" in done.stdout, done.stderr


@pytest.mark.parametrize("words", [["--help"], ["-h"], ["study", "rates", "--help"]])
def test_help_makes_no_environment(checkout: Path, words: list[str]):
    shutil.copy(options.__file__, checkout / "ecglib/run/options.py")
    path = os.pathsep.join([str(checkout / "bin"), os.defpath])
    command = ["bash", str(checkout / "run_all.sh"), *words]
    done = subprocess.run(command, env={"PATH": path}, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and done.stdout.startswith("usage: bash run_all.sh"), done.stderr
    assert not (checkout / ".venv").exists()


def test_scripts_and_lint():
    for script in ("run_all.sh", ".ci/run"):
        assert subprocess.run(["bash", "-n", str(REPO / script)], check=False).returncode == 0
    text = (REPO / "run_all.sh").read_text()
    assert len(text.splitlines()) < 50 and "sha256sum" not in text  # macOS has none
    for command in (["check"], ["format", "--check"]):
        ruff = [sys.executable, "-m", "ruff", *command, "--no-cache", str(REPO)]
        done = subprocess.run(ruff, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
