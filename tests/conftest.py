"""Shared set-up of the tests: one thread, and the smoke runs that several files look at."""

import gc
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from fake_server import no_pauses, serving
from filelock import FileLock
from hypothesis import settings
from toy import Toy

# A test run in the background of a shell starts with Ctrl-C ignored, and hands that on to the
# processes that it starts; those that test an interrupt must not inherit it.
signal.signal(signal.SIGINT, signal.default_int_handler)

# The same examples in every run, so that a pass is repeated; no timed assertions.
settings.register_profile("same", derandomize=True, deadline=None)
settings.load_profile("same")

REPO = Path(__file__).resolve().parents[1]
PATIENTS = 120  # of a fake release
AGAIN = ("02", "06")  # tokenizers; a language model, its questions and its answers
os.environ.setdefault("OMP_NUM_THREADS", "1")
FIRST = ("test_smoke.py", "test_run_redraw.py", "test_smoke_studies.py")


def pytest_collection_modifyitems(items: list[pytest.Item]):
    """A worker gets whole files. One makes the smoke run, the other draws committed runs meanwhile
    and then makes the studies, which need the smoke run; all other files fill the rest."""
    rank = {name: place for place, name in enumerate(FIRST)}
    items.sort(key=lambda item: rank.get(item.path.name, len(FIRST)))


def pytest_collection_finish(session: pytest.Session):
    """What the test files have imported stays, so the garbage collector, which would go through it
    each time, need not look at it again."""
    gc.collect()
    gc.freeze()


def smoke(
    folder: Path, assets: Path, *words: str, one_kernel: bool = True, profile: str = "smoke"
) -> None:
    """`run_all.sh [words] --profile ...` with all outputs below `folder`; it must succeed. Only
    the first run times the yardstick, so equal bytes show that it changes no result. One kernel
    saves the imports of others."""
    home = folder / "artifacts"
    home.mkdir(parents=True, exist_ok=True)
    assets.mkdir(parents=True, exist_ok=True)
    if not (home / "assets").exists():
        (home / "assets").symlink_to(assets)
    command = [sys.executable, "-m", "ecglib.run", *words, "--profile", profile]
    env = os.environ | {"ECGLIB_OUT": str(folder), "ECGLIB_HOME": str(home)}
    env |= {"OMP_WAIT_POLICY": "PASSIVE"} | ({"ECGLIB_NO_YARDSTICK": "1"} if words else {})
    env |= {"ECGLIB_ONE_KERNEL": "1"} if one_kernel else {}
    done = subprocess.run(command, cwd=REPO, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]


def once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """A folder that the first worker who asks for it makes, and that all workers read."""
    root = factory.getbasetemp()
    root = root.parent if "PYTEST_XDIST_WORKER" in os.environ else root
    folder, finished = root / name, root / f"{name}.finished"
    with FileLock(root / f"{name}.lock"):
        if not finished.exists():
            make(folder)
            finished.touch()
    return folder


@pytest.fixture(scope="session")
def smoke_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The nine notebooks at their smallest; the folder that holds artifacts, reports, figures."""
    assets = Path(os.environ.get("ECGLIB_HOME", REPO / "artifacts")) / "assets"

    def make(folder: Path) -> None:
        smoke(folder, assets, "--prefetch")
        smoke(folder, assets)
        shutil.copytree(folder, folder.with_name("two"), symlinks=True, dirs_exist_ok=True)

    return once(tmp_path_factory, "one", make)


@pytest.fixture(scope="session")
def again(smoke_run: Path) -> Path:
    """A copy of the run in which the notebooks of `AGAIN` are made again, with all their steps and
    each in a kernel of its own, as a reader's."""
    folder, numbers = smoke_run.with_name("two"), ",".join(AGAIN)
    words = ("--only", numbers, "--force", numbers)
    smoke(folder, folder / "artifacts" / "assets", *words, one_kernel=False)
    return folder


@pytest.fixture(scope="session")
def studies(tmp_path_factory: pytest.TempPathFactory, smoke_run: Path) -> Path:
    """The folder of the run, to which all studies were added; they share its steps. Two processes
    make them, because by then the other workers have little left to do."""
    names = sorted(path.stem for path in (REPO / "notebooks" / "studies").glob("*.py"))
    examples = {"plugin": "example_tokenizer.py", "own_system": "example_system.py"}
    last = ("instruct", "instruct_byte", "word_scores")  # in this order they read what others saved
    published = "ecg_qa"  # about other ECGs
    names = [name for name in names if name not in (*examples, *last, published)]
    assets = smoke_run / "artifacts" / "assets"

    def make(folder: Path) -> None:
        from fake_sources import write_simulated_mimic  # with readers, which most files need not

        root = write_simulated_mimic(folder, PATIENTS)
        words = [names[::2], names[1::2]]
        words += [[name, "--plugin", str(REPO / "docs" / of)] for name, of in examples.items()]
        given = ["--data-root", str(root), "--asset", f"{published}={root / published}"]
        words += [[published, "--data", "mimic", *given]]
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda of: smoke(smoke_run, assets, "study", *of), words))
        smoke(smoke_run, assets, "study", *last)

    once(tmp_path_factory, "studies", make)
    return smoke_run


@pytest.fixture(scope="session")
def frozen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A labelled cohort, tokenizers of it and their codes, which no test may change."""
    import frozen_cohort  # with torch, which most files need not load

    folder = once(tmp_path_factory, "frozen", frozen_cohort.make)
    return {name: folder / name for name in frozen_cohort.NAMES}


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
