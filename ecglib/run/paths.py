"""The folders of a checkout: repository, artifacts (`ECGLIB_HOME`) and outputs (`ECGLIB_OUT`).

`ECGLIB_REPO` and `ECGLIB_PACKAGE` point at another repository and library; the tests of this room
use them to run small projects of their own.
"""

import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from ecglib.run.errors import RunError

TAG = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
TAKES_MODELS = "ECGLIB_COMMITTED_MODELS"  # set by the option; the notebooks' kernels inherit it
SECOND_PART = "ECGLIB_SECOND_PART"  # likewise
PROCESSES = "ECGLIB_PROCESSES"  # likewise
# Set by the tests: the notebooks of one command share a kernel, which spares 20 s of imports each.
ONE_KERNEL = "ECGLIB_ONE_KERNEL"


@dataclass(frozen=True)
class Paths:
    """Folders of one checkout. `home` holds artifacts, `out` holds figures/ and reports/."""

    repo: Path
    home: Path
    out: Path
    package: str = "ecglib"

    @classmethod
    def here(cls) -> "Paths":
        """The folders of this checkout, moved by the environment variables where they are set."""
        repo = Path(os.environ.get("ECGLIB_REPO") or Path(__file__).parents[2]).resolve()
        home = Path(os.environ.get("ECGLIB_HOME") or repo / "artifacts").resolve()
        out = Path(os.environ.get("ECGLIB_OUT") or repo).resolve()
        return cls(repo, home, out, os.environ.get("ECGLIB_PACKAGE") or "ecglib")

    @property
    def notebooks(self) -> Path:
        return self.repo / "notebooks"

    @property
    def library(self) -> Path:
        return self.repo / self.package

    @property
    def assets(self) -> Path:
        return self.home / "assets"

    def reports(self, run: str) -> Path:
        return self.out / "reports" / run

    def figures(self, run: str) -> Path:
        return self.out / "figures" / run

    def step(self, run: str, stage: str, name: str) -> Path:
        """Folder of one step's result."""
        return self.home / run / stage / name

    def stage_manifest(self, run: str, stage: str) -> Path:
        return self.home / run / "stages" / f"{stage}.json"


def from_environment(variable: str) -> list[str]:
    """The values of an option, as the runner passes them to a notebook's kernel."""
    return [value for value in os.environ.get(variable, "").split(os.pathsep) if value]


def run_name(data: str, profile: str, tag: str = "") -> str:
    """`<data>-<profile>[-tag]`. Raises RunError: the tag holds something else than letters, digits,
    dot, dash, underscore."""
    if tag and not TAG.fullmatch(tag):
        raise RunError(f"tag {tag!r} may hold only letters, digits, '.', '-' and '_'")
    return f"{data}-{profile}" + (f"-{tag}" if tag else "")


def require_disk(folder: Path, needed_gb: float, reader: str) -> None:
    """Make the folder and check the space on its disk. Raises RunError: too little is free; its
    text begins with `reader`, which needs the space."""
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free / 1e9
    if free < needed_gb:
        raise RunError(
            f"{reader} {needed_gb:.1f} GB of disk, but {folder} has {free:.1f} GB free; free some, "
            "or set ECGLIB_HOME to a folder on another disk"
        )


def require_writable(folder: Path) -> None:
    """Make the folder and write a file in it. Raises RunError: the system does not allow it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise RunError(
            f"{folder} cannot be written ({error.strerror}); mend its rights, or name another by "
            "the variables ECGLIB_HOME (artifacts) and ECGLIB_OUT (reports, figures)"
        ) from error


@contextlib.contextmanager
def only_process(lock: Path, refusal: str) -> Iterator[None]:
    """Hold a lock file. The lock ends with its process, so a killed one leaves nothing to clean up.
    Raises RunError with the text `refusal`: another process holds it."""
    try:
        acquired = FileLock(lock).acquire(timeout=0)
    except Timeout:
        raise RunError(refusal) from None
    with acquired:
        yield
