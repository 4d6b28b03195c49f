"""Shared set-up of the tests: one thread, and the smoke runs that several files look at."""

import os
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from fake_server import no_pauses, serving
from hypothesis import settings
from toy import Toy

# A test run in the background of a shell starts with Ctrl-C ignored, and hands that on to the
# processes that it starts; those that test an interrupt must not inherit it.
signal.signal(signal.SIGINT, signal.default_int_handler)

# The same examples in every run, so that a pass is repeated; no timed assertions.
settings.register_profile("same", derandomize=True, deadline=None)
settings.load_profile("same")

REPO = Path(__file__).resolve().parents[1]
os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_collection_modifyitems(items: list[pytest.Item]):
    """The file that looks at the smoke runs starts first. A worker gets whole files, so the runs
    are made once, and the other workers go through the other files meanwhile."""
    items.sort(key=lambda item: item.path.name != "test_smoke.py")


def smoke(folder: Path, assets: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """`run_all.sh [words] --profile smoke` with all outputs below `folder`; it must succeed. Only
    the folder `one` times the yardstick, so equal bytes show that it changes no result."""
    home = folder / "artifacts"
    home.mkdir(parents=True, exist_ok=True)
    if not (home / "assets").exists():
        (home / "assets").symlink_to(assets)
    command = [sys.executable, "-m", "ecglib.run", *words, "--profile", "smoke"]
    env = os.environ | {"ECGLIB_OUT": str(folder), "ECGLIB_HOME": str(home)}
    env |= {} if folder.name == "one" and not words else {"ECGLIB_NO_YARDSTICK": "1"}
    # threads that wait by spinning slow the other run, by up to 17 times in scipy's L-BFGS
    env |= {"OMP_WAIT_POLICY": "PASSIVE", "OPENBLAS_THREAD_TIMEOUT": "4"}
    done = subprocess.run(command, cwd=REPO, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return done


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two runs with one seed in folders of their own; the model file is fetched once. The studies
    follow in the folder of the first one, whose steps they share. All that can be is made at the
    same time: a notebook alone does not keep two cores busy."""
    root = tmp_path_factory.mktemp("smoke")
    assets = Path(os.environ.get("ECGLIB_HOME", REPO / "artifacts")) / "assets"
    assets.mkdir(parents=True, exist_ok=True)
    folders = [root / "one", root / "two"]
    smoke(folders[0], assets, "--prefetch")
    with ThreadPoolExecutor(max_workers=3) as pool:
        first, second = [pool.submit(smoke, folder, assets) for folder in folders]
        first.result()
        names = sorted(path.stem for path in (REPO / "notebooks" / "studies").glob("*.py"))
        studies = [pool.submit(smoke, folders[0], assets, "study", name) for name in names]
        for run in (second, *studies):
            run.result()
    return folders


@pytest.fixture(scope="session")
def study(runs: list[Path]) -> Path:
    """The studies at their smallest."""
    return runs[0]


@pytest.fixture(scope="session")
def finished_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The toy project with all its stages made."""
    toy = Toy(tmp_path_factory.mktemp("finished") / "toy")
    toy.run()
    return toy.folder


@pytest.fixture
def finished(finished_project: Path, tmp_path: Path) -> Toy:
    """A copy of the finished toy project: keys hold no absolute path, so it is current too."""
    toy = Toy(tmp_path / "toy")
    shutil.copytree(finished_project, toy.folder, dirs_exist_ok=True, symlinks=True)
    return toy


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch):
    """Downloads retry without a pause."""
    no_pauses(monkeypatch)


@pytest.fixture
def server(tmp_path: Path):
    """A server of releases on this machine that can be told to fail."""
    with serving(tmp_path / "served") as running:
        yield running
